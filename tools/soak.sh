#!/bin/sh
# Searches both heaps, and a process's address space, for bugs for as long as told. `make soak` calls it.
#
#     MINUTES=30 sh tools/soak.sh
#
#     round after round ─┬─ simple_heap   libFuzzer, 1/8 of the time         programs that reach code nobody reached before
#                        ├─ heap          libFuzzer, 3/8 of the time         (fuzz/targets, from fuzz/seeds on)
#                        ├─ address_space libFuzzer, 1/8 of the time
#                        ├─ properties    tests/properties.rs, optimised,    random programs, other ones each time
#                        │                a quarter of the time
#                        ├─ arenas        tests/arenas.rs, optimised,        threads in every constellation, for longer
#                        │                1/8 of the time
#                        └─ ring3         tests/qemu/programs/fuzz.rs,       system calls of chance in the demo kernel, on a
#                                         1/4 of the time                    machine of 32 to 128 MiB; every frame is counted
#
# Before the rounds, tests/worlds.rs runs all short programs, the shortest first, for a quarter of the time.
#
# Heaps are run by tests/common/driver.rs, address spaces by kernel-demo/src/address_space/model. It ends at the first
# failure: with status 1 and the input that failed, as a file and as a list of operations. docs/TESTING.md says how to go on
# from there.
#
# Everything goes into target/fuzz, and the tool that builds the targets into target/setup:
#     corpus/      what libFuzzer found worth keeping; the next soak goes on with it
#     failures/    inputs that failed
#     soak.log     what the programs of the last soak wrote
#
# Variables: MINUTES  how long, not counting what it takes to build (5)

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
setup_dir=$root/target/setup
fuzz_dir=$root/target/fuzz
log=$fuzz_dir/soak.log

. "$here/setup/common.sh"
. "$here/setup/host.sh"
. "$here/setup/fuzz.sh"

# Seconds of one round: short enough to see all four at work early.
round_seconds=120

# The longest input, in bytes: about 400 operations. Longer ones find little more and take longer.
longest=1024

# Cases of each property test in one go: a few seconds.
cases=2000

# How many times as many rounds the tests of arenas have.
stress=10

main() {
    seconds=$(soak_seconds)
    mkdir -p "$setup_dir/bin" "$fuzz_dir/failures"
    prepare
    build

    worlds_total=0 simple_heap_total=0 heap_total=0 address_space_total=0 properties_total=0 arenas_total=0 ring3_total=0
    # A signal may arrive while standard output is a log.
    exec 3>&1
    trap 'summary "interrupted" >&3; exit 130' INT TERM
    printf 'soak: %s min; what the programs write goes to target/fuzz/soak.log\n' "$((seconds / 60))"
    end=$(($(now) + seconds))
    worlds "$((seconds / 4))"
    while left=$((end - $(now))) && [ "$left" -ge 8 ]; do
        round=$((left < round_seconds ? left : round_seconds))
        fuzz simple_heap "$((round / 8))"
        fuzz heap "$((round * 3 / 8))"
        fuzz address_space "$((round / 8))"
        suite properties "$((round / 4))" "$cases"
        suite arenas "$((round / 8))" 1
        ring3 "$((round / 4))"
    done
    summary "nothing found"
}

now() {
    date +%s
}

# MINUTES in seconds.
soak_seconds() {
    case ${MINUTES:=5} in
        *[!0-9]* | 0*) fail "MINUTES is '$MINUTES'; expected a whole number from 1 on" ;;
    esac
    printf '%s' "$((MINUTES * 60))"
}

prepare() {
    wait_for_other_runs
    host_ready || host_install
    fuzz_ready || fuzz_install
    find_sanitizer
    # Released: what follows needs no set-up, and may take hours.
    exec 9>&-
}

# RUSTC_BOOTSTRAP lets a stable compiler take the -Z flags of cargo-fuzz.
build() {
    printf 'soak: building the fuzz targets (sanitizer: %s) and the property tests\n' "$sanitizer"
    (cd "$root/fuzz" && RUSTC_BOOTSTRAP=1 "$setup_dir/bin/cargo-fuzz" fuzz build \
        --sanitizer "$sanitizer" --target-dir "$fuzz_dir" >"$log" 2>&1) || build_failed
    (cd "$root" && cargo test --release --test all --no-run >"$log" 2>&1) || build_failed
    sh "$here/setup.sh" run >"$log" 2>&1 || build_failed
    programs=$fuzz_dir/$(rustc --print host-tuple)/release
    : >"$log"
}

build_failed() {
    fail "the build failed" "$(tail -n 40 "$log")"
}

# Runs fuzz target $1 for $2 seconds.
fuzz() {
    target=$1
    mkdir -p "$fuzz_dir/corpus/$target"
    status=0 since=$(now)
    # What is found goes into the first folder; the second one is only read.
    libfuzzer "$target" -max_total_time="$2" -max_len="$longest" -timeout=30 -print_final_stats=1 \
        -artifact_prefix="$fuzz_dir/failures/$target-" "$fuzz_dir/corpus/$target" "$root/fuzz/seeds/$target" \
        >"$fuzz_dir/part.log" 2>&1 || status=$?
    cat "$fuzz_dir/part.log" >>"$log"

    ran=$(sed -n 's/^stat::number_of_executed_units: *//p' "$fuzz_dir/part.log")
    eval "${target}_total=\$((${target}_total + ${ran:-0}))"
    progress "$target" "$(($(now) - since))" "${ran:-0} executions, $(sed -n 's/.*cov: \([0-9]*\) .*/\1/p' "$fuzz_dir/part.log" | tail -n 1) edges reached"
    [ "$status" = 0 ] || fuzz_failed "$target"
}

# Runs the program of fuzz target $1 with the other arguments. No leaks are looked for: the heap's memory is freed as a whole.
libfuzzer() {
    program=$programs/$1
    shift
    ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0 "$program" "$@"
}

# Shows the input on which target $1 failed: as it was found, made shorter, and as operations.
fuzz_failed() {
    input=$(sed -n 's/.*Test unit written to //p' "$fuzz_dir/part.log" | tail -n 1)
    printf '\nsoak: FAILED: %s\n' "$1"
    grep -A 3 -m 1 -E "panicked at|ERROR: " "$fuzz_dir/part.log" || tail -n 20 "$fuzz_dir/part.log"
    if [ -n "$input" ]; then
        shorter=$input.shorter
        cp "$input" "$shorter"
        libfuzzer "$1" -minimize_crash=1 -max_total_time=30 -timeout=30 -exact_artifact_path="$shorter" "$input" >>"$log" 2>&1 || true
        RUST_LIBFUZZER_DEBUG_PATH="$shorter.txt" libfuzzer "$1" "$shorter" >>"$log" 2>&1 || true
        printf '\ninput, as found:   %s\nmade shorter:      %s\nits operations:    %s\n' "$input" "$shorter" "$(cat "$shorter.txt")"
        case $1 in
            address_space) test='(cd kernel-demo && cargo test --lib address_space)' ;;
            *) test='cargo test --test all seeds::   (which says where its name goes)' ;;
        esac
        printf 'as a test:         cp %s fuzz/seeds/%s/ && %s\n' "$shorter" "$1" "$test"
    fi
    summary "one failure"
    exit 1
}

# Runs the tests of suite $1 again and again until $2 seconds are over: random programs with seeds of their own each time, threads with more
# rounds than `make test` gives them. Each test that passes counts for $3.
suite() {
    since=$(now) ran=0
    while [ "$(($(now) - since))" -lt "$2" ]; do
        status=0
        (cd "$root" && PROPTEST_CASES="$cases" BRKALLOC_STRESS="$stress" cargo test --release --test all -- "$1::") >"$fuzz_dir/part.log" 2>&1 || status=$?
        cat "$fuzz_dir/part.log" >>"$log"
        passed=$(sed -n 's/^test result: .* \([0-9]*\) passed;.*/\1/p' "$fuzz_dir/part.log")
        ran=$((ran + ${passed:-0} * $3))
        [ "$status" = 0 ] || suite_failed "$1"
        [ "${passed:-0}" -gt 0 ] || fail "tests/$1.rs ran no test" "$(cat "$fuzz_dir/part.log")"
    done
    eval "${1}_total=\$((${1}_total + ran))"
    progress "$1" "$(($(now) - since))" "$ran cases"
}

# Runs all short programs for about $1 seconds in all: eight searches from a fresh heap and twelve others, which take a sixth as long, two at a
# time or more. None is longer than of seven actions: more than that takes longer than any soak.
worlds() {
    since=$(now) status=0
    (cd "$root" && WORLDS_DEPTH="${WORLDS_DEPTH:-7}" WORLDS_SECONDS="$(($1 / 5 + 1))" cargo test --release --test all -- worlds:: --nocapture) >"$fuzz_dir/part.log" 2>&1 || status=$?
    cat "$fuzz_dir/part.log" >>"$log"
    [ "$status" = 0 ] || { grep -A 8 'the program that failed' "$fuzz_dir/part.log"; suite_failed worlds; }
    sed -n 's/.*\(worlds: [0-9]* of .*\)/soak:   \1/p' "$fuzz_dir/part.log"
    worlds_total=$(sed -n 's/.*worlds: \([0-9]*\) of .*/\1/p' "$fuzz_dir/part.log" | awk '{ n += $1 } END { print n + 0 }')
    [ "$worlds_total" -gt 0 ] || fail "tests/worlds.rs ran no test" "$(cat "$fuzz_dir/part.log")"
    progress worlds "$(($(now) - since))" "$worlds_total worlds"
}

# Makes system calls of chance in the demo kernel for $1 seconds: with a seed of its own each time, and another amount of memory.
ring3() {
    since=$(now) ran=0
    while [ "$(($(now) - since))" -lt "$1" ]; do
        seed=$(od -An -N3 -tu4 /dev/urandom | tr -d ' ') mib=$((32 + ran / 8 % 4 * 32)) status=0
        (cd "$root" && SEED="$seed" MEM="${mib}M" FILTER=programs::fuzz sh tools/harness.sh suite) >"$fuzz_dir/part.log" 2>&1 || status=$?
        cat "$fuzz_dir/part.log" >>"$log"
        ran=$((ran + 8))
        if [ "$status" != 0 ]; then
            printf 'as a test:         SEED=%s MEM=%sM make suite FILTER=programs::fuzz\n' "$seed" "$mib"
            suite_failed ring3
        fi
    done
    ring3_total=$((ring3_total + ran))
    progress ring3 "$(($(now) - since))" "$ran rounds"
}

# Proptest has shortened the input by itself, and says what it is.
suite_failed() {
    printf '\nsoak: FAILED: %s\n' "$1"
    sed -n '/^failures:/,$p' "$fuzz_dir/part.log"
    summary "one failure"
    exit 1
}

# One line: part $1 ran for $2 seconds and did $3.
progress() {
    printf 'soak: %4s s left   %-13s %4s s   %s\n' "$((end > $(now) ? end - $(now) : 0))" "$1" "$2" "$3"
}

summary() {
    trap - INT TERM
    printf '\nsoak: heap: %s executions; simple_heap: %s executions; address_space: %s executions; properties: %s cases; arenas: %s cases; ring3: %s rounds; worlds: %s: %s\n' \
        "$heap_total" "$simple_heap_total" "$address_space_total" "$properties_total" "$arenas_total" "$ring3_total" "$worlds_total" "$1"
}

main "$@"
