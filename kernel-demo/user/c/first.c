/* One block, from `malloc` to `free`: `make story PROGRAM=first` follows it to its frames. */
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    char *block = malloc(20000);
    if (block == NULL)
        return 1;
    block[0] = 'a';
    block[19999] = 'z';
    printf("%p\n", (void *)block);
    free(block);
    return 0;
}
