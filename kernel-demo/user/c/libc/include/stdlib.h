#pragma once
#include <stddef.h>
/* brkalloc's, unless the program defines them. */
void *malloc(size_t size);
void free(void *block);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
int atoi(const char *text);
void exit(int status) __attribute__((noreturn));
void abort(void) __attribute__((noreturn));
