# Compilers and emulators of other processors, for `make test-all`: the tests of arenas run on
# processors that order memory weakly, too. The Rust side is built from source by the kernel's
# toolchain. Where they cannot be had, those runs are left out, and say so.

# A line each: the processor, and its name in packages.
processors='
aarch64 arm64
riscv64 riscv64
'

# Each compiler links a program that its emulator runs.
processors_ready() {
    probe=$setup_dir/processor-probe
    printf 'int main(void) { return 0; }\n' >"$probe.c"
    while read -r processor name; do
        [ -n "$processor" ] || continue
        "$processor-linux-gnu-gcc" -o "$probe" "$probe.c" 2>/dev/null &&
            "qemu-$processor" -L "/usr/$processor-linux-gnu" "$probe" 2>/dev/null || return 1
    done <<END
$processors
END
    rm -f "$probe" "$probe.c"
}

processors_install() {
    packages=qemu-user
    while read -r processor name; do
        [ -z "$processor" ] || packages="$packages gcc-$processor-linux-gnu libc6-dev-$name-cross"
    done <<END
$processors
END
    if apt_usable; then
        say "installing $packages: 'make test-all' runs arenas on these processors (apt, about 50 s)"
        apt_install $packages || apt_obstacle="apt-get could not install $packages"
    fi
    processors_ready ||
        say "going on without other processors: ${apt_obstacle:-their compilers are not here}"
}
