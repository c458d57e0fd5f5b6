/* System calls as functions, and sbrk, which Linux's kernel does not have. */
#include "syscall.h"
#include <heap_layout.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

ssize_t read(int file, void *to, size_t size) {
    return checked(system_call(SYS_read, file, (long)to, (long)size, 0, 0, 0));
}

ssize_t write(int file, const void *from, size_t size) {
    return checked(system_call(SYS_write, file, (long)from, (long)size, 0, 0, 0));
}

/* The kernel answers where the break stands then, also if it did not move. */
static char *move_break(const void *to) {
    return (char *)system_call(SYS_brk, (long)to, 0, 0, 0, 0, 0);
}

int brk(void *to) { return move_break(to) == to ? 0 : -1; }

void *sbrk(intptr_t by) {
    char *from = move_break(NULL);
    if (by != 0 && move_break(from + by) != from + by)
        return (void *)-1;
    return from;
}

pid_t getpid(void) { return (pid_t)system_call(SYS_getpid, 0, 0, 0, 0, 0, 0); }

pid_t fork(void) { return (pid_t)checked(system_call(SYS_fork, 0, 0, 0, 0, 0, 0)); }

int pause(void) { return (int)checked(system_call(SYS_pause, 0, 0, 0, 0, 0, 0)); }

pid_t waitpid(pid_t child, int *status, int options) {
    return (pid_t)checked(system_call(SYS_wait4, child, (long)status, options, 0, 0, 0));
}

void *mmap(void *hint, size_t size, int protection, int flags, int file, long offset) {
    return (void *)checked(
        system_call(SYS_mmap, (long)hint, (long)size, protection, flags, file, offset));
}

int munmap(void *start, size_t size) {
    return (int)checked(system_call(SYS_munmap, (long)start, (long)size, 0, 0, 0, 0));
}

int heap_register(const struct heap_layout *layout) {
    return (int)checked(system_call(SYS_heap_register, (long)layout, 0, 0, 0, 0, 0));
}

void _exit(int status) {
    for (;;)
        system_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

void exit(int status) { _exit(status); }
