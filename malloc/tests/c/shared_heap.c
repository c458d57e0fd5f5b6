/* A library that allocates and frees for its caller. */
#include <stdlib.h>
#include <string.h>

void *make(int number) { return memset(malloc(100 + number), 'p', 100 + number); }

int end(void *block) {
    int first = *(char *)block;
    free(block);
    return first;
}
