# QEMU, the machine that boots the image: the one on PATH, else the distribution's.

qemu_program=qemu-system-x86_64

# Prefers the one on PATH, so that a reader's own QEMU is taken.
qemu_ready() {
    QEMU=$(command -v "$qemu_program") || return 1
    qemu_title=$("$QEMU" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([^ ]*\).*/QEMU \1/p')
    [ -n "$qemu_title" ]
}

qemu_install() {
    if apt_usable; then
        say "installing qemu-system-x86: it boots the kernel (apt, about 10 s)"
        apt_install qemu-system-x86 || apt_obstacle='apt-get could not install it; its output is in target/setup/apt.log'
    fi
    qemu_ready || fail "no $qemu_program on PATH, which boots the kernel" \
        "apt: ${apt_obstacle:-installed qemu-system-x86, but $qemu_program does not run}" \
        "To install it yourself, run the line for your system:" \
        "    Debian, Ubuntu:  apt-get install --no-install-recommends qemu-system-x86" \
        "    Fedora:          dnf install qemu-system-x86-core" \
        "    Arch:            pacman -S qemu-system-x86" \
        "    macOS:           brew install qemu"
}
