/* A signal handler that allocates hits the middle of malloc and free: C forbids it, and nothing may
   hang or break because of it. */
#include "check.h"
#include <signal.h>
#include <sys/time.h>

enum { SLOTS = 200 };
static volatile sig_atomic_t hits, served;

static void handler(int signal) {
    (void)signal;
    hits++;
    char *small = malloc(100), *large = malloc(50000);
    if (small) memset(small, 0xAB, 100), served++;
    if (large) memset(large, 0xCD, 50000);
    free(small), free(large);
}

int main(void) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval interval = {{0, 100}, {0, 100}};
    CHECK(setitimer(ITIMER_REAL, &interval, NULL) == 0);
    static unsigned char *blocks[SLOTS];
    static size_t sizes[SLOTS];
    unsigned seed = 1;
    for (long round = 0; round < 20000000 && hits < 3000; round++) {
        unsigned slot = rand_r(&seed) % SLOTS;
        if (blocks[slot]) {
            CHECK(blocks[slot][0] == slot && blocks[slot][sizes[slot] - 1] == slot);
            free(blocks[slot]);
        }
        sizes[slot] = 1 + rand_r(&seed) % (round % 20 ? 1000 : 70000);
        blocks[slot] = malloc(sizes[slot]);
        CHECK(blocks[slot]);
        blocks[slot][0] = blocks[slot][sizes[slot] - 1] = slot;
    }
    interval.it_value.tv_usec = 0;
    CHECK(setitimer(ITIMER_REAL, &interval, NULL) == 0);
    CHECK(hits >= 100 && served > 0);
    puts("signal: ok");
    return 0;
}
