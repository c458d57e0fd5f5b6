/* Kinds of misuse, each beside its good twin ("good KIND SIZE OFFSET"): the checked heap must find
   all of the former, at the latest at exit, and none of the latter. */
#include "check.h"
#include <malloc.h>

static int is_good;
static char *before, *block, *after;

/* The only places that allocate and free the block in the middle. */
__attribute__((noinline)) static void allocate_here(size_t size) { block = hidden(malloc(size)); }
__attribute__((noinline)) static void free_here(void) {
    free(block);
    hidden(block);
}

static void write_at(char *place) {
    /* The good twin reads. */
    volatile char *byte = hidden(place);
    if (is_good) *byte = *byte;
    else *byte ^= 0x41;
}

int main(int count, char **arguments) {
    is_good = count > 1 && strcmp(arguments[1], "good") == 0;
    CHECK(count == 4 + is_good);
    const char *kind = arguments[1 + is_good];
    size_t size = strtoul(arguments[2 + is_good], NULL, 10);
    long offset = atol(arguments[3 + is_good]);
    before = malloc(size), allocate_here(size), after = malloc(size);
    memset(before, 1, size), memset(block, 2, size), memset(after, 3, size);
    if (strcmp(kind, "behind") == 0) {
        write_at(block + size + (is_good ? -1 : offset));
    } else if (strcmp(kind, "behind-and-free") == 0) {
        write_at(block + size + (is_good ? -1 : offset));
        free_here();
    } else if (strcmp(kind, "front") == 0) {
        write_at(block - (is_good ? 0 : offset));
        if (is_good) block[0] = 2;
    } else if (strcmp(kind, "front-and-free") == 0) {
        write_at(block - (is_good ? 0 : offset));
        free_here();
    } else if (strcmp(kind, "after-free") == 0) {
        if (is_good) write_at(block + offset);
        free_here();
        if (!is_good) write_at(block + offset);
    } else if (strcmp(kind, "after-free-and-on") == 0) {
        free_here();
        if (!is_good) write_at(block + offset);
        for (int i = 0; i < 40000; i++) free(hidden(malloc(size)));
    } else if (strcmp(kind, "after-realloc") == 0) {
        char *moved = realloc(block, size + 100);
        write_at((is_good ? moved : block) + offset);
        free(moved);
    } else if (strcmp(kind, "twice") == 0) {
        free_here();
        for (int i = 0; i < offset; i++) free(hidden(malloc(size)));
        if (!is_good) free_here();
    } else if (strcmp(kind, "inside") == 0) {
        block += is_good ? 0 : offset;
        free_here();
    } else if (strcmp(kind, "realloc-freed") == 0) {
        if (!is_good) free_here();
        free(realloc(block, size * 2));
    } else if (strcmp(kind, "top") == 0) {
        char *last = malloc(size);
        memset(last, 'C', size + (is_good ? 0 : offset));
        for (int i = 0; i < 10; i++) hidden(malloc(4096));
    } else {
        return 2;
    }
    if (is_good) puts("checked: ok");
    return 0;
}
