#!/bin/sh
# Runs the harness (tools/harness), built anew if its source has changed. Only the first build takes
# long enough to be announced.
cd "$(dirname "$0")/.."
if [ ! -x target/debug/harness ]; then
    printf 'building tools/harness, which builds, boots and judges … '
    begun=$(date +%s)
    cargo build --quiet --package harness || exit
    echo "$(($(date +%s) - begun)) s"
fi
# The firmware that the set-up found, for machines with UEFI.
KERNTEST_OVMF=${KERNTEST_OVMF:-$(sed -n "s/^OVMF='\(.*\)'\$/\1/p" target/setup/env 2>/dev/null)}
export KERNTEST_OVMF
exec cargo run --quiet --package harness -- "$@"
