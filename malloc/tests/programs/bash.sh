# needs: bash
# version: bash --version
exec bash -euo pipefail -c '
words=() table=""
declare -A count
for ((i = 0; i < 4000 * SCALE; i++)); do
    word="w$((i * 7919 % 1009))"
    words+=("$word$i")
    count[$word]=$((${count[$word]:-0} + 1))
done
echo "${#words[@]} words, ${#count[@]} kinds, w7: ${count[w7]}"
text=$(printf "%s\n" "${words[@]}" | sort | sed -n 1,500p | while read -r line; do echo "${line^^}:${line//w/x}"; done)
echo "${#text} characters"
for ((i = 0; i < 20 * SCALE; i++)); do (echo "$i" "${words[@]:i:3}") | { read -r a b; table+="$a=$b;"; echo "$table"; }; done | tail -n 3
long=x; for ((i = 0; i < 16; i++)); do long=$long$long; done; echo "${#long} ${long:100:3} ${long/xxx/y}" | cut -c 1-20
'
