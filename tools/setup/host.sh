# The host side: a stable cargo, a C compiler, which rustc uses as its linker, and for the tests
# clippy and rustfmt.

host_minimum=1.88

host_ready() {
    have cc && have cargo
}

host_install() {
    if ! have cc; then
        apt_usable || fail "no C compiler ('cc'), which rustc links with: $apt_obstacle" \
            "install one:  apt-get install gcc libc6-dev"
        say "installing gcc: rustc links host programs with it (apt)"
        apt_install gcc libc6-dev || fail "could not install gcc" "by hand:  apt-get install gcc libc6-dev"
    fi
    have cargo || fail "no cargo on PATH" \
        "install Rust $host_minimum or newer, with rustup or from your distribution"
}

lints_ready() {
    cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1
}

lints_install() {
    if have rustup; then
        say "installing clippy and rustfmt: 'make test' checks with them (rustup)"
        rustup component add clippy rustfmt || true
    fi
    lints_ready || fail "the cargo on PATH has no clippy or no rustfmt: $(command -v cargo)" \
        "with rustup:       rustup component add clippy rustfmt" \
        "Debian's own Rust: apt-get install rust-clippy rustfmt   (or rust-web-clippy rustfmt-web)"
}
