/* System calls, with Linux's numbers. */
#pragma once
#include <stddef.h>

enum {
    SYS_read = 0,
    SYS_write = 1,
    SYS_mmap = 9,
    SYS_munmap = 11,
    SYS_brk = 12,
    SYS_pause = 34,
    SYS_getpid = 39,
    SYS_fork = 57,
    SYS_wait4 = 61,
    SYS_exit_group = 231,
    SYS_heap_register = 1003, /* not Linux's */
};

/* Makes a call and returns what the kernel answers: an error is a negative number. */
static inline long system_call(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    register long sixth __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
}

/* C's answer: -1 for every error. */
static inline long checked(long result) { return result < 0 && result > -4096 ? -1 : result; }
