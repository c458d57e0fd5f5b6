#!/bin/sh
# Mutation testing: changes the allocator in one small way at a time, and runs the host suites. A
# change that no test notices has survived: a test is missing, or the code is not needed, or the
# change changes nothing.
#
#     SECONDS_LEFT=600 sh tools/mutants.sh     try mutants for that long, from where the last run stopped
#     sh tools/mutants.sh table                print what became of all mutants so far, a line a file, and each survivor
#
# `make soak` calls it with a share of its time. cargo-mutants makes the mutants. It forgets a run
# that was ended before it began the next one, so the outcome of each mutant is appended to
# target/mutants/tried: a change of the mutated file makes its mutants new ones.

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
setup_dir=$root/target/setup
folder=$root/target/mutants
tried=$folder/tried

. "$here/setup/common.sh"

# What is mutated: the arithmetic, and the structures that all else stands on.
files='src/cell/*.rs src/bins/*.rs src/chunks/*.rs src/slabs/slab.rs src/slabs/shape.rs src/slabs/free_list.rs src/slabs/page_map.rs src/size_class.rs'

# Mutants that one call of cargo-mutants tries, between two looks at the clock.
batch=8

# The tests: all but those that search or wait.
tests='--lib --test all -- --skip worlds:: --skip threads --skip single_step'

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
    for pattern in $files; do
        (cd "$root" && cargo mutants --list --package brkalloc --file "$pattern" 2>/dev/null)
    done | sort -u | while IFS= read -r name; do
        printf '%s %s\n' "$(digest "${name%%:*}")" "$name"
    done
}

digest() {
    cksum <"$root/$1" | tr ' ' '-'
}

# Tries mutants that have no outcome, until the time is over.
try() {
    end=$(($(date +%s) + ${SECONDS_LEFT:-600}))
    all_mutants >"$folder/all"
    while [ "$(date +%s)" -lt "$end" ]; do
        awk 'NR == FNR { known[$0] = 1; next } !($0 in known)' "$folder/known" "$folder/all" 2>/dev/null >"$folder/left" ||
            cp "$folder/all" "$folder/left"
        # A spread over all files says more than the first file's.
        shuf --random-source="$folder/all" "$folder/left" | head -n "$batch" >"$folder/batch"
        [ -s "$folder/batch" ] || { say "mutants: all $(wc -l <"$folder/all") have been tried"; break; }
        run_batch || break
    done
    table
}

# Runs the mutants of the batch, and appends their outcomes.
run_batch() {
    # Each name as a whole: cargo-mutants takes regular expressions.
    pattern=$(cut -d' ' -f2- "$folder/batch" | sed 's/[][\.*^$()+?{}|]/\\&/g; s/^/^/; s/$/$/' | paste -s -d'|' -)
    # Mutants of fields pass the expression whatever it is, so the files are named as well.
    only=$(cut -d' ' -f2- "$folder/batch" | cut -d: -f1 | sort -u | sed 's/^/--file /')
    rm -rf "$folder/mutants.out"
    # shellcheck disable=SC2086 # files and tests are words
    (cd "$root" && PROPTEST_CASES=16 timeout "$((end - $(date +%s)))" nice -n 19 cargo mutants --package brkalloc \
        $only --re "$pattern" --output "$folder" --profile suites --features case-finder/one-profile --baseline skip \
        --timeout 600 --no-shuffle --colors never -- $tests) >"$folder/mutants.log" 2>&1 || true
    ran=0
    for outcome in caught missed timeout unviable; do
        while IFS= read -r name; do
            printf '%s %s %s\n' "$outcome" "$(digest "${name%%:*}")" "$name" >>"$tried"
            ran=$((ran + 1))
        done <"$folder/mutants.out/$outcome.txt"
    done 2>/dev/null
    cut -d' ' -f2- "$tried" | sort -u >"$folder/known"
    [ "$ran" -gt 0 ]
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
