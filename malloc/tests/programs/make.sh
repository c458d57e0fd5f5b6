# needs: make gcc
# version: make --version
# Two compilers at once, most of the time.
{
    printf 'all: program\n\t./program\n\nprogram:'
    n=1
    while [ "$n" -le $((8 * SCALE)) ]; do printf ' %s.o' "$n"; n=$((n + 1)); done
    printf ' main.o\n\t$(CC) -o $@ $^\n\n%%.o: %%.c\n\t@$(CC) -O2 -c -o $@ $<\n'
} >Makefile
n=1
: >main.c
while [ "$n" -le $((8 * SCALE)) ]; do
    {
        echo '#include <stdio.h>'
        echo '#include <stdlib.h>'
        echo '#include <string.h>'
        f=0
        while [ "$f" -lt 40 ]; do
            echo "static int f$f(int x) { char t[64]; snprintf(t, sizeof t, \"%d-$f\", x); return (int)strlen(t) + x * $f; }"
            f=$((f + 1))
        done
        printf 'int part%s(int x) { return f1(x)' "$n"
        f=0
        while [ "$f" -lt 40 ]; do printf ' + f%s(x + %s)' "$f" "$n"; f=$((f + 1)); done
        echo '; }'
    } >"$n.c"
    echo "int part$n(int);" >>main.c
    n=$((n + 1))
done
{
    echo '#include <stdio.h>'
    echo 'int main(void) { int sum = 0;'
    n=1
    while [ "$n" -le $((8 * SCALE)) ]; do echo "sum += part$n($n);"; n=$((n + 1)); done
    printf '%s\n' 'printf("%d\n", sum); return 0; }'
} >>main.c
make --no-print-directory -j2 | tail -n 1
