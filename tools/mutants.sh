#!/bin/sh
# Mutation testing: changes the allocator in one small way at a time, and runs the host suites. A
# change that no test notices has survived: a test is missing, or the code is not needed, or the
# change changes nothing.
#
#     SECONDS_LEFT=600 sh tools/mutants.sh     try mutants for that long, from where the last run stopped
#     sh tools/mutants.sh table                print what became of all mutants so far, a line a file, and each survivor
#
# `make soak` calls it with a share of its time. cargo-mutants makes the mutants, in a copy of the
# sources that keeps its builds: the next mutant compiles what it changed. Unit tests are tried
# first, unoptimised: they take seconds, and the suites only see what passed them. cargo-mutants
# forgets a run that was ended before it began the next one, so the outcome of each mutant is
# appended to target/mutants/tried: a change of the mutated file makes its mutants new ones.

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
setup_dir=$root/target/setup
folder=$root/target/mutants
tried=$folder/tried
tree=$folder/tree

. "$here/setup/common.sh"

# What is mutated: the arithmetic, and the structures that all else stands on.
files='src/cell/*.rs src/bins/*.rs src/chunks/*.rs src/slabs/slab.rs src/slabs/shape.rs src/slabs/free_list.rs src/slabs/page_map.rs src/size_class.rs'

# Mutants that one call of cargo-mutants tries, between two looks at the clock.
batch=8

# Tests that search or wait, and are left out.
slow='--skip worlds:: --skip threads --skip single_step'

main() {
    mkdir -p "$folder" "$setup_dir/mutants"
    touch "$tried"
    case ${1:-try} in
        table) table ;;
        try) install && try ;;
        *) fail "the argument is '$1'; expected 'table' or nothing" ;;
    esac
}

# Installs cargo-mutants into target/setup if it is on no path.
install() {
    PATH=$setup_dir/mutants/bin:$PATH
    have cargo-mutants && return
    say "installing cargo-mutants: 'make soak' tries mutants with it (cargo, some minutes)"
    cargo install --quiet --locked --root "$setup_dir/mutants" cargo-mutants >"$folder/install.log" 2>&1 ||
        { say "left out: mutants: cargo-mutants cannot be installed; see target/mutants/install.log"; exit 0; }
}

# The mutants, one a line: `DIGEST NAME`, where the digest is that of the file.
all_mutants() {
    # shellcheck disable=SC2046,SC2086 # names of files are words
    (cd "$root" && cargo mutants --list --package brkalloc $(printf -- '--file %s ' $files)) | while IFS= read -r name; do
        printf '%s %s\n' "$(digest "${name%%:*}")" "$name"
    done
}

digest() {
    cksum <"$root/$1" | tr ' ' '-'
}

# Tries mutants that have no outcome, until the time is over.
try() {
    end=$(($(date +%s) + ${SECONDS_LEFT:-600}))
    copy_sources
    all_mutants >"$folder/all"
    while [ "$(date +%s)" -lt "$end" ]; do
        cut -d' ' -f2- "$tried" | sort -u >"$folder/known"
        # A spread over all files says more than the first file's.
        grep -vxFf "$folder/known" "$folder/all" | shuf --random-source="$folder/all" | head -n "$batch" |
            cut -d' ' -f2- >"$folder/batch"
        [ -s "$folder/batch" ] || { say "mutants: all $(wc -l <"$folder/all") have been tried"; break; }
        ran=0
        run "$folder/batch" 120 --lib
        cp "$folder/mutants.out/missed.txt" "$folder/batch" || break
        run "$folder/batch" 600 --profile suites --test all
        outcome missed
        [ "$ran" -gt 0 ] || break
    done
    table
}

# Copies the sources to where they are changed. Times of files stay, so that builds do.
copy_sources() {
    rm -rf "$tree"
    mkdir -p "$tree"
    (cd "$root" && git ls-files -z | tar --null --files-from=- -cf -) | tar -C "$tree" -xpf -
}

# Tries the mutants that file $1 names, for at most $2 seconds each, with the tests that the other
# arguments say. Appends the outcomes of all that these tests decide.
run() {
    names=$1 limit=$2
    shift 2
    rm -rf "$folder/mutants.out"
    left=$((end - $(date +%s)))
    [ -s "$names" ] && [ "$left" -gt 0 ] || return 0
    # Each name as a whole: cargo-mutants takes regular expressions.
    pattern=$(sed 's/[][\.*^$()+?{}|]/\\&/g; s/^/^/; s/$/$/' "$names" | paste -s -d'|' -)
    # Mutants of fields pass the expression whatever it is, so the files are named as well.
    only=$(cut -d: -f1 "$names" | sort -u | sed 's/^/--file /')
    # shellcheck disable=SC2086 # files and tests are words
    (cd "$tree" && PROPTEST_CASES=16 CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$folder/build" \
        timeout "$left" nice -n 19 cargo mutants --in-place --package brkalloc $only --re "$pattern" \
        --output "$folder" --features case-finder/one-profile --baseline skip --timeout "$limit" --no-shuffle --colors never \
        -- "$@" -- $slow) >"$folder/mutants.log" 2>&1 || true
    outcome caught
    outcome timeout
    outcome unviable
}

# Appends the mutants of the last run with outcome $1.
outcome() {
    [ -e "$folder/mutants.out/$1.txt" ] || return 0
    while IFS= read -r name; do
        printf '%s %s %s\n' "$1" "$(digest "${name%%:*}")" "$name" >>"$tried"
        ran=$((ran + 1))
    done <"$folder/mutants.out/$1.txt"
}

# A line a file, then the survivors.
table() {
    printf '%-28s %7s %8s %9s %9s %7s\n' file caught time-out survived unviable caught
    sort -u "$tried" | awk '
        { split($3, place, ":"); file = place[1]; files[file] = 1; count[file, $1]++; count["all", $1]++ }
        function line(file,    seen) {
            seen = count[file, "caught"] + count[file, "timeout"]
            printf "%-28s %7d %8d %9d %9d %6.1f%%\n", file, count[file, "caught"], count[file, "timeout"],
                count[file, "missed"], count[file, "unviable"], 100 * seen / (seen + count[file, "missed"] + 0.0001)
        }
        END { for (file in files) line(file); line("all") }' | sort
    sort -u "$tried" | sed -n 's/^missed [^ ]* /survived: /p'
}

main "$@"
