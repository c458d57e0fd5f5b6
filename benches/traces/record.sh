#!/bin/sh
# Records the traces in this folder again: what cc1, python3 and sqlite3 ask of malloc while they
# work on programs/.
#
# Needs gcc, python3 and sqlite3, and glibc, on whose second names for malloc the recorder stands.
# Other versions of these programs make other traces, and so other figures.
set -eu
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="$PWD/target/bench"
cargo build --quiet --profile measure --package recorder --package bench

here=benches/traces
recorder=$CARGO_TARGET_DIR/measure/librecorder.so
bench=$CARGO_TARGET_DIR/measure/bench
raw=$(mktemp)
trap 'rm -f "$raw"' EXIT

# record NAME PROGRAM ARGUMENT...: runs the program itself, not a script that starts it; a child is
# not recorded.
record() {
    name=$1
    shift
    echo "$name:"
    RECORD=$raw LD_PRELOAD=$recorder "$@" >/dev/null
    "$bench" import "$raw" "$here/$name.trace" --limit 500000
}

record compiler "$(gcc -print-prog-name=cc1)" -quiet -O2 -o /dev/null "$here/programs/matrix.c"
# Python's own small-object allocator would hide most of what an interpreter asks for.
export PYTHONMALLOC=malloc PYTHONHASHSEED=0
record interpreter "$(python3 -c 'import sys; print(sys.executable)')" -S -B "$here/programs/words.py"
record database sqlite3 :memory: ".read $here/programs/orders.sql"
