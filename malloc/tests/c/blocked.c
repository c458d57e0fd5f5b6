/* A mapping right above the break, made after the first blocks: the heap continues elsewhere,
   wherever the kernel places mappings. "lock": with all memory locked, only what is used is
   resident. */
#include "check.h"
#include <malloc.h>
#include <sys/mman.h>

static long resident(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

int main(int count, char **arguments) {
    memset(hidden(malloc(100)), 1, 100);
    char *above = (char *)(((uintptr_t)sbrk(0) + 4095) & ~(uintptr_t)4095);
    CHECK(mmap(above, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == above);
    if (count > 1 && mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        puts("blocked, without permission to lock memory: ok");
        return 0;
    }
    long before = resident();
    enum { COUNT = 20000 };
    static char *blocks[COUNT];
    for (int round = 0; round < 3; round++) {
        size_t live = 0;
        for (int i = 0; i < COUNT; i++) {
            size_t size = 1 + i % 2000 + (i % 1000 ? 0 : 100000);
            blocks[i] = malloc(size);
            CHECK(blocks[i]);
            memset(blocks[i], i, size);
            live += size;
        }
        CHECK(resident() - before < (long)live * 2 + (4 << 20));
        for (int i = 0; i < COUNT; i++) {
            CHECK(blocks[i][0] == (char)i && blocks[i][i % 2000] == (char)i);
            free(blocks[i]);
        }
        malloc_trim(0);
    }
    puts("blocked: ok");
    return 0;
}
