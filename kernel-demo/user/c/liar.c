/* Registers a heap that is none, to see that who looks at it believes nothing.

   `liar` writes two cells and then a size beyond the end; `liar loop` a free list that ends where it
   begins; `liar far` an address that no process has; `liar high` offsets that lead beyond all
   addresses. Each waits if `stay` follows. */
#include <heap_layout.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "size";
    size_t *words = sbrk(4096);
    if (words == (void *)-1)
        return 1;
    struct heap_layout layout = {.size_bits = (size_t)-1};
    words[0] = 32;
    words[4] = 64;
    words[12] = (size_t)-64;
    if (strcmp(what, "loop") == 0) {
        words[12] = 4096 - 96;
        words[1] = (size_t)words;
        words[20] = (size_t)words;
        layout.free_at = (size_t)&words[20];
        layout.next_at = 8;
    }
    if (strcmp(what, "far") == 0)
        layout.start = (size_t)1 << 63;
    if (strcmp(what, "high") == 0) {
        layout.used_bits = 1;
        layout.used_at = (size_t)-1;
    }
    heap_register(&layout);
    printf("%s\n", what);
    for (int stays = argc > 2; stays;)
        pause();
    return 0;
}
