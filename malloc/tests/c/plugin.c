/* A library that is loaded and unloaded again and again: with a constructor, a destructor, and a
   variable of each thread. */
#include "check.h"

static void *at_begin;
static __thread char *of_thread;

__attribute__((constructor)) static void begin(void) { at_begin = malloc(777); }
__attribute__((destructor)) static void end(void) { free(at_begin); }

char *plugin_text(int number) {
    if (!of_thread) of_thread = calloc(1, 5000);
    snprintf(of_thread, 5000, "%d", number);
    char *text = strdup(of_thread);
    free(of_thread);
    of_thread = NULL;
    return text;
}
