/* fork among threads, with handlers that allocate: of a library that was there first
   (early_handlers.c), and of the program. */
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>

static void use_the_heap(void) {
    char *volatile large = malloc(300000), *volatile small = malloc(30);
    CHECK(large && small);
    free(large), free(small);
}

static void *hammer(void *ignored) {
    for (;;) use_the_heap();
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    CHECK(pthread_atfork(use_the_heap, use_the_heap, use_the_heap) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, hammer, NULL) == 0);
    /* Whoever waits for ever is ended. */
    alarm(60);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            use_the_heap();
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    puts("fork_handlers: ok");
    return 0;
}
