# QEMU, the machine that boots the image: the one on PATH, else the distribution's, installed or
# only unpacked.

qemu_program=qemu-system-x86_64
qemu_dir=$setup_dir/qemu

# Prefers the one on PATH, so that a reader's own QEMU is taken.
qemu_ready() {
    QEMU=$(command -v "$qemu_program") || QEMU=$qemu_dir/$qemu_program
    qemu_title=$("$QEMU" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([^ ]*\).*/QEMU \1/p')
    [ -n "$qemu_title" ]
}

qemu_install() {
    if apt_usable; then
        say "installing qemu-system-x86: it boots the kernel (apt, about 10 s)"
        if ! apt_install qemu-system-x86; then
            say "apt would have to change what is installed; unpacking QEMU into target/setup/qemu instead (about 10 s)"
            qemu_unpack || apt_obstacle='apt-get could neither install nor download it; its output is in target/setup/apt.log'
        fi
    fi
    qemu_ready || fail "no $qemu_program on PATH, which boots the kernel" \
        "apt: ${apt_obstacle:-installed qemu-system-x86, but $qemu_program does not run}" \
        "To install it yourself, run the line for your system:" \
        "    Debian, Ubuntu:  apt-get install --no-install-recommends qemu-system-x86" \
        "    Fedora:          dnf install qemu-system-x86-core" \
        "    Arch:            pacman -S qemu-system-x86" \
        "    macOS:           brew install qemu"
}

# Where installing would remove a package (one of another QEMU version, from elsewhere), its
# packages and those that it needs and that are missing are downloaded, and unpacked into a folder
# of ours.
qemu_unpack() {
    packages_unpack "$qemu_dir" qemu-system-x86 && qemu_wrapper "$qemu_dir" "$qemu_program"
}

# Downloads packages, and what they need and is missing, and unpacks them into $1/root.
packages_unpack() {
    packages=$1/packages
    files=$1/root
    rm -rf "$1"
    shift
    mkdir -p "$packages/partial" "$files"
    # apt would rather download as its own user, who may not write here.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --download-only --no-install-recommends \
        -o Dir::Cache::archives="$packages" -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=120 \
        "$@" </dev/null >>"$setup_dir/apt.log" 2>&1 || return
    for package in "$packages"/*.deb; do
        dpkg-deb --extract "$package" "$files" >>"$setup_dir/apt.log" 2>&1 || return
    done
    rm -rf "$packages"
}

# Makes $1/$2, which runs the emulator $2 with what was unpacked into $1/root.
qemu_wrapper() {
    files=$1/root
    [ -x "$files/usr/bin/$2" ] || return
    libraries=$(find "$files" -name '*.so*' -path '*/lib/*' | sed 's|/[^/]*$||' | sort -u | paste -s -d: -)
    cat >"$1/new" <<END
#!/bin/sh
LD_LIBRARY_PATH='$libraries'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec '$files/usr/bin/$2' \\
    -L '$files/usr/share/qemu' -L '$files/usr/share/seabios' -L '$files/usr/lib/ipxe/qemu' "\$@"
END
    chmod +x "$1/new"
    mv "$1/new" "$1/$2"
}
