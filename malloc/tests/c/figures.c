/* mallinfo, mallinfo2, malloc_info and malloc_stats follow what the program does. "print":
   malloc_info and malloc_stats, to be read. */
#include "check.h"
#include <malloc.h>

enum { COUNT = 1000, SIZE = 1000, LARGE = 1000000 };
static void *blocks[COUNT];

static size_t value(const char *text, const char *before) {
    const char *place = strstr(text, before);
    CHECK(place);
    return strtoul(place + strlen(before), NULL, 10);
}

static size_t distance(size_t a, size_t b) { return a < b ? b - a : a - b; }

int main(int count, char **arguments) {
    static char text[10000];
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 0; i < COUNT; i++) free(hidden(malloc(SIZE)));
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < COUNT; i++) blocks[i] = malloc(SIZE);
    void *large = hidden(malloc(LARGE));
    struct mallinfo2 after = mallinfo2();
    CHECK(after.hblks == before.hblks + 1 && distance(after.hblkhd - before.hblkhd, LARGE) <= 8192);
    /* Longer by a header, a size class or a record at most. */
    CHECK(distance(after.uordblks, before.uordblks + COUNT * SIZE) <= COUNT * SIZE / 8);
    CHECK(after.arena == after.uordblks + after.fordblks && after.fordblks >= after.keepcost && after.ordblks > 0);
    struct mallinfo old = mallinfo();
    CHECK((size_t)old.uordblks == after.uordblks && (size_t)old.arena == after.arena && old.hblks == 1 && (size_t)old.keepcost == after.keepcost);
    FILE *file = fmemopen(text, sizeof text, "w");
    CHECK(malloc_info(0, file) == 0 && fclose(file) == 0);
    struct mallinfo2 now = mallinfo2();
    CHECK(distance(value(text, "<system type=\"current\" size=\""), now.arena) < 100000);
    CHECK(value(text, "<total type=\"mmap\" count=\"") == now.hblks && value(text, "<system type=\"max\" size=\"") >= now.arena / 2);
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    free(large);
    /* The checked heap keeps freed blocks for a while. */
    malloc_trim(0);
    after = mallinfo2();
    CHECK(after.hblks == before.hblks && after.hblkhd == before.hblkhd && distance(after.uordblks, before.uordblks) < 100000);
    file = fopen("/dev/full", "w");
    CHECK(file != NULL);
    setvbuf(file, NULL, _IONBF, 0);
    if (count > 1) {
        CHECK(malloc_info(0, stdout) == 0);
        malloc_stats();
        return 0;
    }
    CHECK(malloc_info(0, file) == -1);
    puts("figures: ok");
    return 0;
}
