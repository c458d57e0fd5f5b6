# The compiler for the kernel. Its target is a custom one, so the standard library is built from
# source, and that source must be exactly the compiler's; bootimage wants LLVM's tools inside the
# compiler's sysroot.
#
# Whatever it comes from, it ends as two wrappers, target/setup/bin/{cargo,rustc}.

llvm_tools='llvm-objcopy llvm-objdump llvm-size llvm-nm llvm-ar llvm-strip'

# Does the compiler that the last run chose still work, and is it what TOOLCHAIN asks for?
toolchain_ready() {
    case ${TOOLCHAIN:-any} in any | "$KIND") ;; *) return 1 ;; esac
    [ -n "$KIND" ] && sysroot_complete "$SYSROOT" &&
        [ "$("$setup_dir/bin/rustc" --print sysroot 2>/dev/null)" = "$SYSROOT" ] &&
        "$setup_dir/bin/cargo" --version 2>/dev/null | grep -q '^cargo ' || return 1
    toolchain_title="rustc $release ($KIND)"
}

toolchain_install() {
    rustup_obstacle='' debian_obstacle=''
    case ${TOOLCHAIN:-any} in
        any) rustup_find || rustup_fetch || debian_install || toolchain_missing ;;
        rustup) rustup_find || rustup_fetch || toolchain_missing ;;
        debian) debian_install || toolchain_missing ;;
    esac
    toolchain_wrappers
    toolchain_ready || fail "the compiler for the kernel was installed, but does not run: $setup_dir/bin/rustc"
}

toolchain_missing() {
    fail "no compiler that can build the kernel: it takes a nightly rustc with its source (rust-src) and LLVM's tools" \
        "rustup:  ${rustup_obstacle:-not asked (TOOLCHAIN=$TOOLCHAIN)}" \
        "Debian:  ${debian_obstacle:-not asked (TOOLCHAIN=${TOOLCHAIN:-})}" \
        "To install it yourself, run one of these and then this again:" \
        "    $rustup_command" \
        "    apt-get install --no-install-recommends ${debian_packages:-rustc-web cargo-web rust-web-src rust-web-llvm lld-22}"
}

# Is $1 a sysroot with a compiler, a cargo new enough, the library's source of the same version, and
# LLVM's tools?
sysroot_complete() {
    sysroot=$1 source=$1/lib/rustlib/src/rust
    [ -x "$sysroot/bin/rustc" ] && [ -x "$sysroot/bin/cargo" ] && [ -r "$source/library/core/src/lib.rs" ] || return 1
    release=$("$sysroot/bin/rustc" -vV 2>/dev/null) || return 1
    host=$(printf '%s\n' "$release" | sed -n 's/^host: //p')
    release=$(printf '%s\n' "$release" | sed -n 's/^release: //p')
    # rustup sees to it that source and compiler match, and ships no such file; Debian's packages
    # can be of two versions.
    if [ -r "$source/src/version" ] && [ "$(cat "$source/src/version")" != "$release" ]; then
        return 1
    fi
    for tool in $llvm_tools rust-lld; do
        [ -x "$sysroot/lib/rustlib/$host/bin/$tool" ] || return 1
    done
    RUSTC_BOOTSTRAP=1 "$sysroot/bin/cargo" -Z help 2>/dev/null | grep -q json-target-spec
}

# RUSTC_BOOTSTRAP lets a stable compiler, which Debian's is, take the -Z flags; a nightly takes them
# anyway. CARGO and RUSTC lead programs that cargo starts, such as bootimage, back to these
# wrappers.
toolchain_wrappers() {
    for tool in rustc cargo; do
        case $tool in rustc) arguments="--sysroot '$SYSROOT'" ;; cargo) arguments='' ;; esac
        {
            printf '#!/bin/sh\n# Written by tools/setup.sh: %s for the kernel.\n' "$tool"
            printf "export RUSTC_BOOTSTRAP=1 CARGO='%s' RUSTC='%s'\n" "$setup_dir/bin/cargo" "$setup_dir/bin/rustc"
            printf "exec '%s' %s \"\$@\"\n" "$SYSROOT/bin/$tool" "$arguments"
        } | write_file "$setup_dir/bin/$tool.tmp"
        chmod +x "$setup_dir/bin/$tool.tmp"
        mv -f "$setup_dir/bin/$tool.tmp" "$setup_dir/bin/$tool"
    done
}
