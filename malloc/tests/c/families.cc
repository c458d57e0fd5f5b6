// Each operator delete and free for blocks of each operator new and malloc: the checked heap accepts those of the same family only.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <new>

static void *volatile block;
static const auto wide = std::align_val_t(64);

int main(int count, char **arguments) {
    if (count != 3) return 2;
    for (int round = 0; round < 100; round++) {
        switch (atoi(arguments[1])) {
        case 0: block = round % 2 ? malloc(50) : memalign(64, 50); break;
        case 1: block = round % 2 ? operator new(50) : operator new(50, std::nothrow); break;
        case 2: block = round % 2 ? operator new[](50) : operator new[](50, std::nothrow); break;
        case 3: block = round % 2 ? operator new(50, wide) : operator new(50, wide, std::nothrow); break;
        case 4: block = round % 2 ? operator new[](50, wide) : operator new[](50, wide, std::nothrow); break;
        }
        memset(block, 1, 50);
        switch (atoi(arguments[2])) {
        case 0: round % 3 ? free(block) : free(realloc(block, 100)); break;
        case 1: round % 3 ? operator delete(block) : operator delete(block, std::size_t(50)); break;
        case 2: round % 3 ? operator delete[](block) : operator delete[](block, std::nothrow); break;
        case 3: round % 3 ? operator delete(block, wide) : operator delete(block, std::size_t(50), wide); break;
        case 4: round % 3 ? operator delete[](block, wide) : operator delete[](block, wide, std::nothrow); break;
        }
    }
    puts("families: ok");
    return 0;
}
