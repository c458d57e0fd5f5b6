/* fork in a program whose other threads allocate all the time: child and parent go on. */
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { THREADS = 4, SLOTS = 64 };
static atomic_int stop;

static void churn(unsigned seed, int rounds) {
    static __thread char *blocks[SLOTS];
    static __thread size_t sizes[SLOTS];
    for (int i = 0; i < rounds && !(rounds > 100000 && atomic_load(&stop)); i++) {
        unsigned slot = rand_r(&seed) % SLOTS;
        if (blocks[slot]) {
            CHECK(blocks[slot][0] == (char)slot && blocks[slot][sizes[slot] - 1] == (char)slot);
            free(blocks[slot]);
        }
        sizes[slot] = 1 + rand_r(&seed) % (i % 50 ? 600 : 200000);
        blocks[slot] = malloc(sizes[slot]);
        CHECK(blocks[slot]);
        blocks[slot][0] = blocks[slot][sizes[slot] - 1] = (char)slot;
    }
    for (int i = 0; i < SLOTS; i++) free(blocks[i]), blocks[i] = NULL;
}

static void *thread(void *seed) {
    churn((unsigned)(uintptr_t)seed, 1 << 30);
    return NULL;
}

/* Blocks that are too large for the thread's arena. Whoever forks may find that it waits for the
   heap that all share. */
static void *large_thread(void *ignored) {
    while (!atomic_load(&stop)) {
        char *volatile block = malloc(100000);
        free(block);
    }
    return NULL;
}

static void *short_thread(void *seed) {
    churn((unsigned)(uintptr_t)seed, 2000);
    return NULL;
}

int main(int count, char **arguments) {
    int forks = count > 1 ? atoi(arguments[1]) : 60;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, i < THREADS / 2 ? thread : large_thread, (void *)(i + 1)) == 0);
    for (int i = 0; i < forks; i++) {
        char *before = malloc(1000);
        memset(before, i, 1000);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            atomic_store(&stop, 1);
            churn(i, 3000);
            CHECK(before[999] == (char)i);
            free(before);
            /* As many threads as there are not. */
            for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, short_thread, (void *)7) == 0);
            for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
            if (i % 8 == 0) {
                pid_t grandchild = fork();
                if (grandchild == 0) churn(i, 1000), exit(0);
                int status;
                CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
            }
            exit(0);
        }
        free(before);
        churn(i, 1000);
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    puts("fork_threads: ok");
    return 0;
}
