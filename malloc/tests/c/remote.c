/* One thread allocates, another frees, and the other way round, through a ring of them. */
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 4, PLACES = 256, BLOCKS = 30000 };
static _Atomic(char *) ring[THREADS][PLACES];

static void *thread(void *argument) {
    unsigned self = (unsigned)(uintptr_t)argument, seed = self;
    unsigned made = 0, taken = 0;
    while (made < BLOCKS || taken < BLOCKS) {
        unsigned place = rand_r(&seed) % PLACES;
        if (made < BLOCKS && !atomic_load(&ring[self][place])) {
            size_t size = 16 + rand_r(&seed) % (made % 100 ? 500 : 50000);
            char *block = malloc(size);
            CHECK(block);
            memcpy(block, &size, sizeof size);
            block[size - 1] = 77;
            atomic_store(&ring[self][place], block);
            made++;
        }
        char *block = atomic_exchange(&ring[(self + 1) % THREADS][place], NULL);
        if (block) {
            size_t size;
            memcpy(&size, block, sizeof size);
            CHECK(block[size - 1] == 77);
            if (taken % 16 == 0) block = realloc(block, size + 100);
            free(block);
            taken++;
        }
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, thread, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    puts("remote: ok");
    return 0;
}
