// C++'s operators: every form, the new handler, bad_alloc.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::_Exit(1); \
        } \
    } while (0)

static volatile std::size_t too_much = PTRDIFF_MAX;
static int handled = 0;

static void handler() {
    if (++handled == 3) std::set_new_handler(nullptr);
}

static void throwing_handler() { throw 42; }

template <typename F> static bool throws_bad_alloc(F allocate) {
    try {
        allocate();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

struct alignas(256) Wide {
    char bytes[300];
};

static thread_local std::vector<std::string> of_thread;

int main() {
    void *a = ::operator new(0), *b = ::operator new[](10), *c = ::operator new(10, std::nothrow);
    void *d = ::operator new(100, std::align_val_t(512)), *e = ::operator new[](100, std::align_val_t(64), std::nothrow);
    CHECK(a && b && c && reinterpret_cast<std::uintptr_t>(d) % 512 == 0 && reinterpret_cast<std::uintptr_t>(e) % 64 == 0);
    ::operator delete(a), ::operator delete[](b, 10), ::operator delete(c, std::nothrow);
    ::operator delete(d, 100, std::align_val_t(512)), ::operator delete[](e, std::align_val_t(64));
    ::operator delete(nullptr);

    CHECK(throws_bad_alloc([] { return ::operator new(too_much); }));
    CHECK(throws_bad_alloc([] { return ::operator new[](too_much); }));
    CHECK(throws_bad_alloc([] { return ::operator new(too_much, std::align_val_t(4096)); }));
    CHECK(throws_bad_alloc([] { return ::operator new[](too_much, std::align_val_t(32)); }));
    CHECK(::operator new[](too_much, std::align_val_t(64), std::nothrow) == nullptr);
    CHECK(::operator new(too_much, std::nothrow) == nullptr);
    CHECK(::operator new[](too_much, std::nothrow) == nullptr);
    CHECK(::operator new(too_much, std::align_val_t(64), std::nothrow) == nullptr);
    std::set_new_handler(handler);
    CHECK(throws_bad_alloc([] { return ::operator new(too_much); }) && handled == 3);
    std::set_new_handler(throwing_handler);
    int caught = 0;
    try {
        ::operator delete(::operator new(too_much));
    } catch (int number) {
        caught = number;
    }
    CHECK(caught == 42);
    // A handler that throws bad_alloc is how nothrow forms come to null.
    std::set_new_handler([] { throw std::bad_alloc(); });
    CHECK(::operator new(too_much, std::nothrow) == nullptr && ::operator new[](too_much, std::align_val_t(64), std::nothrow) == nullptr);
    std::set_new_handler(nullptr);

    auto wide = std::make_unique<Wide[]>(10);
    CHECK(reinterpret_cast<std::uintptr_t>(wide.get()) % 256 == 0);
    std::map<int, std::string> map;
    for (int i = 0; i < 100000; i++) map[i * 7919 % 100003] = std::string(i % 60, 'x');
    std::thread([] {
        for (int i = 0; i < 1000; i++) of_thread.emplace_back(100, 'y');
    }).join();
    CHECK(map.size() == 100000);
    std::puts("operators: ok");
}
