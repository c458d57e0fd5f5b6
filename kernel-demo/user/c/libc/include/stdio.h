/* Output, of whole lines as they come. Formats: %d %i %u %x %c %s %p %%, with l, ll, z, a width,
   0 and -. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int puts(const char *text);
int putchar(int character);
