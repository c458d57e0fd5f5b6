#!/bin/sh
# Prepares this machine to build, boot and test the kernel. `make run` and `make test` call it;
# nobody else has to.
#
#     sh tools/setup.sh         everything that `make test` needs
#     sh tools/setup.sh all     the same, and what only `make test-all` needs
#     sh tools/setup.sh run     what it takes to boot the kernel; leaves out what only the tests need
#     sh tools/setup.sh gdb     the same, and a debugger
#     sh tools/setup.sh examples   the same as run, and the machines that boot examples
#
#     setup.sh ─┬─ elsewhere.sh   without apt-get: what is missing, and the packages of four other systems
#               ├─ host.sh        a stable cargo, a C linker; for the tests clippy and rustfmt
#               ├─ toolchain.sh   a compiler that can rebuild `core` for x86_64-target.json:
#               │                   rustup.sh   a nightly that is here, or one that rustup fetches
#               │                   debian.sh   Debian's packages, behind a sysroot of our own
#               ├─ oldest.sh      for the tests: the oldest Rust that the allocator compiles with
#               ├─ bootimage.sh   the tool that joins kernel and bootloader to a disk image
#               ├─ qemu.sh        the machine that boots it
#               ├─ gdb.sh         for `make gdb`: the debugger
#               ├─ examples.sh    for examples and tests: emulators of other processors, firmware, Limine
#               ├─ host32.sh      for the tests: what their 32-bit run needs
#               ├─ processors.sh  for all tests: compilers and emulators of other processors
#               ├─ browser.sh     for all tests: Chromium, which opens the pages of stories
#               ├─ sanitizers.sh  for the tests: the runtime of AddressSanitizer and ThreadSanitizer
#               └─ programs.sh    for the tests: real programs to run with libbrkmalloc.so
#
# Everything goes into target/setup, except distribution packages and rustup toolchains:
#     target/setup/env    KEY='value' lines: what was found; read by this script and by tools/harness
#     target/setup/bin    cargo, rustc, bootimage: put first on PATH, they build for the kernel
#
# There is no stamp that says "done". Each run looks at what is really there, which takes under a
# second, and does the rest. Files are written under another name and then renamed, so a run that
# was interrupted leaves nothing half-made.
#
# Variables: TOOLCHAIN=rustup|debian  take the kernel's compiler from there, and from nowhere else.

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
setup_dir=$root/target/setup
parts=$here/setup

. "$parts/common.sh"
. "$parts/elsewhere.sh"
. "$parts/host.sh"
. "$parts/rustup.sh"
. "$parts/debian.sh"
. "$parts/toolchain.sh"
. "$parts/oldest.sh"
. "$parts/bootimage.sh"
. "$parts/qemu.sh"
. "$parts/gdb.sh"
. "$parts/examples.sh"
. "$parts/host32.sh"
. "$parts/processors.sh"
. "$parts/browser.sh"
. "$parts/sanitizers.sh"
. "$parts/programs.sh"

main() {
    check_arguments "$@"
    mkdir -p "$setup_dir/bin"
    wait_for_other_runs
    load_env

    elsewhere_check
    host_ready      || host_install
    toolchain_ready || toolchain_install
    bootimage_ready || bootimage_install
    qemu_ready      || qemu_install
    if [ "$purpose" = gdb ]; then
        gdb_ready   || gdb_install
    fi
    case $purpose in
        test | all | examples) examples_ready || examples_install ;;
    esac
    if [ "$purpose" = all ]; then
        processors_ready || processors_install
        browser_ready || browser_install
        purpose=test
    fi
    if [ "$purpose" = test ]; then
        lints_ready  || lints_install
        oldest_ready || oldest_install
        host32_ready || host32_install
        sanitizers_ready || sanitizers_install
        programs_ready || programs_install
    fi

    save_env
    say "ready: $toolchain_title, bootimage $bootimage_version, $qemu_title"
    if [ "$purpose" = test ]; then
        say "programs: $programs_title"
    fi
}

# Sets `purpose`.
check_arguments() {
    purpose=${1:-test}
    case $purpose in
        run | gdb | examples | test | all) ;;
        *) fail "the argument is '$purpose'; expected 'run', 'gdb', 'examples', 'test', 'all'" ;;
    esac
    case ${TOOLCHAIN:-any} in
        any | rustup | debian) ;;
        *) fail "TOOLCHAIN is '$TOOLCHAIN'; expected 'rustup', 'debian' or nothing" ;;
    esac
    case $root in
        *[\'\ ]*) fail "the project's path contains a space or a quote, which make and cargo do not get along with: $root" ;;
    esac
}

main "$@"
