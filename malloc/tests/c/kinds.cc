/* A program with one error, or none, which else ends as it should: `kinds KIND SIZE`. */
extern "C" {
#include "check.h"
}
#include <new>

static char statics[256];

static volatile char sink;

int main(int count, char **arguments) {
    CHECK(count == 3);
    const char *kind = arguments[1];
    size_t size = atoi(arguments[2]);
    auto is = [kind](const char *other) { return strcmp(kind, other) == 0; };
    enum { BLOCKS = 60 };
    char *blocks[BLOCKS];
    for (char *&block : blocks) {
        block = (char *)(is("wrong-family") ? ::operator new(size) : malloc(size));
        CHECK(block);
        memset(block, 1, size);
    }
    char *victim = (char *)hidden(blocks[BLOCKS / 2]);
    char local[256];
    if (is("double-free-at-once")) free(victim), free(victim), blocks[BLOCKS / 2] = NULL;
    else if (is("double-free-later")) {
        free(victim);
        blocks[BLOCKS / 2] = NULL;
        for (int i = BLOCKS / 2 - 8; i < BLOCKS / 2 + 8; i++) free(blocks[i]), blocks[i] = NULL;
        free(victim);
    } else if (is("free-inside")) free(victim + (size / 2 & ~15));
    else if (is("free-beside")) free(victim + 8);
    else if (is("free-of-stack")) free(hidden(local + 64 - (uintptr_t)local % 16));
    else if (is("free-of-static")) free(hidden(statics + 64 - (uintptr_t)statics % 16));
    else if (is("wrong-family")) free(victim), blocks[BLOCKS / 2] = NULL;
    else if (is("write-behind-1")) victim[size] = 2;
    else if (is("write-behind-16")) memset(victim + size, 2, 16);
    else if (is("write-in-front-1")) victim[-1] = 2;
    else if (is("write-in-front-16")) memset(victim - 16, 2, 16);
    /* Reads: of a block at the other end of its pages, the one that is sampled would not fault. */
    else if (is("read-behind")) for (char *block : blocks) sink = ((char *)hidden(block))[(size + 15) & ~15];
    else if (is("read-in-front")) for (char *block : blocks) sink = ((char *)hidden(block))[-1];
    else if (is("write-after-free-start")) free(victim), victim[0] = 2, blocks[BLOCKS / 2] = NULL;
    else if (is("write-after-free-middle")) free(victim), victim[size / 2] = 2, blocks[BLOCKS / 2] = NULL;
    else if (is("read-after-free")) free(victim), sink = victim[size / 2], blocks[BLOCKS / 2] = NULL;
    else CHECK(is("none"));
    for (char *block : blocks) {
        if (is("wrong-family")) ::operator delete(block);
        else free(block);
    }
    for (int i = 0; i < 200; i++) CHECK(hidden(malloc(size)));
    return 0;
}
