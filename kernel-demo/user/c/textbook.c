/* The documents' allocator, step by step as they build it, and a main that shows what it does.

   A cell is a header and a payload (C1). All cells are on one list, in the order of addresses.
   malloc takes the first free one that is large enough and splits it (C3, C4), or moves the break.
   free marks the cell free and joins it with its neighbours (C5, C6), and gives back what ends at
   the break (C8).

   This file defines malloc, so the whole program uses it. `textbook stay` waits at the end, so
   that `heap` shows the cells. */
#include <heap_layout.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGN = 16 };

struct header {
    size_t size; /* of the payload */
    size_t is_free;
    struct header *next; /* in the order of addresses; NULL for the last one */
    struct header *previous;
};

static struct header *first, *last;

static void register_layout(void) {
    struct heap_layout layout = {
        .size_at = offsetof(struct header, size),
        .size_bits = (size_t)-1,
        .size_more = sizeof(struct header),
        .used_at = offsetof(struct header, is_free),
        .used_bits = (size_t)-1,
        .used_value = 0,
    };
    heap_register(&layout);
}

static size_t rounded(size_t size) {
    return size == 0 ? ALIGN : (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static char *end_of(struct header *cell) { return (char *)(cell + 1) + cell->size; }

/* Whether the next cell on the list begins where this one ends: others may move the break. */
static int touches_next(struct header *cell) {
    return cell->next != NULL && end_of(cell) == (char *)cell->next;
}

static void insert_after(struct header *cell, struct header *new) {
    new->previous = cell;
    new->next = cell->next;
    if (cell->next != NULL)
        cell->next->previous = new;
    else
        last = new;
    cell->next = new;
}

static void take_out(struct header *cell) {
    *(cell->previous != NULL ? &cell->previous->next : &first) = cell->next;
    *(cell->next != NULL ? &cell->next->previous : &last) = cell->previous;
}

/* Cuts off what is too much, if that is enough for a cell. */
static void split(struct header *cell, size_t size) {
    if (cell->size < size + sizeof(struct header) + ALIGN)
        return;
    struct header *rest = (struct header *)((char *)(cell + 1) + size);
    rest->size = cell->size - size - sizeof(struct header);
    rest->is_free = 1;
    cell->size = size;
    insert_after(cell, rest);
}

static void join_with_next(struct header *cell) {
    struct header *next = cell->next;
    if (touches_next(cell) && next->is_free) {
        take_out(next);
        cell->size += sizeof(struct header) + next->size;
    }
}

void *malloc(size_t size) {
    if (size > SIZE_MAX / 2)
        return NULL;
    size = rounded(size);
    for (struct header *cell = first; cell != NULL; cell = cell->next) {
        if (cell->is_free && cell->size >= size) {
            cell->is_free = 0;
            split(cell, size);
            return cell + 1;
        }
    }
    if (first == NULL)
        register_layout();
    struct header *cell = sbrk((intptr_t)(sizeof(struct header) + size));
    if (cell == (void *)-1)
        return NULL;
    *cell = (struct header){.size = size};
    if (first == NULL)
        first = last = cell;
    else
        insert_after(last, cell);
    return cell + 1;
}

void free(void *block) {
    if (block == NULL)
        return;
    struct header *cell = (struct header *)block - 1;
    cell->is_free = 1;
    join_with_next(cell);
    if (cell->previous != NULL && cell->previous->is_free && touches_next(cell->previous)) {
        cell = cell->previous;
        join_with_next(cell);
    }
    if (end_of(cell) == sbrk(0)) {
        intptr_t gone = end_of(cell) - (char *)cell;
        take_out(cell);
        sbrk(-gone);
    }
}

void *calloc(size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    void *block = malloc(count * size);
    return block == NULL ? NULL : memset(block, 0, count * size);
}

void *realloc(void *block, size_t size) {
    if (block == NULL)
        return malloc(size);
    struct header *cell = (struct header *)block - 1;
    if (cell->size >= size)
        return block;
    void *moved = malloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, cell->size);
    free(block);
    return moved;
}

static void show(const char *when) {
    printf("%s:\n", when);
    for (struct header *cell = first; cell != NULL; cell = cell->next)
        printf("  %p %6zu %s\n", (void *)cell, cell->size, cell->is_free ? "free" : "used");
}

static int untrue;

static void claim(int condition, const char *meaning) {
    printf("%s: %s\n", condition ? "ok" : "UNTRUE", meaning);
    untrue |= !condition;
}

int main(int argc, char **argv) {
    char *start = sbrk(0);
    char *one = malloc(1000), *two = malloc(3000), *three = malloc(500);
    if (one == NULL || two == NULL || three == NULL) {
        printf("there is no memory\n");
        return 1;
    }
    show("three blocks");
    claim((char *)sbrk(0) > start, "C4: malloc has moved the break");
    claim((uintptr_t)one % ALIGN == 0, "C1: payloads are aligned");
    claim(two == one + 1008 + sizeof(struct header), "C1: a header precedes each payload");

    char *top = sbrk(0);
    free(two);
    show("the second one freed");
    claim(sbrk(0) == top, "C5: free keeps the memory");
    char *small = malloc(100);
    show("a small one");
    claim(small == two, "C4: what was freed is what malloc takes first");
    claim(sbrk(0) == top, "C4: without moving the break");
    claim(((struct header *)small - 1)->next->is_free, "C3: the rest is a free cell");
    free(small);
    claim(((struct header *)two - 1)->size >= 3000, "C6: free cells that touch are joined");

    int *zeros = calloc(100, sizeof *zeros);
    claim(zeros != NULL && zeros[99] == 0, "C7: calloc zeroes");
    claim(calloc(SIZE_MAX, 2) == NULL, "C7: and does not overflow");
    char *moved = realloc(one, 5000);
    claim(moved != one && realloc(moved, 10) == moved, "C7: realloc moves what does not fit");

    if (argc > 1 && strcmp(argv[1], "stay") == 0)
        for (;;)
            pause();
    free(moved);
    free(zeros);
    free(three);
    show("all freed");
    claim(sbrk(0) == start, "C8: what ends at the break goes back");
    return untrue;
}
