/* Answers and errno of the interface, as lines: with the library they are those of the C library's
   own. */
#include "check.h"
#include <malloc.h>

void *reallocarray(void *block, size_t count, size_t size);
__asm__(".symver old_free, cfree@GLIBC_2.2.5");
void old_free(void *block);

static volatile size_t most = SIZE_MAX, half = SIZE_MAX / 2, sum = (size_t)1 << 33;

static void show(const char *call, void *block) {
    int error = errno;
    printf("%s: %s, errno %d\n", call, block ? "block" : "null", error);
    free(block);
    errno = 77;
}

static void tell(const char *call, int answer) {
    int error = errno;
    printf("%s: %d, errno %d\n", call, answer, error);
    errno = 77;
}

#define SHOW(call) show(#call, call)
#define TELL(call) tell(#call, call)

int main(void) {
    void *block = hidden(malloc(10)), *out = &block;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    errno = 77;
    SHOW(malloc(0)), SHOW(malloc(most)), SHOW(malloc(half)), SHOW(malloc(half + 1)), SHOW(malloc(half - 100000));
    SHOW(calloc(0, 0)), SHOW(calloc(0, most)), SHOW(calloc(sum, sum)), SHOW(calloc(most, 1)), SHOW(calloc(3, half));
    SHOW(realloc(NULL, 0)), SHOW(realloc(NULL, most)), SHOW(realloc(block, most)), SHOW(realloc(block, half - 5000));
    SHOW(realloc(malloc(20), 0)), SHOW(reallocarray(NULL, 0, 9)), SHOW(reallocarray(block, sum, sum)), SHOW(reallocarray(malloc(7), 0, 9));
    SHOW(memalign(0, 10)), SHOW(memalign(1, 10)), SHOW(memalign(48, 10)), SHOW(memalign(64, most)), SHOW(memalign(64, half));
    SHOW(memalign(half + 1, 10)), SHOW(memalign(half + 2, 10)), SHOW(memalign(most, 10)), SHOW(memalign(half / 2 + 1, 10));
    SHOW(aligned_alloc(64, 0)), SHOW(aligned_alloc(64, 10)), SHOW(aligned_alloc(64, most)), SHOW(aligned_alloc(half + 1, 10));
    SHOW(valloc(0)), SHOW(valloc(most)), SHOW(valloc(half)), SHOW(pvalloc(0)), SHOW(pvalloc(most)), SHOW(pvalloc(half)), SHOW(pvalloc(most - 4095));
    TELL(posix_memalign(&out, 0, 10)), TELL(posix_memalign(&out, 3, 10)), TELL(posix_memalign(&out, 4, 10)), TELL(posix_memalign(&out, 24, 10));
    TELL(posix_memalign(&out, 16, most)), TELL(posix_memalign(&out, 16, half)), TELL(posix_memalign(&out, half + 1, 10));
    TELL(posix_memalign(&out, half / 2 + 1, 1)), TELL(posix_memalign(&out, 64, half - 1000)), TELL(posix_memalign(&out, most, 10));
    TELL(out == &block);
    TELL(posix_memalign(&out, 64, 0)), TELL(out != &block && out != NULL), free(out);
    TELL(posix_memalign(&out, 8, 10)), free(out);
    TELL((int)malloc_usable_size(NULL));
    TELL((free(NULL), 0)), TELL((free(malloc(100000000)), 0)), TELL((old_free(malloc(100)), 0)), TELL((old_free(NULL), 0));
    TELL(mallopt(M_MMAP_MAX, 100)), TELL(mallopt(M_TRIM_THRESHOLD, 1 << 20)), TELL(mallopt(M_TOP_PAD, 0)), TELL(mallopt(M_ARENA_MAX, 2));
    TELL(mallopt(M_MMAP_THRESHOLD, 1 << 20)), TELL(mallopt(M_PERTURB, 0)), TELL(mallopt(M_CHECK_ACTION, 0)), TELL(mallopt(M_MXFAST, 64));
    TELL(malloc_info(1, stderr)), TELL(malloc_info(-1, stderr));
    free(block);
    return 0;
}
