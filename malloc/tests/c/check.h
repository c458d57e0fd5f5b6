/* CHECK ends the program with a line if what it is given does not hold. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            _exit(1); \
        } \
    } while (0)

/* What a compiler must not know of: it takes liberties with what it knows to be malloc. Each call
   has a place of its own: threads call it at the same time. */
static inline void *hidden(void *pointer) {
    void *volatile escaped = pointer;
    return escaped;
}
