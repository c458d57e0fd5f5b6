/* Three blocks that stay, and many that do not. Prints where the function is that allocates the
   former. */
#include "check.h"

static void *volatile kept[3];

__attribute__((noinline)) static void allocate_here(void) {
    for (int i = 0; i < 3; i++) kept[i] = malloc(1000 + i);
}

int main(void) {
    for (int i = 0; i < 1000; i++) free(hidden(malloc(i)));
    allocate_here();
    fprintf(stderr, "here %p\n", (void *)allocate_here);
    return 0;
}
