/* dlopen and dlclose while threads run that have begun before and after; a block outlives the
   library that allocated it. */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>

static const char *plugin;

static void *thread(void *argument) {
    for (int i = 0; i < 100; i++) {
        void *library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
        CHECK(library);
        char *(*text_of)(int) = (char *(*)(int))dlsym(library, "plugin_text");
        CHECK(text_of);
        char *text = text_of(i);
        CHECK(dlclose(library) == 0);
        CHECK(atoi(text) == i);
        free(text);
    }
    return argument;
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    plugin = arguments[1];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, thread, NULL) == 0);
    thread(NULL);
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(dlopen("/nonexistent.so", RTLD_NOW) == NULL && strlen(dlerror()) > 0);
    puts("dlopen: ok");
    return 0;
}
