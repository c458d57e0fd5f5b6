/* One thread is not allowed to ask whether others exist. When it runs out of memory, it takes
   nothing for that from others, and a later fork of a thread that may ask keeps their arenas. */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { THREADS = 3, COUNT = 4000, SIZE = 1000 };
static char *blocks[THREADS][COUNT];
static atomic_int ready, stop;

static void forbid(int number) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* Allocates, and stays, idle, until the end. */
static void *hold(void *argument) {
    int index = (int)(intptr_t)argument;
    for (int i = 0; i < COUNT; i++) {
        blocks[index][i] = malloc(SIZE);
        CHECK(blocks[index][i]);
        memset(blocks[index][i], index + 1, SIZE);
    }
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&stop)) usleep(1000);
    /* The arena is still this thread's. */
    for (int i = 0; i < COUNT; i++) {
        char *block = malloc(SIZE);
        CHECK(block && blocks[index][i][SIZE - 1] == index + 1);
        free(block);
        free(blocks[index][i]);
    }
    return NULL;
}

static void *run_out_of_memory(void *argument) {
    forbid(SYS_tgkill);
    size_t all = (size_t)hidden((void *)(PTRDIFF_MAX / 2));
    for (int i = 0; i < 20; i++) CHECK(malloc(all) == NULL && errno == ENOMEM);
    malloc_trim(0);
    return NULL;
}

static size_t granted(void) {
    struct mallinfo2 info = mallinfo2();
    return info.arena + info.hblkhd;
}

int main(void) {
    pthread_t threads[THREADS], filtered;
    for (intptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, hold, (void *)i) == 0);
    while (atomic_load(&ready) < THREADS) usleep(1000);
    CHECK(pthread_create(&filtered, NULL, run_out_of_memory, NULL) == 0 && pthread_join(filtered, NULL) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        /* The memory of the others' blocks serves again: they were held over the fork. */
        size_t before = granted();
        for (int i = 0; i < THREADS; i++)
            for (int j = 0; j < COUNT; j++) free(blocks[i][j]);
        for (int i = 0; i < THREADS * COUNT; i++) CHECK(hidden(malloc(SIZE)));
        /* (The checked heap keeps freed blocks for a while.) */
        CHECK(getenv("BRKALLOC_CHECKED") || granted() < before + THREADS * COUNT * SIZE / 2);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);

    /* A process in which no thread may ask serves, forks, and its children serve. */
    forbid(SYS_tgkill);
    atomic_store(&ready, 0), atomic_store(&stop, 0);
    for (intptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, hold, (void *)i) == 0);
    while (atomic_load(&ready) < THREADS) usleep(1000);
    for (int round = 0; round < 5; round++) {
        CHECK(malloc((size_t)hidden((void *)(PTRDIFF_MAX / 2))) == NULL);
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            for (int j = 0; j < COUNT; j++) {
                CHECK(blocks[1][j][0] == 2);
                free(blocks[1][j]);
            }
            for (int i = 0; i < COUNT; i++) CHECK(hidden(malloc(SIZE)));
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    puts("filtered_thread: ok");
    return 0;
}
