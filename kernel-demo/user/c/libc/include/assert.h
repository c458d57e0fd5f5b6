#pragma once
void assertion_failed(const char *what, const char *file, int line) __attribute__((noreturn));
#define assert(condition) \
    ((condition) ? (void)0 : assertion_failed(#condition, __FILE__, __LINE__))
