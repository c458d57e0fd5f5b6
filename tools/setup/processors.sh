# Compilers and emulators of other processors, for `make test-all`: the tests of arenas run on
# processors that order memory weakly, too. The Rust side is built from source by the kernel's
# toolchain. Where they cannot be had, those runs are left out, and say so.

processors='aarch64 riscv64'

processors_ready() {
    for processor in $processors; do
        have "qemu-$processor" && have "$processor-linux-gnu-gcc" || return 1
    done
}

processors_install() {
    packages=qemu-user
    for processor in $processors; do
        packages="$packages gcc-$processor-linux-gnu"
    done
    if apt_usable; then
        say "installing $packages: 'make test-all' runs arenas on these processors (apt, about 50 s)"
        apt_install $packages || apt_obstacle="apt-get could not install $packages"
    fi
    processors_ready ||
        say "going on without other processors: ${apt_obstacle:-their compilers are not here}"
}
