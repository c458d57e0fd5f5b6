// Blocks cross the border of a library that has operators of its own, both ways.
#include <cstdio>

int *made(int number);
int *made_many(int count);
void ended(int *number);
void ended_many(int *numbers);

int main() {
    for (int i = 0; i < 1000; i++) {
        delete made(i);
        delete[] made_many(i);
        ended(new int(i));
        ended_many(new int[i]);
    }
    std::puts("crossing.cc: ok");
}
