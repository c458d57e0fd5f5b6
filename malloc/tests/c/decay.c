/* The pages of free memory go back, though live blocks lie between and above: of long blocks, by
   requests for longer ones, and ("small") of small ones by small requests alone. With "never" they
   stay until malloc_trim. */
#include "check.h"
#include <malloc.h>
#include <time.h>

enum { COUNT = 200, FREED = 100 << 10, KEPT = 80 << 10, LARGE = 130 << 10 };

static long resident(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

/* Waits until it is time, and asks for blocks of up to `size` bytes. */
static void wait_for_decay(size_t size) {
    struct timespec pause = {0, 20000000};
    for (int i = 0; i < 5; i++) {
        nanosleep(&pause, NULL);
        static void *blocks[3000];
        for (int at = 0; at < 3000; at++) blocks[at] = hidden(malloc(size - at % size / 2));
        for (int at = 0; at < 3000; at++) free(blocks[at]);
    }
}

static void small(int never) {
    enum { BLOCKS = 150000, SIZE = 200, LIVE = 2000 };
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(SIZE);
        memset(blocks[i], i, SIZE);
    }
    long before = resident();
    for (int i = 0; i < BLOCKS; i++)
        if (i % LIVE) free(blocks[i]);
    wait_for_decay(600);
    long dropped = before - resident();
    CHECK(never ? dropped < BLOCKS / 10 * SIZE : dropped > BLOCKS / 10 * 6 * SIZE);
    for (int i = 0; i < BLOCKS; i += LIVE)
        for (int at = 0; at < SIZE; at++) CHECK(blocks[i][at] == (char)i);
    for (int i = 0; i < BLOCKS; i++)
        if (i % LIVE) memset(blocks[i] = malloc(SIZE), 1, SIZE);
}

int main(int count, char **arguments) {
    int never = strcmp(arguments[count - 1], "never") == 0;
    if (count > 1 && strcmp(arguments[1], "small") == 0) {
        small(never);
        puts("decay: ok");
        return 0;
    }
    static char *freed[COUNT], *kept[COUNT];
    for (int i = 0; i < COUNT; i++) {
        freed[i] = malloc(FREED), kept[i] = malloc(KEPT);
        memset(freed[i], 1, FREED), memset(kept[i], i, KEPT);
    }
    long before = resident();
    for (int i = 0; i < COUNT; i++) free(freed[i]);
    struct timespec pause = {0, 20000000};
    for (int i = 0; i < 5; i++) {
        nanosleep(&pause, NULL);
        free(hidden(malloc(LARGE)));
    }
    long dropped = before - resident();
    CHECK(never ? dropped < COUNT * FREED / 10 : dropped > COUNT * FREED / 10 * 8);
    CHECK(malloc_trim(0) == 1);
    CHECK(before - resident() > COUNT * FREED / 10 * 8);
    for (int i = 0; i < COUNT; i++) {
        for (int at = 0; at < KEPT; at++) CHECK(kept[i][at] == (char)i);
        freed[i] = malloc(FREED);
        memset(freed[i], 1, FREED);
    }
    puts("decay: ok");
    return 0;
}
