/* A handler of a fork, run while the heap is held, waits for a thread that waits for the heap. The
   parent goes on; the child may find the heap in the middle of a change, says so, and goes on with
   the parts that are safe. */
#include "check.h"
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

extern void (*before_fork)(void);
static atomic_int is_wanted, is_done, stop;

/* Moves a long block again and again: nearly always inside the heap. */
static void *worker(void *unused) {
    char *block = malloc(20 << 20), *wall = NULL;
    while (!atomic_load(&stop)) {
        int is_answer = atomic_load(&is_wanted);
        block = realloc(block, 24 << 20);
        CHECK(block);
        free(wall), wall = malloc(1 << 20);
        block = realloc(block, 20 << 20);
        CHECK(block);
        if (is_answer) atomic_store(&is_done, 1);
    }
    free(block), free(wall);
    return unused;
}

static void wait_for_the_worker(void) {
    atomic_store(&is_done, 0), atomic_store(&is_wanted, 1);
    while (!atomic_load(&is_done)) usleep(100);
    atomic_store(&is_wanted, 0);
}

enum { COUNT = 2000 };
static unsigned char *blocks[COUNT];
static size_t sizes[COUNT];

static void fill(int from, int to) {
    for (int i = from; i < to; i++) {
        sizes[i] = 1 + i * i % 3000 + (i % 100 ? 0 : 300000);
        blocks[i] = i % 3 ? malloc(sizes[i]) : i % 2 ? memalign(256, sizes[i]) : calloc(1, sizes[i]);
        CHECK(blocks[i]);
        memset(blocks[i], i, sizes[i]);
    }
}

static void verify(int from, int to) {
    for (int i = from; i < to; i++)
        for (size_t k = 0; k < sizes[i]; k++) CHECK(blocks[i][k] == (unsigned char)i);
}

static void *child_thread(void *unused) {
    char *mine = malloc(5000);
    memset(mine, 1, 5000);
    free(mine);
    return malloc(100);
}

static int child(void) {
    verify(0, COUNT / 2);
    /* New blocks lie in none of the old ones, not even in those that are freed. */
    for (int i = 0; i < COUNT / 2; i += 4) {
        CHECK(malloc_usable_size(blocks[i]) >= sizes[i]);
        free(blocks[i]);
    }
    fill(COUNT / 2, COUNT);
    for (int i = 0; i < COUNT / 2; i++)
        if (i % 4) verify(i, i + 1);
    for (int i = 1; i < COUNT / 2; i += 4) {
        size_t size = sizes[i];
        blocks[i] = realloc(blocks[i], sizes[i] = i % 8 == 1 ? size * 2 : size / 2 + 1);
        CHECK(blocks[i]);
        for (size_t k = 0; k < size && k < sizes[i]; k++) CHECK(blocks[i][k] == (unsigned char)i);
        free(blocks[i]);
    }
    verify(COUNT / 2, COUNT);
    for (int i = COUNT / 2; i < COUNT; i++) free(blocks[i]);
    pthread_t threads[2];
    void *answers[2];
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, child_thread, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], &answers[i]) == 0);
        free(answers[i]);
    }
    before_fork = NULL;
    pid_t grandchild = fork();
    if (grandchild == 0) free(hidden(malloc(1000))), exit(0);
    int status;
    CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
    CHECK(mallinfo2().arena > 0 && malloc_trim(0) >= 0);
    return 0;
}

int main(void) {
    alarm(120);
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, worker, NULL) == 0);
    fill(0, COUNT / 2);
    before_fork = wait_for_the_worker;
    for (int round = 0; round < 8; round++) {
        time_t start = time(NULL);
        pid_t process = fork();
        CHECK(process >= 0);
        if (process == 0) alarm(60), exit(child());
        int status;
        CHECK(waitpid(process, &status, 0) == process && status == 0);
        CHECK(time(NULL) - start < 20);
        verify(0, COUNT / 2);
    }
    atomic_store(&stop, 1);
    CHECK(pthread_join(thread, NULL) == 0);
    puts("fork_bound: ok");
    return 0;
}
