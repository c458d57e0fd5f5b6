/* A library whose constructor comes before that of an allocator that is preloaded, and whose fork
   handlers allocate. */
#include <pthread.h>
#include <stdlib.h>

static void use_the_heap(void) {
    void *volatile large = malloc(200000), *volatile small = malloc(100);
    if (!large || !small) abort();
    free(large), free(small);
}

__attribute__((constructor)) static void begin(void) { pthread_atfork(use_the_heap, use_the_heap, use_the_heap); }
