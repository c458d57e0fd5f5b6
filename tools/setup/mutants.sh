# cargo-mutants lists the small changes of a source, which tools/mutants tries. It is built into
# target/setup.

cargo_mutants_version=27.1.0

mutants_ready() {
    [ "$("$setup_dir/bin/cargo-mutants" mutants --version 2>/dev/null)" = "cargo-mutants $cargo_mutants_version" ]
}

mutants_install() {
    say "building cargo-mutants $cargo_mutants_version: it lists the mutants (cargo install, about two minutes)"
    CARGO_TARGET_DIR="$setup_dir/build" cargo install --quiet --locked --force \
        --version "=$cargo_mutants_version" --root "$setup_dir" cargo-mutants 2>"$setup_dir/cargo-mutants.log" ||
        fail "could not build cargo-mutants $cargo_mutants_version" "$(tail -n 15 "$setup_dir/cargo-mutants.log")" \
            "by hand:  cargo install --locked --version =$cargo_mutants_version --root target/setup cargo-mutants"
    rm -rf "$setup_dir/build"
    mutants_ready || fail "cargo-mutants $cargo_mutants_version was built, but does not run: $setup_dir/bin/cargo-mutants"
}
