#pragma once
#include <unistd.h>
#define WIFEXITED(status) (((status) & 0x7f) == 0)
#define WEXITSTATUS(status) ((status) >> 8 & 0xff)
#define WTERMSIG(status) ((status) & 0x7f)
pid_t waitpid(pid_t child, int *status, int options);
