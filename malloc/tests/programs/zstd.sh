# needs: zstd
# version: zstd --version
awk -v n=$((200000 * SCALE)) 'BEGIN { s = 1; for (i = 0; i < n; i++) { s = (s * 16807) % 2147483647; print i, s % 977, s % 31 } }' >data
zstd -q -T2 -B1MiB -7 -k data && zstd -q -t data.zst && zstd -q -dc data.zst | cmp - data && zstd -q -dc data.zst | sha256sum
zstd -q -T2 --long=22 -15 data -o long.zst && zstd -q -dc --long=22 long.zst | cmp - data && ls -l data | awk '{ print $5 }'
