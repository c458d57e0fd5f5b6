/* fork while other threads allocate and free without a break: what they had is not lost to the
   child. It frees what they had in a shared * table, allocates as much again, and takes no more
   memory from the system for it. */
#include "check.h"
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { THREADS = 4, SLOTS = 1000, LARGEST = 3000 };

/* What each thread has. A child has a copy of it, as it was at some moment. */
static _Atomic(char *) table[THREADS][SLOTS];
static atomic_int stop;

/* A place in a table, with a new block or none. */
static void put(_Atomic(char *) *place, char *block) {
    char *before = atomic_exchange(place, block);
    if (before) CHECK(before[0] == 'b');
    free(before);
}

/* Replaces its own blocks, and now and then one of another's. */
static void *hammer(void *argument) {
    unsigned number = (unsigned)(uintptr_t)argument, seed = number + 1;
    while (!atomic_load(&stop)) {
        unsigned whose = rand_r(&seed) % 8 ? number : rand_r(&seed) % THREADS;
        char *block = malloc(1 + rand_r(&seed) % LARGEST);
        CHECK(block);
        block[0] = 'b';
        put(&table[whose][rand_r(&seed) % SLOTS], block);
    }
    return NULL;
}

/* Allocates, maybe forks, and ends. */
static void *short_life(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (int i = 0; i < 50; i++) {
        char *block = malloc(1 + rand_r(&seed) % LARGEST);
        CHECK(block);
        block[0] = 'b';
        put(&table[rand_r(&seed) % THREADS][rand_r(&seed) % SLOTS], block);
    }
    if ((uintptr_t)argument % 16 == 0) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            for (int i = 0; i < SLOTS; i++) put(&table[0][i], NULL);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    return NULL;
}

/* Threads come and go. */
static void *generations(void *argument) {
    for (uintptr_t i = 0; !atomic_load(&stop); i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, short_life, (void *)i) == 0 && pthread_join(thread, NULL) == 0);
    }
    return NULL;
}

/* Ends without a word to the C library, and so to the allocator. */
static void *vanish(void *argument) {
    free(hidden(malloc(100)));
    syscall(SYS_exit, 0);
    return NULL;
}

/* What the system has granted. */
static size_t granted(void) {
    struct mallinfo2 info = mallinfo2();
    return info.arena + info.hblkhd;
}

/* Frees everything, allocates as much again, and tells whether that took more from the system. */
static int grows(void) {
    static size_t sizes[THREADS * SLOTS];
    size_t before = granted(), count = 0, total = 0;
    for (int i = 0; i < THREADS; i++) {
        for (int j = 0; j < SLOTS; j++) {
            char *block = atomic_load(&table[i][j]);
            if (!block) continue;
            total += sizes[count++] = malloc_usable_size(block);
            put(&table[i][j], NULL);
        }
    }
    CHECK(count > THREADS * SLOTS / 2);
    for (size_t i = 0; i < count; i++) {
        char *block = malloc(sizes[i]);
        CHECK(block);
        memset(block, 'b', sizes[i]);
    }
    return granted() > before + total / 4;
}

static void *grow_in_thread(void *answer) {
    *(int *)answer = grows();
    return NULL;
}

int main(int count, char **arguments) {
    int forks = count > 1 ? atoi(arguments[1]) : 60, grown = 0;
    size_t size = 1 << 20;
    pthread_t threads[THREADS + 1];
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    void *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED && pthread_attr_setstack(&attributes, stack, size) == 0);
    CHECK(pthread_create(&threads[0], &attributes, vanish, NULL) == 0 && pthread_join(threads[0], NULL) == 0);
    /* As if it were unmapped, and nobody got the addresses again. */
    CHECK(mprotect(stack, size, PROT_NONE) == 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_attr_init(&attributes) == 0);
        /* One has a stack that is too large for the C library to keep, and one a stack of ours. */
        if (i == 1) CHECK(pthread_attr_setstacksize(&attributes, 256 * size) == 0);
        if (i == 2) {
            stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            CHECK(stack != MAP_FAILED && pthread_attr_setstack(&attributes, stack, size) == 0);
        }
        CHECK(pthread_create(&threads[i], &attributes, hammer, (void *)i) == 0);
    }
    CHECK(pthread_create(&threads[THREADS], NULL, generations, NULL) == 0);
    while (!atomic_load(&table[0][SLOTS - 1]) || !atomic_load(&table[THREADS - 1][0])) usleep(1000);
    usleep(50000);
    for (int i = 0; i < forks; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            int answer;
            if (i % 2) {
                answer = grows();
            } else {
                /* A thread that begins in the child has an arena of those who are not there. */
                pthread_t thread;
                CHECK(pthread_create(&thread, NULL, grow_in_thread, &answer) == 0 && pthread_join(thread, NULL) == 0);
            }
            _exit(answer ? 2 : 0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 1);
        grown += WEXITSTATUS(status) == 2;
    }
    atomic_store(&stop, 1);
    for (int i = 0; i <= THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    fprintf(stderr, "%d of %d children took more memory\n", grown, forks);
    /* A thread that was kept from running in the middle of something for long is one whose memory is lost. */
    CHECK(grown <= forks / 10);
    puts("fork_keeps: ok");
    return 0;
}
