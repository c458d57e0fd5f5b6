# The runtime of AddressSanitizer and ThreadSanitizer. rustup's Rust brings it. Debian's does not;
# LLVM's is then taken, of the version that the kernel's compiler has, which builds a standard
# library for it. Where there is neither, those runs are left out, and say so.

sanitizers_ready() {
    SANITIZERS=''
    for file in "$(rustc --print target-libdir)"/*_rt.tsan.*; do
        [ ! -e "$file" ] || return 0
    done
    llvm=$("$setup_dir/bin/rustc" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    for file in "/usr/lib/llvm-$llvm/lib/clang/$llvm/lib/linux"/libclang_rt.tsan-*.so; do
        [ ! -e "$file" ] || SANITIZERS=$(dirname "$file")
    done
    [ -n "$SANITIZERS" ]
}

sanitizers_install() {
    if apt_usable; then
        say "installing libclang-rt-$llvm-dev: 'make test' runs the allocator's tests under sanitizers (apt, about 5 s)"
        apt_install "libclang-rt-$llvm-dev" || apt_obstacle="apt-get could not install libclang-rt-$llvm-dev"
    fi
    sanitizers_ready || say "going on without sanitizers: ${apt_obstacle:-libclang-rt-$llvm-dev has no runtime where it should be}"
}
