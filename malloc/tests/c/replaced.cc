// A program that replaces two operators, with a header in front of each block: the C++ library's
// other operators follow from them.
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

static long live = 0, calls = 0;

constexpr std::size_t HEADER = 32;

void *operator new(std::size_t size) {
    auto *start = static_cast<char *>(std::malloc(size + HEADER));
    if (start == nullptr) throw std::bad_alloc();
    live++, calls++;
    return start + HEADER;
}

void operator delete(void *block) noexcept {
    if (block == nullptr) return;
    live--;
    std::free(static_cast<char *>(block) - HEADER);
}

struct Item {
    int words[10];
    ~Item() { words[0] = 0; }
};

struct alignas(128) Wide {
    char bytes[200];
};

int main() {
    delete new Item;
    delete[] new Item[20];
    delete[] new int[100000];
    delete new (std::nothrow) Item;
    delete[] new (std::nothrow) Item[3];
    ::operator delete(::operator new(10, std::nothrow), std::nothrow);
#if __cpp_sized_deallocation
    ::operator delete[](::operator new[](10), std::size_t(10));
#endif
    delete new Wide;
    delete[] new (std::nothrow) Wide[3];
    {
        std::vector<std::string> texts;
        for (int i = 0; i < 1000; i++) texts.emplace_back(i % 100, 'x');
    }
    if (live != 0 || calls < 500) {
        std::fprintf(stderr, "%ld live after %ld calls\n", live, calls);
        return 1;
    }
    std::puts("replaced.cc: ok");
}
