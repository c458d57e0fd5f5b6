# cargo-mutants lists the small changes of a source, which tools/mutants tries. It is built into
# target/setup.

cargo_mutants_version=27.1.0

mutants_ready() {
    [ "$("$setup_dir/bin/cargo-mutants" mutants --version 2>/dev/null)" = "cargo-mutants $cargo_mutants_version" ]
}

mutants_install() {
    cargo_install cargo-mutants "$cargo_mutants_version" "it lists the mutants (cargo install, about two minutes)"
    mutants_ready || fail "cargo-mutants $cargo_mutants_version was built, but does not run: $setup_dir/bin/cargo-mutants"
}
