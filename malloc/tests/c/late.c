/* Allocation late in a thread's life, and its end: thread-local destructors, keys, cancellation,
   exhausted static TLS. */
#include "check.h"
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *library);
extern void *__dso_handle;

static pthread_key_t keys[40];
static atomic_int calls;

static void use_the_heap(void) {
    for (size_t size = 1; size < 300000; size = size * 3 + 7) {
        char *block = malloc(size);
        CHECK(block);
        memset(block, 1, size);
        block = realloc(block, size * 2);
        CHECK(block);
        free(block);
    }
}

/* Comes again as long as it sets its key: four times in all. */
static void of_key(void *block) {
    free(block);
    use_the_heap();
    atomic_fetch_add(&calls, 1);
    pthread_setspecific(keys[39], malloc(50));
}

static void of_thread(void *block) {
    use_the_heap();
    free(block);
    atomic_fetch_add(&calls, 1);
}

static void *thread(void *block) {
    free(block);
    CHECK(pthread_setspecific(keys[39], malloc(100)) == 0);
    for (int i = 0; i < 3; i++) CHECK(__cxa_thread_atexit_impl(of_thread, malloc(1000), &__dso_handle) == 0);
    use_the_heap();
    return malloc(77);
}

static void clean_up(void *block) {
    use_the_heap();
    free(block);
    atomic_fetch_add(&calls, 1);
}

static void *cancelled(void *flag) {
    pthread_cleanup_push(clean_up, malloc(300));
    for (;;) {
        use_the_heap();
        atomic_store((atomic_int *)flag, 1);
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

int main(int count, char **arguments) {
    /* As many keys as leave no room in a thread's first block of them. */
    for (int i = 0; i < 40; i++) CHECK(pthread_key_create(&keys[i], i == 39 ? of_key : NULL) == 0);
    for (int i = 0; i < 700; i++) {
        pthread_t one;
        void *answer;
        CHECK(pthread_create(&one, NULL, thread, malloc(200)) == 0 && pthread_join(one, &answer) == 0);
        free(answer);
    }
    CHECK(atomic_load(&calls) == 700 * 7);
    atomic_store(&calls, 0);
    for (int i = 0; i < 50; i++) {
        pthread_t one;
        void *answer;
        static atomic_int flag;
        atomic_store(&flag, 0);
        CHECK(pthread_create(&one, NULL, cancelled, &flag) == 0);
        while (!atomic_load(&flag)) sched_yield();
        CHECK(pthread_cancel(one) == 0 && pthread_join(one, &answer) == 0 && answer == PTHREAD_CANCELED);
    }
    CHECK(atomic_load(&calls) == 50);
    /* Libraries with variables in the static block of threads, until it is full. */
    int loaded = 0, refused = 0;
    for (int i = 1; i < count; i++) dlopen(arguments[i], RTLD_NOW) ? loaded++ : refused++;
    CHECK(count == 1 || refused > 0);
    use_the_heap();
    CHECK(mallinfo2().uordblks < 4 << 20);
    puts("late: ok");
    return 0;
}
