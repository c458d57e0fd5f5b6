/* malloc is brkalloc, unless the program defines its own: these are weak. With a malloc of its own
   a program gets a calloc over it; a realloc, which needs to know what a block's size is, it has to
   write itself. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *brkalloc_malloc(size_t size);
void brkalloc_free(void *block);
void *brkalloc_realloc(void *block, size_t size);

__attribute__((weak)) void *malloc(size_t size) { return brkalloc_malloc(size); }

/* Only reached if the program does not define it. */
__attribute__((weak)) void free(void *block) { brkalloc_free(block); }

__attribute__((weak)) void *calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *block = malloc(bytes);
    return block == NULL ? NULL : memset(block, 0, bytes);
}

__attribute__((weak)) void *realloc(void *block, size_t size) {
    return brkalloc_realloc(block, size);
}
