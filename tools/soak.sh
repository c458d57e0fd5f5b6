#!/bin/sh
# Searches the allocator, its arenas, its C library and the kernel's memory system for bugs, for as
# long as told. `make soak` calls it.
#
#     MINUTES=600 sh tools/soak.sh
#
#     first      worlds         tests/worlds.rs, 1/4 of the time          all short programs, the shortest first
#                mutants        tools/mutants.sh, 1/12 of the time       changes of the allocator that a test must notice
#     round      simple_heap    libFuzzer, 2/22 of a round               programs that reach code nothing reached before
#     after      heap           libFuzzer, 5/22                          (fuzz/targets, from fuzz/seeds on)
#     round      address_space  libFuzzer, 2/22
#                properties     tests/properties.rs, 3/22                random programs, with new seeds each time
#                arenas         tests/arenas.rs, 3/22                    threads in every constellation, for longer
#                forks          forks among threads, 1/22                malloc/tests and tests/arenas, again and again
#                limits         refused memory, 1/22                     a break, mappings or frames that are refused
#                ring3          tests/qemu/programs/fuzz.rs, 3/22        random system calls, on 32 to 128 MiB
#                smp            the same with two CPUs, 2/22
#
# Heaps are run by tests/common/driver.rs, address spaces by kernel-demo/src/address_space/model. It
# ends at the first failure: with status 1 and the input that failed, as a file and as a list of
# operations. docs/TESTING.md says how to go on from there. A survivor among the mutants is no
# failure.
#
# A soak that was interrupted resumes: the next one with the same MINUTES and commit takes the time
# that is left, and begins with the part that would have been next. RESUME=0 begins anew. Corpora
# and outcomes of mutants stay in any case.
#
# Everything goes into target/fuzz, and the tool that builds the targets into target/setup:
#     corpus/      what libFuzzer found worth keeping; the next soak goes on with it
#     failures/    inputs that failed
#     soak.log     what the programs of the last soak wrote
#     state        what is left of a soak that was interrupted
# and a line for each soak to docs/soak.log: date, commit, minutes, executions, states, failures.
#
# Variables: MINUTES  how long, not counting what it takes to build (5)

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
setup_dir=$root/target/setup
fuzz_dir=$root/target/fuzz
log=$fuzz_dir/soak.log
state=$fuzz_dir/state
history=${SOAK_HISTORY:-$root/docs/soak.log}

. "$here/setup/common.sh"
. "$here/setup/host.sh"
. "$here/setup/fuzz.sh"

# Seconds of one round: short enough to see all parts at work early.
round_seconds=240

# The parts of a round, with their shares in 22nds.
parts='simple_heap:2 heap:5 address_space:2 properties:3 arenas:3 forks:1 limits:1 ring3:3 smp:2'

# Shortest soak, in seconds, that has mutants: their tests are compiled first, in two minutes.
mutants_from=1800

# The longest input, in bytes: about 400 operations. Longer ones find little more and take longer.
longest=1024

# Cases of each property test in one go: a few seconds.
cases=2000

# How many times as many rounds the tests of arenas have.
stress=10

# Names of tests that refuse memory, and of those that fork.
limit_tests='limit refused break blocked'
fork_tests='fork'

main() {
    seconds=$(soak_seconds)
    mkdir -p "$setup_dir/bin" "$fuzz_dir/failures"
    prepare
    build

    commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
    # A `+` for changes that no commit has, but for those of the history.
    git -C "$root" diff --quiet HEAD -- . ':!docs' 2>/dev/null || commit=$commit+
    for part in worlds mutants $parts; do
        eval "${part%%:*}_total=0"
    done
    left=$seconds next=''
    resume
    # A signal may arrive while standard output is a log.
    exec 3>&1
    trap 'interrupted' INT TERM
    printf 'soak: %s min; what the programs write goes to target/fuzz/soak.log\n' "$((left / 60))"
    [ "$seconds" -ge "$mutants_from" ] || printf 'soak: left out: mutants: a soak of %s min and more tries them\n' "$((mutants_from / 60))"
    end=$(($(now) + left))
    if [ -z "$next" ]; then
        worlds "$((seconds / 4))"
        [ "$seconds" -lt "$mutants_from" ] || mutants "$((seconds / 12))"
    fi
    while [ "$((end - $(now)))" -ge 22 ]; do
        for part in $parts; do
            name=${part%%:*} left=$((end - $(now)))
            if [ -n "$next" ] && [ "$next" != "$name" ]; then
                continue
            fi
            next=''
            round=$((left < round_seconds ? left : round_seconds))
            share=$((round * ${part#*:} / 22))
            [ "$share" -gt 0 ] || continue
            save "$name"
            run_part "$name" "$share"
        done
    done
    rm -f "$state"
    summary "nothing found"
}

# Runs part $1 for $2 seconds.
run_part() {
    case $1 in
        simple_heap | heap | address_space) fuzz "$1" "$2" ;;
        properties) suite properties "$2" "$cases" 'properties::' ;;
        arenas) suite arenas "$2" 1 'arenas::' ;;
        forks) suite forks "$2" 1 'arenas::fork' && libmalloc forks "$2" "$fork_tests" ;;
        limits) suite limits "$2" 1 'growth:: edges::' && libmalloc limits "$2" "$limit_tests" ;;
        ring3) kernel ring3 "$2" 1 ;;
        smp) kernel smp "$2" 2 ;;
    esac
}

# Notes what is left, and that part $1 is next.
save() {
    {
        printf 'minutes=%s commit=%s left=%s next=%s' "$MINUTES" "$commit" "$left" "$1"
        for part in worlds mutants $parts; do
            eval "printf ' %s_total=%s' ${part%%:*} \"\$${part%%:*}_total\""
        done
        printf '\n'
    } | write_file "$state"
}

# Takes up what is left of a soak that was interrupted, if it was one like this.
resume() {
    [ "${RESUME:-1}" != 0 ] && [ -r "$state" ] || return 0
    read -r saved <"$state"
    case $saved in
        "minutes=$MINUTES commit=$commit left="*)
            for word in $saved; do
                case $word in
                    left=* | next=* | *_total=*) eval "$word" ;;
                esac
            done
            printf 'soak: resumes with %s, %s min left; RESUME=0 begins anew\n' "$next" "$((left / 60))"
            ;;
    esac
}

interrupted() {
    printf 'soak: `make soak MINUTES=%s` resumes\n' "$MINUTES" >&3
    summary "interrupted" >&3
    exit 130
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
    printf 'soak: building the fuzz targets (sanitizer: %s), the suites and the C library\n' "$sanitizer"
    (cd "$root/fuzz" && RUSTC_BOOTSTRAP=1 "$setup_dir/bin/cargo-fuzz" fuzz build \
        --sanitizer "$sanitizer" --target-dir "$fuzz_dir" >"$log" 2>&1) || build_failed
    (cd "$root" && cargo test --release --test all --no-run >"$log" 2>&1) || build_failed
    malloc build --package brkmalloc >"$log" 2>&1 || build_failed
    malloc test --package brkmalloc-tests --test small_programs --no-run >"$log" 2>&1 || build_failed
    sh "$here/setup.sh" run >"$log" 2>&1 || build_failed
    programs=$fuzz_dir/$(rustc --print host-tuple)/release
    : >"$log"
}

# Runs cargo command $1 on the C library and its tests, with the other arguments.
malloc() {
    command=$1
    shift
    (cd "$root" && cargo "$command" --release --manifest-path malloc/Cargo.toml --target-dir target "$@")
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

# Runs the program of fuzz target $1 with the other arguments. No leaks are looked for: the heap's
# memory is freed as a whole.
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

# Runs the tests whose names contain one of the words $4 again and again until $2 seconds are over,
# as part $1: random programs with new seeds each time, threads with more rounds than `make test`
# gives them. Each test that passes counts for $3.
suite() {
    since=$(now) ran=0
    while [ "$(($(now) - since))" -lt "$2" ]; do
        status=0
        # shellcheck disable=SC2086 # names of tests are words
        (cd "$root" && PROPTEST_CASES="$cases" BRKALLOC_STRESS="$stress" cargo test --release --test all -- $4) >"$fuzz_dir/part.log" 2>&1 || status=$?
        cat "$fuzz_dir/part.log" >>"$log"
        passed=$(sed -n 's/^test result: .* \([0-9]*\) passed;.*/\1/p' "$fuzz_dir/part.log")
        ran=$((ran + ${passed:-0} * $3))
        [ "$status" = 0 ] || suite_failed "$1"
        [ "${passed:-0}" -gt 0 ] || fail "no test has a name with: $4" "$(cat "$fuzz_dir/part.log")"
    done
    eval "${1}_total=\$((${1}_total + ran))"
    progress "$1" "$(($(now) - since))" "$ran cases"
}

# Runs all short programs for about $1 seconds in all: eight searches from a fresh heap and twelve
# others, which take a sixth as long, two at a time or more. None is longer than of seven actions:
# more than that takes longer than any soak.
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

# Makes random system calls in the demo kernel for $2 seconds, as part $1 on $3 CPUs: with a new
# seed each time, and another amount of memory.
kernel() {
    since=$(now) ran=0
    while [ "$(($(now) - since))" -lt "$2" ]; do
        seed=$(od -An -N3 -tu4 /dev/urandom | tr -d ' ') mib=$((32 + ran / 8 % 4 * 32)) status=0
        (cd "$root" && SEED="$seed" MEM="${mib}M" SMP="$3" FILTER=programs::fuzz sh tools/harness.sh suite) >"$fuzz_dir/part.log" 2>&1 || status=$?
        cat "$fuzz_dir/part.log" >>"$log"
        ran=$((ran + 8))
        if [ "$status" != 0 ]; then
            printf 'as a test:         SEED=%s MEM=%sM SMP=%s make suite FILTER=programs::fuzz\n' "$seed" "$mib" "$3"
            suite_failed "$1"
        fi
    done
    eval "${1}_total=\$((${1}_total + ran))"
    progress "$1" "$(($(now) - since))" "$ran rounds"
}

# Runs the tests of the C library whose names contain one of the words $3, until $2 seconds are
# over, as part $1.
libmalloc() {
    since=$(now) ran=0
    while [ "$(($(now) - since))" -lt "$2" ]; do
        status=0
        # shellcheck disable=SC2086 # names of tests are words
        malloc test --package brkmalloc-tests --test small_programs -- $3 >"$fuzz_dir/part.log" 2>&1 || status=$?
        cat "$fuzz_dir/part.log" >>"$log"
        passed=$(sed -n 's/^test result: .* \([0-9]*\) passed;.*/\1/p' "$fuzz_dir/part.log")
        ran=$((ran + ${passed:-0}))
        [ "$status" = 0 ] || suite_failed "$1"
        [ "${passed:-0}" -gt 0 ] || fail "malloc/tests ran no test of: $3" "$(cat "$fuzz_dir/part.log")"
    done
    eval "${1}_total=\$((${1}_total + ran))"
    progress "$1" "$(($(now) - since))" "$ran programs"
}

# Tries mutants for about $1 seconds.
mutants() {
    since=$(now)
    before=$(tried_mutants)
    status=0
    sh "$here/mutants.sh" try --seconds "$1" >"$fuzz_dir/part.log" 2>&1 || status=$?
    cat "$fuzz_dir/part.log" >>"$log"
    if [ "$status" != 0 ]; then
        printf 'soak: left out: mutants: %s\n' "$(tail -n 1 "$fuzz_dir/part.log")"
        return
    fi
    after=$(tried_mutants)
    mutants_total=$((mutants_total + after - before))
    progress mutants "$(($(now) - since))" "$((after - before)) mutants, $(grep -c '^survived' "$fuzz_dir/part.log" || true) survivors so far"
}

tried_mutants() {
    cat "$root/target/mutants/outcomes" 2>/dev/null | wc -l
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

# Ends the soak with what ran, and appends the line to the history. $1 says what was found.
summary() {
    trap - INT TERM
    counts=''
    for part in worlds mutants $parts; do
        eval "counts=\"\$counts ${part%%:*} \$${part%%:*}_total;\""
    done
    executions=$((simple_heap_total + heap_total + address_space_total))
    printf '\nsoak:%s %s\n' "$counts" "$1"
    [ -s "$history" ] || printf 'date\tcommit\tminutes\texecutions\tstates\tparts\tresult\n' >"$history"
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u '+%Y-%m-%d %H:%M')" "$commit" "$(((seconds - (end - $(now))) / 60))" \
        "$executions" "$worlds_total" "${counts# }" "$1" >>"$history"
}

main "$@"
