# The oldest Rust that the allocator's package names. Where it cannot be had, its step of
# `make test` is left out, and says so.

oldest_rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")

oldest_ready() {
    ! have rustup || rustup run "$oldest_rust" rustc --version >"$setup_dir/rustup.log" 2>&1
}

oldest_install() {
    say "fetching Rust $oldest_rust: 'make test' compiles the allocator with it (rustup)"
    rustup toolchain install "$oldest_rust" --profile minimal --no-self-update >"$setup_dir/rustup.log" 2>&1 ||
        say "going on without Rust $oldest_rust: rustup could not fetch it"
}
