# The kernel's compiler from rustup: a nightly that is already here and complete, or the pinned one,
# fetched.

# The one place that pins a nightly.
pinned_nightly=nightly-2026-05-20

# Sets SYSROOT to a complete nightly's; the pinned one first. Fetches nothing.
rustup_find() {
    have rustup || return 1
    for toolchain in $pinned_nightly $(rustup toolchain list 2>/dev/null | awk '/^nightly/ { print $1 }'); do
        sysroot=$(rustup run "$toolchain" rustc --print sysroot 2>/dev/null) || continue
        if sysroot_complete "$sysroot"; then
            SYSROOT=$sysroot KIND=rustup
            return
        fi
    done
    return 1
}

# Fetches the pinned nightly. `rustup_obstacle` says why it could not.
rustup_fetch() {
    if ! have rustup; then
        rustup_obstacle='there is no rustup on PATH'
        return 1
    fi
    say "fetching $pinned_nightly with rust-src and llvm-tools: the kernel's target needs 'core' rebuilt (rustup)"
    if ! rustup toolchain install "$pinned_nightly" --profile minimal --no-self-update \
        --component rust-src --component llvm-tools-preview >"$setup_dir/rustup.log" 2>&1; then
        rustup_obstacle="rustup could not fetch $pinned_nightly: $(grep -m1 '^error' "$setup_dir/rustup.log" || echo 'no reason given')"
        return 1
    fi
    rustup_find && return
    rustup_obstacle="rustup installed $pinned_nightly, but it is not complete"
    return 1
}

rustup_command="rustup toolchain install $pinned_nightly --profile minimal -c rust-src -c llvm-tools-preview"
