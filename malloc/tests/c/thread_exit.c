/* Threads that come and go by the thousand; what they leave is freed by others; what is freed while
   a thread ends. The memory does not grow. */
#include "check.h"
#include <pthread.h>
#include <sys/resource.h>

enum { WAVES = 150, THREADS = 20, BLOCKS = 50 };
static pthread_key_t keys[3];

static void destroy(void *value) {
    free(value);
    free(hidden(malloc(3000)));
}

static void *thread(void *argument) {
    char **left = argument;
    for (int i = 0; i < 3; i++) CHECK(pthread_setspecific(keys[i], malloc(40 * i + 1)) == 0);
    for (int i = 0; i < BLOCKS; i++) {
        left[i] = malloc(i * 37 + 1);
        CHECK(left[i]);
        memset(left[i], i, i * 37 + 1);
    }
    free(hidden(malloc(100000)));
    return argument;
}

static long resident(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

int main(void) {
    for (int i = 0; i < 3; i++) CHECK(pthread_key_create(&keys[i], destroy) == 0);
    static char *left[THREADS][BLOCKS];
    long early = 0;
    for (int wave = 0; wave < WAVES; wave++) {
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, thread, left[i]) == 0);
        for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        for (int i = 0; i < THREADS; i++) {
            for (int at = 0; at < BLOCKS; at++) {
                CHECK(left[i][at][at * 37] == (char)at);
                free(left[i][at]);
            }
        }
        if (wave == 20) early = resident();
    }
    CHECK(resident() < early + early / 2 + 4096);
    puts("thread_exit: ok");
    return 0;
}
