/* Limits: all memory that there is is served, then ENOMEM, after at most 4 system calls; and all of
   it again after it was freed. */
#include "check.h"
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { LIMIT = 100 << 20, MOST = 1 << 20 };
static void *blocks[MOST];

static int fill(size_t size) {
    int count = 0;
    errno = 0;
    while (count < MOST && (blocks[count] = malloc(size))) memset(blocks[count++], 1, size < 64 ? size : 64);
    CHECK(count == MOST || errno == ENOMEM);
    return count;
}

static void mark(void) { syscall(SYS_getppid); }

static void refuse(size_t size) {
    for (int i = 0; i < 3; i++) {
        errno = 0;
        mark();
        void *block = hidden(malloc(size));
        mark();
        CHECK(block == NULL && errno == ENOMEM);
        mark();
        block = hidden(calloc(2, size / 2));
        mark();
        CHECK(block == NULL);
        mark();
        block = hidden(realloc(blocks[0], size * 2));
        mark();
        CHECK(block == NULL);
    }
}

static void all_is_served_again(size_t size, size_t others) {
    int count = fill(size);
    /* The checked heap needs memory beside the blocks. */
    CHECK((size_t)count * size > LIMIT / (getenv("BRKALLOC_CHECKED") ? 6 : 2));
    refuse(size);
    for (int i = 0; i < count; i += 2) free(blocks[i]);
    for (int i = 1; i < count; i += 2) free(blocks[i]);
    int again = fill(others);
    CHECK((size_t)again * others > (size_t)count * size / 10 * 9);
    for (int i = 0; i < again; i++) free(blocks[i]);
}

/* Counts the system calls between two marks. */
static void watch(pid_t child) {
    int status, calls = 0, most = 0, is_between = 0, is_entry = 1, refusals = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
    while (ptrace(PTRACE_SYSCALL, child, 0, 0) == 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        CHECK(WSTOPSIG(status) == SIGTRAP);
        struct user_regs_struct registers;
        CHECK(ptrace(PTRACE_GETREGS, child, 0, &registers) == 0);
        if (is_entry && registers.orig_rax == SYS_getppid) {
            if (is_between) refusals++;
            is_between = !is_between, calls = 0;
        } else if (is_entry && is_between) {
            calls++;
            if (calls > most) most = calls;
        }
        is_entry = !is_entry;
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(refusals >= 18);
    fprintf(stderr, "at most %d system calls in %d refused requests\n", most, refusals);
    CHECK(most <= 4);
}

int main(int count, char **arguments) {
    CHECK(count == 3);
    alarm(100);
    int which = strcmp(arguments[1], "addresses") == 0 ? RLIMIT_AS : RLIMIT_DATA;
    size_t size = (size_t)atol(arguments[2]);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {LIMIT, LIMIT};
        CHECK(ptrace(PTRACE_TRACEME) == 0 && raise(SIGTRAP) == 0);
        CHECK(setrlimit(which, &limit) == 0);
        all_is_served_again(size, size);
        all_is_served_again(size, size < 100000 ? size * 3 : size);
        exit(0);
    }
    watch(child);
    puts("refused: ok");
    return 0;
}
