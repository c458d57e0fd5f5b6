/* The break cannot move at all, from the beginning: something is mapped right above it. */
#include "check.h"
#include <sys/mman.h>

__attribute__((constructor(101))) static void block_the_break(void) {
    char *end = sbrk(0);
    char *above = (char *)(((uintptr_t)end + 4095) & ~(uintptr_t)4095);
    CHECK(mmap(above, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == above);
}

int main(void) {
    enum { COUNT = 20000 };
    static char *blocks[COUNT];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            blocks[i] = malloc(1 + i % 3000);
            CHECK(blocks[i]);
            memset(blocks[i], i, 1 + i % 3000);
        }
        for (int i = 0; i < COUNT; i++) {
            CHECK(blocks[i][0] == (char)i && blocks[i][i % 3000] == (char)i);
            free(blocks[i]);
        }
    }
    puts("refused_break: ok");
    return 0;
}
