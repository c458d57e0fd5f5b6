# cargo-fuzz builds programs that libFuzzer runs. It is built from its source package into
# target/setup; libFuzzer itself is in C++.

cargo_fuzz_version=0.13.2

fuzz_ready() {
    have c++ && [ "$("$setup_dir/bin/cargo-fuzz" --version 2>/dev/null)" = "cargo-fuzz $cargo_fuzz_version" ]
}

fuzz_install() {
    if ! have c++; then
        apt_usable || fail "no C++ compiler ('c++'), which libFuzzer is built with: $apt_obstacle" "install one:  apt-get install g++"
        say "installing g++: libFuzzer is built with it (apt)"
        apt_install g++ || fail "could not install g++" "by hand:  apt-get install g++"
    fi
    cargo_install cargo-fuzz "$cargo_fuzz_version" "it builds the heaps for libFuzzer (cargo install, about a minute)"
    fuzz_ready || fail "cargo-fuzz $cargo_fuzz_version was built, but does not run: $setup_dir/bin/cargo-fuzz"
}

# Sets `sanitizer`: AddressSanitizer sees accesses outside of the break's memory. Debian's own Rust
# comes without its runtime.
find_sanitizer() {
    sanitizer=none
    for file in "$(rustc --print target-libdir)"/*_rt.asan.*; do
        [ ! -e "$file" ] || sanitizer=address
    done
}
