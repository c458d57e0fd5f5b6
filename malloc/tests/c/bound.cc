// A library with operators of its own, which its own calls reach and no others do (-Bsymbolic).
#include <cstdlib>
#include <new>

void *operator new(std::size_t size) { return std::malloc(size); }
void *operator new[](std::size_t size) { return std::malloc(size); }
void operator delete(void *block) noexcept { std::free(block); }
void operator delete(void *block, std::size_t) noexcept { std::free(block); }
void operator delete[](void *block) noexcept { std::free(block); }

int *made(int number) { return new int(number); }
int *made_many(int count) { return new int[count]; }
void ended(int *number) { delete number; }
void ended_many(int *numbers) { delete[] numbers; }
