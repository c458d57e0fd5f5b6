# A 32-bit C library and linker, for running the allocator's host tests as a 32-bit program. The
# Rust side is built from source by the kernel's toolchain, like the kernel's own. Where it cannot
# be had, that run is left out, and says so.

host32_ready() {
    HOST32=''
    probe=$setup_dir/host32-probe
    printf 'int main(void) { return sizeof(void *) == 4 ? 0 : 1; }\n' >"$probe.c"
    if cc -m32 -o "$probe" "$probe.c" 2>/dev/null && "$probe" 2>/dev/null; then
        HOST32=i686-unknown-linux-gnu
    fi
    rm -f "$probe" "$probe.c"
    [ -n "$HOST32" ]
}

# The package of the compiler's version: `gcc-multilib`, which names it, conflicts with compilers
# for other processors, which `processors.sh` installs.
host32_install() {
    package=gcc-$(cc -dumpversion 2>/dev/null | cut -d. -f1)-multilib
    if apt_usable; then
        say "installing $package: 'make test' runs the allocator's tests as a 32-bit program too (apt, about 10 s)"
        apt_install "$package" || apt_obstacle="apt-get could not install $package"
    fi
    host32_ready || say "going on without a 32-bit C library, so without the 32-bit run: ${apt_obstacle:-'cc -m32' does not work}"
}
