/* What the caller does wrong, by name: the end must be a message and SIGABRT. */
#include "check.h"
#include <malloc.h>

int main(int count, char **arguments) {
    CHECK(count == 2);
    char *block = hidden(malloc(100)), *large = hidden(malloc(1000000));
    if (strcmp(arguments[1], "nothing") == 0) {
        CHECK(malloc_usable_size(block) == 100);
        free(block), free(large);
        for (size_t size = 1; size < 1000000; size = size * 2 + 1) {
            char *grown = realloc(memalign(64, size), size * 2);
            memset(grown, 1, size * 2);
            free(grown);
        }
    } else if (strcmp(arguments[1], "misaligned") == 0) {
        free(block + 8 + 1);
    } else if (strcmp(arguments[1], "double") == 0) {
        free(block), free(block);
    } else if (strcmp(arguments[1], "double-large") == 0) {
        free(large), free(large);
    } else if (strcmp(arguments[1], "overflow") == 0) {
        *(volatile char *)(block + 100) = 1;
        free(block);
    } else if (strcmp(arguments[1], "inside") == 0) {
        free(block + 16);
    } else if (strcmp(arguments[1], "after-free") == 0) {
        char *other = malloc(100);
        hidden(other);
        free(block);
        memset(block, 0xEE, 100);
        for (int i = 0; i < 100; i++) hidden(malloc(100));
    } else {
        return 2;
    }
    puts("misuse: ok");
    return 0;
}
