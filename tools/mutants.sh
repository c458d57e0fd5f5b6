#!/bin/sh
# Mutation testing: installs what lists the mutants, and runs tools/mutants.
#
#     sh tools/mutants.sh try                  try all mutants that were not tried, in an hour
#     sh tools/mutants.sh try --seconds 600    the same for ten minutes; `make soak` calls it
#     sh tools/mutants.sh table                print what became of them

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
setup_dir=$root/target/setup

. "$here/setup/common.sh"
. "$here/setup/mutants.sh"

mkdir -p "$setup_dir/bin"
mutants_ready || mutants_install
cd "$root"
exec cargo run --quiet --package mutants -- "$@"
