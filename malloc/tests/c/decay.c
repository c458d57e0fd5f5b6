/* The pages of free memory go back, though a live block above keeps the break where it is. With "never" they stay until malloc_trim. */
#include "check.h"
#include <malloc.h>
#include <time.h>

enum { COUNT = 200, FREED = 100 << 10, KEPT = 40 << 10 };

static long resident(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

int main(int count, char **arguments) {
    int never = count > 1 && strcmp(arguments[1], "never") == 0;
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
        free(hidden(malloc(KEPT)));
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
