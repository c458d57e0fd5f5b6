/* Libraries with a C library of their own (dlmopen), and those that ask for their own symbols first
   (RTLD_DEEPBIND). */
#include "check.h"
#include <dlfcn.h>

int main(int count, char **arguments) {
    CHECK(count == 2);
    void *(*make)(int);
    int (*end)(void *);
    /* Blocks of a namespace stay there. */
    for (int round = 0; round < 3; round++) {
        void *library = dlmopen(LM_ID_NEWLM, arguments[1], RTLD_NOW | RTLD_LOCAL);
        CHECK(library && (make = dlsym(library, "make")) && (end = dlsym(library, "end")));
        for (int i = 0; i < 100; i++) {
            char *ours = malloc(100), *theirs = make(i);
            memset(ours, 1, 100);
            CHECK(theirs && end(theirs) == 'p');
            free(ours);
        }
        CHECK(dlclose(library) == 0);
    }
    /* Blocks go from one to the other. */
    for (int which = 0; which < 2; which++) {
        int mode = RTLD_NOW | RTLD_DEEPBIND | (which ? RTLD_LOCAL : RTLD_GLOBAL);
        void *library = which ? dlmopen(LM_ID_BASE, arguments[1], mode) : dlopen(arguments[1], mode);
        CHECK(library && (make = dlsym(library, "make")) && (end = dlsym(library, "end")));
        for (int i = 0; i < 100; i++) {
            char *block = malloc(100 + i * 1000);
            block[0] = 'x';
            CHECK(end(block) == 'x');
            free(make(i));
        }
        CHECK(dlclose(library) == 0);
    }
    CHECK(dlopen("no such library", RTLD_NOW | RTLD_DEEPBIND) == NULL && dlerror() != NULL);
    CHECK(dlopen(NULL, RTLD_NOW) != NULL);
    puts("namespace: ok");
    return 0;
}
