#!/bin/sh
# Packs the crate as it would be published, and runs the tests that are in the package, in a folder
# that knows nothing of the project.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Cargo names the suites, which are no part of the package, and that nothing is uploaded; anything
# else is a warning to heed.
if ! cargo publish --dry-run --allow-dirty --package brkalloc 2>"$folder/log"; then
    cat "$folder/log"
    exit 1
fi
if grep '^warning' "$folder/log" | grep -v -e '^warning: ignoring test `all`' -e 'aborting upload due to dry run'; then
    exit 1
fi

# What cargo has unpacked to build it.
cp -R "${CARGO_TARGET_DIR:-target}/package/brkalloc-$version" "$folder/brkalloc"
cd "$folder/brkalloc"
CARGO_TARGET_DIR=$folder/target cargo test --quiet --all-features
