# QEMU, the machine that boots the image: the one on PATH, else the distribution's, installed or only unpacked.

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

# Where installing would remove a package (one of another QEMU version, from elsewhere), its packages and those that it needs and that are
# missing are downloaded, and unpacked into a folder of ours.
qemu_unpack() {
    packages=$qemu_dir/packages
    files=$qemu_dir/root
    rm -rf "$qemu_dir"
    mkdir -p "$packages/partial" "$files"
    # apt would rather download as its own user, who may not write here.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --download-only --no-install-recommends \
        -o Dir::Cache::archives="$packages" -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=120 \
        qemu-system-x86 </dev/null >>"$setup_dir/apt.log" 2>&1 || return
    for package in "$packages"/*.deb; do
        dpkg-deb --extract "$package" "$files" >>"$setup_dir/apt.log" 2>&1 || return
    done
    rm -rf "$packages"
    libraries=$(find "$files" -name '*.so*' -path '*/lib/*' | sed 's|/[^/]*$||' | sort -u | paste -s -d: -)
    cat >"$qemu_dir/new" <<END
#!/bin/sh
LD_LIBRARY_PATH='$libraries'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec '$files/usr/bin/$qemu_program' \\
    -L '$files/usr/share/qemu' -L '$files/usr/share/seabios' -L '$files/usr/lib/ipxe/qemu' "\$@"
END
    chmod +x "$qemu_dir/new"
    mv "$qemu_dir/new" "$qemu_dir/$qemu_program"
}
