/* An error that happens once in a run: `sampled KIND SIZE`, or in no run: `sampled good SIZE`.
   With `handler`, the program has a handler of page faults, which ends it with status 3. */
#include "check.h"
#include <signal.h>

enum { COUNT = 200 };
static unsigned char *blocks[COUNT];

__attribute__((noinline)) static void *here_allocated(size_t size) {
    void *block = malloc(size);
    __asm__ volatile("" ::: "memory");
    return block;
}

__attribute__((noinline)) static void here_freed(void *block) {
    free(block);
    __asm__ volatile("" ::: "memory");
}

static void handle(int signal, siginfo_t *info, void *context) {
    static const char text[] = "the program's handler\n";
    if (write(2, text, sizeof text - 1) > 0) _exit(3);
}

int main(int count, char **arguments) {
    CHECK(count >= 3);
    const char *kind = arguments[1];
    size_t size = atoi(arguments[2]);
    if (count > 3) {
        struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO}, before;
        CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGSEGV, NULL, &before) == 0);
        CHECK(before.sa_sigaction == handle && before.sa_flags & SA_SIGINFO);
    }
    fprintf(stderr, "allocated %p freed %p\n", (void *)here_allocated, (void *)here_freed);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < COUNT; i++) {
            blocks[i] = here_allocated(size);
            CHECK(blocks[i]);
            memset(blocks[i], i, size);
        }
        unsigned char *victim = hidden(blocks[77]);
        if (round == 9) {
            if (strcmp(kind, "behind") == 0) victim[size] = 1;
            else if (strcmp(kind, "in-front") == 0) victim[-1] = 1;
            else if (strcmp(kind, "after-free") == 0) {
                here_freed(victim);
                victim[size / 2]++;
                blocks[77] = NULL;
            } else if (strcmp(kind, "twice") == 0) {
                here_freed(victim);
                free(hidden(malloc(size)));
                free(victim);
                blocks[77] = NULL;
            } else if (strcmp(kind, "inside") == 0) {
                free(victim + 16);
            } else CHECK(strcmp(kind, "good") == 0);
        }
        for (int i = 0; i < COUNT; i++) here_freed(blocks[i]);
    }
    puts("sampled: ok");
    return 0;
}
