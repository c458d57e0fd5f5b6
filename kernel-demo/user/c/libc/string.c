/* Strings. (memcpy, memmove, memset, memcmp and strlen come with the start-up code.) */
#include <string.h>

int strcmp(const char *one, const char *other) {
    while (*one != 0 && *one == *other)
        one++, other++;
    return (unsigned char)*one - (unsigned char)*other;
}

char *strcpy(char *to, const char *from) { return memcpy(to, from, strlen(from) + 1); }
