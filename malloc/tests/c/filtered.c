/* A filter of system calls refuses one of those that move memory: what can be served is, and
   nothing is lost. */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void refuse(int number, int error) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

enum { COUNT = 3000 };
static unsigned char *blocks[COUNT];
static size_t sizes[COUNT];

static void verify(int i) {
    for (size_t k = 0; k < sizes[i]; k += 97) CHECK(blocks[i][k] == (unsigned char)i);
}

static void use_the_heap(int may_refuse) {
    unsigned seed = 5;
    int refused = 0;
    for (int round = 0; round < 20000; round++) {
        int i = rand_r(&seed) % COUNT;
        size_t size = 1 + rand_r(&seed) % (round % 20 ? 3000 : round % 100 ? 200000 : 2000000);
        unsigned char *block = rand_r(&seed) % 3 && blocks[i] ? realloc(blocks[i], size) : NULL;
        if (block) {
            for (size_t k = 0; k < size && k < sizes[i]; k += 97) CHECK(block[k] == (unsigned char)i);
        } else {
            if (blocks[i]) verify(i), free(blocks[i]);
            block = round % 2 ? malloc(size) : calloc(1, size);
        }
        blocks[i] = block;
        if (!block) {
            CHECK(errno == ENOMEM);
            refused++;
            continue;
        }
        sizes[i] = size;
        memset(block, i, size);
        if (round % 1000 == 0) malloc_trim(0);
    }
    for (int i = 0; i < COUNT; i++) {
        if (blocks[i]) verify(i);
        free(blocks[i]), blocks[i] = NULL;
    }
    CHECK(may_refuse || refused == 0);
}

int main(int count, char **arguments) {
    CHECK(count == 3);
    static const struct { const char *name; int number; } calls[] = {
        {"brk", SYS_brk}, {"mmap", SYS_mmap}, {"munmap", SYS_munmap}, {"mremap", SYS_mremap}, {"madvise", SYS_madvise}, {"mprotect", SYS_mprotect},
    };
    int error = atoi(arguments[2]);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(arguments[1], calls[i].name) == 0) refuse(calls[i].number, error);
    use_the_heap(0);
    puts("filtered: ok");
    return 0;
}
