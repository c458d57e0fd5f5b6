# needs: xz
# version: xz --version
awk -v n=$((200000 * SCALE)) 'BEGIN { s = 1; for (i = 0; i < n; i++) { s = (s * 16807) % 2147483647; print i, s % 977, s % 31 } }' >data
xz -T2 --block-size=1MiB -3 -k data && xz -t -T2 data.xz && xz -dc -T2 data.xz | cmp - data && sha256sum <data.xz
