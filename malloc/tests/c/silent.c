/* Misuse that the library finds without the checked heap: the end must be a message and SIGABRT.
   "good": the same without the misuse. */
#include "check.h"
#include <malloc.h>
#include <pthread.h>

enum { COUNT = 3000 };
static char *blocks[COUNT];
static char data[4096] __attribute__((aligned(64)));

static void *thread_free(void *block) {
    free(block);
    return NULL;
}

int main(int count, char **arguments) {
    CHECK(count == 3);
    const char *kind = arguments[1];
    size_t size = strtoul(arguments[2], NULL, 10);
    char stack[4096] __attribute__((aligned(64)));
    memset(stack, 0, sizeof stack);
    hidden(stack), hidden(data);
    /* Enough for slabs, with gaps. */
    int number = size > 100000 ? 10 : COUNT;
    for (int i = 0; i < number; i++) {
        blocks[i] = malloc(size);
        memset(blocks[i], 0x55, size);
    }
    for (int i = 0; i < number; i += 2) free(blocks[i]);
    char *block = blocks[number / 2 | 1];
    if (strcmp(kind, "twice") == 0) free(block), free(hidden(block));
    else if (strcmp(kind, "last") == 0) {
        /* No block is left, but the heap keeps where it was. */
        for (int i = 1; i < number; i += 2) free(blocks[i]);
        free(hidden(blocks[number - 1]));
    } else if (strcmp(kind, "inside") == 0) for (int offset = 16; offset < (int)size && offset < 400; offset += 16) free(hidden(block + offset));
    else if (strcmp(kind, "before") == 0) free(hidden(block - 16));
    else if (strcmp(kind, "misaligned") == 0) free(hidden(block + 1));
    else if (strcmp(kind, "stack") == 0) free(hidden(stack + 1024));
    else if (strcmp(kind, "data") == 0) free(hidden(data + 2048));
    else if (strcmp(kind, "code") == 0) free(hidden((void *)((uintptr_t)main & ~(uintptr_t)15)));
    else if (strcmp(kind, "mapping-inside") == 0) free((char *)hidden(malloc(5000000)) + 64);
    else if (strncmp(kind, "remote", 6) == 0) {
        /* Another thread frees; the owner finds it when it takes the blocks back. */
        int rounds = strcmp(kind, "remote-twice") == 0 ? 2 : 1;
        for (int i = 0; i < rounds; i++) {
            pthread_t thread;
            CHECK(pthread_create(&thread, NULL, thread_free, block + (rounds == 1 ? 16 : 0)) == 0 && pthread_join(thread, NULL) == 0);
        }
        for (int i = 0; i < 2 * number; i++) hidden(malloc(size));
    } else if (strcmp(kind, "link") == 0) {
        /* The block freed last is the first one that comes again; its link leads to the next. */
        free(block);
        memset(block, 'A', 8);
        for (int i = 0; i < number; i++) hidden(malloc(size));
    } else if (strcmp(kind, "good") == 0) {
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < number; i += 2) blocks[i] = memalign(16 << i % 4, size);
            for (int i = 1; i < number; i += 2) blocks[i] = realloc(blocks[i], size + round);
            pthread_t thread;
            CHECK(pthread_create(&thread, NULL, thread_free, blocks[3]) == 0 && pthread_join(thread, NULL) == 0);
            blocks[3] = calloc(1, size);
            for (int i = number; i-- > 0;) free(blocks[i]);
            for (int i = 0; i < number; i++) blocks[i] = malloc(size);
        }
        for (int i = 0; i < number; i++) free(blocks[i]);
        puts("silent: ok");
    }
    return 0;
}
