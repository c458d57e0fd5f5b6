/* A library whose constructor runs before that of any other (-z initfirst): its handlers of a fork
   run while the heap is held. */
#include <pthread.h>

void (*before_fork)(void);

static void call(void) {
    if (before_fork) before_fork();
}

__attribute__((constructor)) static void begin(void) { pthread_atfork(call, NULL, NULL); }
