#!/bin/sh
# Packs the crate as it would be published, and runs the tests that are in the package, in a folder
# that knows nothing of the project.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Only files of the crate, its documents, and those of the top folder.
files=$(cargo package --list --allow-dirty --package brkalloc)
others=$(echo "$files" | grep -Ev '^(src|docs)/|^[^/]*$') || true
if [ -n "$others" ]; then
    echo "the package has files of other parts of the project:"
    echo "$others"
    exit 1
fi

# Cargo names the suites, which are no part of the package, and that nothing is uploaded; and that
# the manifest has no address, until its owner has filled the line that says so. Anything else is a
# warning to heed.
expected='^warning: ignoring test `all`|aborting upload due to dry run'
if grep -q '^# OWNER: add `repository`' Cargo.toml; then
    expected="$expected|^warning: manifest has no documentation, homepage or repository"
fi
if ! cargo publish --dry-run --allow-dirty --package brkalloc 2>"$folder/log"; then
    cat "$folder/log"
    exit 1
fi
if grep '^warning' "$folder/log" | grep -Ev "$expected"; then
    exit 1
fi

# What cargo has unpacked to build it.
cp -R "${CARGO_TARGET_DIR:-target}/package/brkalloc-$version" "$folder/brkalloc"
cd "$folder/brkalloc"
CARGO_TARGET_DIR=$folder/target cargo test --quiet --all-features
