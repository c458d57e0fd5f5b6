/* Blocks before main and after it: constructors, destructors, atexit, threads that begin in a
   constructor and never end. */
#include "check.h"
#include <pthread.h>

static char *first, *second;

static void *forever(void *argument) {
    for (;;) free(hidden(malloc(100)));
    return argument;
}

__attribute__((constructor(101))) static void very_early(void) {
    first = strdup("first");
    CHECK(first);
    setenv("AROUND_MAIN", "a value that glibc allocates", 1);
}

__attribute__((constructor)) static void early(void) {
    second = malloc(300000);
    second[299999] = 1;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, forever, NULL) == 0);
}

__attribute__((destructor)) static void late(void) {
    first = realloc(first, 100000);
    CHECK(strcmp(first, "first") == 0);
    free(first), free(second);
    free(hidden(calloc(100, 100)));
}

__attribute__((destructor(101))) static void very_late(void) { free(hidden(malloc(5000))); }

static void at_exit(void) {
    for (int i = 0; i < 1000; i++) free(hidden(malloc(i * 10)));
    puts("around_main: ok");
}

int main(void) {
    for (int i = 0; i < 100; i++) CHECK(atexit(i == 50 ? at_exit : very_late) == 0);
    CHECK(getenv("AROUND_MAIN"));
    return 0;
}
