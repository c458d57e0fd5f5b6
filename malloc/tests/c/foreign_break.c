/* Somebody else moves the break, too (C14). With "limit", nobody can, and the heap finds memory
   elsewhere. With "take", somebody takes the heap's memory away, which is the end. */
#include "check.h"
#include <sys/resource.h>

enum { SLOTS = 500 };
static char *blocks[SLOTS];
static size_t sizes[SLOTS];

static void churn(unsigned seed, int rounds) {
    for (int i = 0; i < rounds; i++) {
        unsigned slot = rand_r(&seed) % SLOTS;
        for (size_t at = 0; blocks[slot] && at < sizes[slot]; at += 100) CHECK(blocks[slot][at] == (char)slot);
        free(blocks[slot]);
        sizes[slot] = 1 + rand_r(&seed) % 20000;
        blocks[slot] = malloc(sizes[slot]);
        CHECK(blocks[slot]);
        memset(blocks[slot], slot, sizes[slot]);
    }
}

int main(int count, char **arguments) {
    if (count > 1 && strcmp(arguments[1], "take") == 0) {
        CHECK(hidden(malloc(1000)) && brk((char *)sbrk(0) - 4096) == 0);
        for (size_t i = 0; i < 1000; i++) hidden(malloc(100000));
        return 0;
    }
    churn(1, 2000);
    if (count > 1 && strcmp(arguments[1], "limit") == 0) {
        /* New mappings count as data, too. */
        struct rlimit limit = {4096, RLIM_INFINITY};
        CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
        CHECK(sbrk(1 << 20) == (void *)-1);
        CHECK(malloc(1 << 20) == NULL && errno == ENOMEM);
        limit.rlim_cur = RLIM_INFINITY;
        CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
        churn(2, 2000);
    }
    char *theirs[40];
    for (int i = 0; i < 40; i++) {
        theirs[i] = sbrk(1 + i * 700);
        CHECK(theirs[i] != (char *)-1);
        memset(theirs[i], 0x5A, 1 + i * 700);
        churn(i, 500);
    }
    for (int i = 0; i < 40; i++)
        for (int at = 0; at < 1 + i * 700; at++) CHECK(theirs[i][at] == 0x5A);
    for (int i = 0; i < SLOTS; i++) free(blocks[i]);
    puts("foreign_break: ok");
    return 0;
}
