/* What is freed, and wanted again at once, is not given back in between. With "never", where
   nothing decays, it is. */
#include "check.h"
#include <sys/resource.h>

enum { COUNT = 300, SIZE = 200000, TIDES = 20 };

static long faults(void) {
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_minflt;
}

int main(int count, char **arguments) {
    int never = count > 1 && strcmp(arguments[1], "never") == 0;
    static char *blocks[COUNT];
    long before = 0;
    for (int tide = 0; tide <= TIDES; tide++) {
        for (int i = 0; i < COUNT; i++) {
            blocks[i] = malloc(SIZE);
            blocks[i][0] = 1;
        }
        for (int i = 0; i < COUNT; i++) free(blocks[i]);
        if (tide == 0) before = faults();
    }
    long each = (faults() - before) / TIDES;
    CHECK(never ? each > COUNT / 2 : each < COUNT / 4);
    puts("tides: ok");
    return 0;
}
