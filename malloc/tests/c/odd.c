/* What C17, POSIX and glibc say of odd arguments. */
#include "check.h"
#include <malloc.h>

void *reallocarray(void *block, size_t count, size_t size);
void free_sized(void *block, size_t size) __attribute__((weak));
void free_aligned_sized(void *block, size_t align, size_t size) __attribute__((weak));

static volatile size_t too_much = (size_t)PTRDIFF_MAX + 1, most = SIZE_MAX, half = (size_t)1 << 32;

static int is_aligned(void *block, size_t align) { return (uintptr_t)block % align == 0; }

static void no_memory(void *block) {
    CHECK(block == NULL && errno == ENOMEM);
    errno = 0;
}

static void zero_sizes(void) {
    void *a = malloc(0), *b = malloc(0), *c = calloc(0, 8), *d = calloc(8, 0), *e = memalign(64, 0);
    CHECK(a && b && c && d && e && a != b && c != d);
    void *f = NULL;
    CHECK(posix_memalign(&f, 64, 0) == 0 && f != NULL);
    free(a), free(b), free(c), free(d), free(e), free(f);
    CHECK(malloc_usable_size(NULL) == 0);
}

static void too_large(void) {
    void *block = hidden(malloc(10));
    errno = 0;
    no_memory(malloc(too_much));
    no_memory(malloc(most));
    no_memory(calloc(half, half));
    no_memory(calloc(most, 2));
    no_memory(realloc(block, most));
    no_memory(realloc(NULL, most));
    no_memory(reallocarray(block, half, half));
    no_memory(aligned_alloc(64, most));
    no_memory(memalign(64, most - 10));
    no_memory(valloc(most));
    no_memory(pvalloc(most));
    no_memory(malloc(most / 2 - 4096));
    memset(block, 1, 10);
    free(block);
}

static void reallocations(void) {
    char *block = realloc(NULL, 100);
    CHECK(block && malloc_usable_size(block) >= 100);
    memset(block, 7, 100);
    size_t size = 100;
    for (; size < 3000000; size = size * 3 / 2) {
        block = realloc(block, size);
        CHECK(block && block[0] == 7 && block[99] == 7 && is_aligned(block, 16));
        memset(block, 7, size);
    }
    for (size = size * 2 / 3; size > 1; size /= 2) {
        block = realloc(block, size);
        CHECK(block && block[0] == 7 && block[size - 1] == 7);
    }
    errno = 0;
    CHECK(realloc(block, 0) == NULL && errno == 0);
    block = realloc(NULL, 0);
    CHECK(block && reallocarray(block, 0, 9) == NULL && errno == 0);
    block = reallocarray(NULL, 7, 9);
    CHECK(block && malloc_usable_size(block) >= 63);
    free(block);
    /* An alignment that realloc need not keep, and contents that it must. */
    block = memalign(4096, 5000);
    memset(block, 9, 5000);
    block = realloc(block, 500000);
    for (size_t i = 0; i < 5000; i++) CHECK(block[i] == 9);
    free(block);
}

static void alignments(void) {
    for (size_t align = 8; align <= 1 << 21; align *= 2) {
        for (size_t size = 0; size < 40000; size = size * 3 + 1) {
            void *a = aligned_alloc(align, size), *b = memalign(align, size), *c = (void *)1;
            CHECK(posix_memalign(&c, align, size) == 0);
            CHECK(a && b && c && is_aligned(a, align) && is_aligned(b, align) && is_aligned(c, align));
            memset(a, 1, size), memset(b, 2, size), memset(c, 3, size);
            free(b), free(a), free(c);
        }
    }
    void *out = (void *)42;
    errno = 0;
    CHECK(posix_memalign(&out, 3, 10) == EINVAL && posix_memalign(&out, 4, 10) == EINVAL && posix_memalign(&out, 24, 10) == EINVAL);
    CHECK(posix_memalign(&out, 0, 10) == EINVAL && errno == 0 && posix_memalign(&out, 64, most) == ENOMEM);
    CHECK(posix_memalign(&out, 64, most / 2 - 8192) == ENOMEM && posix_memalign(&out, too_much / 2, 10) == ENOMEM);
    CHECK(out == (void *)42);
    errno = 0;
    CHECK(aligned_alloc(48, 96) == NULL && errno == EINVAL);
    CHECK(aligned_alloc(0, 96) == NULL && errno == EINVAL);
    void *rounded = memalign(48, 96), *any = memalign(0, 10), *byte = memalign(1, 10);
    CHECK(rounded && is_aligned(rounded, 64) && any && is_aligned(any, 16) && byte && is_aligned(byte, 16));
    free(rounded), free(any), free(byte);
    errno = 0;
    CHECK(memalign(most, 10) == NULL && errno == EINVAL);
    no_memory((errno = 0, memalign(too_much / 2, 10)));
    no_memory(memalign(too_much, 10));
    errno = 0;
    CHECK(memalign(too_much + 1, 10) == NULL && errno == EINVAL);
    void *page = valloc(10), *pages = pvalloc(4097), *least = pvalloc(0);
    CHECK(is_aligned(page, 4096) && is_aligned(pages, 4096) && malloc_usable_size(pages) >= 8192 && least);
    free(page), free(pages), free(least);
}

static void zeros(void) {
    for (int round = 0; round < 3; round++) {
        for (size_t size = 1; size < 1000000; size = size * 2 + 3) {
            char *block = calloc(1, size);
            for (size_t i = 0; i < size; i++) CHECK(block[i] == 0);
            memset(block, 0xFF, malloc_usable_size(block));
            free(hidden(block));
        }
    }
}

static void freeing(void) {
    void *small = malloc(10), *large = malloc(10000000), *page = memalign(4096, 10);
    errno = EDOM;
    free(NULL), free(small), free(large);
    if (free_sized) free_sized(hidden(malloc(33)), 33), free_sized(NULL, 3);
    if (free_aligned_sized) free_aligned_sized(page, 4096, 10);
    CHECK(errno == EDOM);
}

static void usable(void) {
    for (size_t size = 0; size < 300000; size = size * 5 / 4 + 1) {
        char *block = malloc(size);
        size_t usable = malloc_usable_size(block);
        CHECK(usable >= size);
        memset(block, 3, usable);
        block = realloc(block, usable + 1000);
        for (size_t i = 0; i < usable; i++) CHECK(block[i] == 3);
        free(block);
    }
}

static void settings(void) {
    CHECK(mallopt(12345, 1) == 0 && mallopt(M_TOP_PAD, 4096) == 1 && mallopt(M_ARENA_MAX, 1) == 1);
    CHECK(mallopt(M_MMAP_THRESHOLD, 130 << 10) == 1);
    size_t before = mallinfo2().hblkhd;
    void *mapped = hidden(malloc(140 << 10));
    CHECK(mallinfo2().hblkhd >= before + (140 << 10));
    free(mapped);
    /* The checked heap keeps it for a while. */
    malloc_trim(0);
    CHECK(mallinfo2().hblkhd == before);
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 30) == 1 && mallopt(M_TRIM_THRESHOLD, -1) == 1);
    enum { COUNT = 4000 };
    static void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) blocks[i] = malloc(2000);
    size_t live = mallinfo2().uordblks;
    CHECK(live >= COUNT * 2000 && mallinfo2().arena >= live);
    for (int i = COUNT; i-- > 0;) free(blocks[i]);
    CHECK(mallinfo2().uordblks < live && mallinfo().uordblks >= 0);
    CHECK(malloc_trim(0) == 1);
    CHECK(mallinfo2().arena < COUNT * 2000);
}

int main(void) {
    zero_sizes(), too_large(), reallocations(), alignments(), zeros(), freeing(), usable(), settings();
    puts("odd: ok");
    return 0;
}
