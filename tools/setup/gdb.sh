# gdb, for `make gdb` alone. Its commands are in Python, which distributions build it with.

gdb_ready() {
    [ "$(gdb --batch -ex 'python print("ready")' 2>/dev/null)" = ready ]
}

gdb_install() {
    if apt_usable; then
        say "installing gdb: 'make gdb' debugs the kernel and its programs with it (apt, about 10 s)"
        apt_install gdb || apt_obstacle='apt-get could not install gdb; its output is in target/setup/apt.log'
    fi
    gdb_ready || fail "no gdb with Python on PATH: ${apt_obstacle:-installed gdb, but it has no Python}" \
        "To install it yourself:  apt-get install gdb   (or dnf, pacman, brew install gdb)"
}
