#pragma once
#include <stddef.h>
#include <stdint.h>
typedef long ssize_t;
typedef int pid_t;
ssize_t read(int file, void *to, size_t size);
ssize_t write(int file, const void *from, size_t size);
int brk(void *to);
void *sbrk(intptr_t by);
pid_t getpid(void);
pid_t fork(void);
int pause(void);
void _exit(int status) __attribute__((noreturn));
