/* How the cells of a heap are laid out, so that `heap PID` and `live` can show them. What is zero
   does not apply. A program registers its layout once; on Linux nobody asks, and nothing happens.

     start, or the break's -- skip -->| cell             | cell | cell      | ... end, or the break
                                      `- size_at: size --'
                                         used_at: used?      or: on the free list that *free_at begins */
#pragma once
#include <stddef.h>
struct heap_layout {
    size_t start;       /* address of the first cell; 0: where the break began */
    size_t skip;        /* bytes from there to the first cell */
    size_t end_at;      /* address of a word with the end; 0: the break */
    size_t size_at;     /* offset of the word with the size, from the start of its cell */
    size_t size_bits;   /* bits of that word that are the size */
    size_t size_unit;   /* bytes of one unit of the size; 0 is 1 */
    size_t size_more;   /* bytes to the next cell beyond the size */
    size_t border_bits; /* bits of the word with the size that mark a hole; with a size of 0, the end */
    size_t used_at;     /* offset of the word that says whether the cell is used */
    size_t used_bits;   /* bits of that word that say so; 0: the free list does */
    size_t used_value;  /* their value in a used cell */
    size_t free_at;     /* address of a word with the address of the first free cell */
    size_t next_at;     /* offset of the word with the address of the next one */
};
int heap_register(const struct heap_layout *layout);
