#!/bin/sh
# Runs the harness (tools/harness), built anew if its source has changed. Only the first build takes
# long enough to be announced.
cd "$(dirname "$0")/.."
[ -x target/debug/harness ] || echo 'building tools/harness: it builds, boots and judges (cargo, about 20 s)'
# The firmware that the set-up found, for machines with UEFI.
KERNTEST_OVMF=${KERNTEST_OVMF:-$(sed -n "s/^OVMF='\(.*\)'\$/\1/p" target/setup/env 2>/dev/null)}
export KERNTEST_OVMF
exec cargo run --quiet --package harness -- "$@"
