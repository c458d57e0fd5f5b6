/* Counts its arguments' letters in memory of malloc, which here is brkalloc.

   `words` without arguments uses some of its own. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct word {
    struct word *next;
    char *text;
};

static struct word *add(struct word *list, const char *text) {
    struct word *word = malloc(sizeof *word);
    assert(word != NULL);
    word->text = malloc(strlen(text) + 1);
    assert(word->text != NULL);
    strcpy(word->text, text);
    word->next = list;
    return word;
}

int main(int argc, char **argv) {
    void *before = sbrk(0);
    struct word *list = NULL;
    if (argc == 1)
        list = add(add(list, "brk"), "malloc");
    for (int at = 1; at < argc; at++)
        list = add(list, argv[at]);
    assert(sbrk(0) > before);

    size_t letters = 0;
    while (list != NULL) {
        struct word *next = list->next;
        letters += strlen(list->text);
        printf("%8s at %p\n", list->text, (void *)list->text);
        free(list->text);
        free(list);
        list = next;
    }
    printf("%zu letters\n", letters);

    int *numbers = calloc(100, sizeof *numbers);
    assert(numbers != NULL && numbers[99] == 0);
    numbers[99] = 7;
    numbers = realloc(numbers, 100000 * sizeof *numbers);
    assert(numbers != NULL && numbers[99] == 7);
    free(numbers);
    assert(calloc((size_t)-1, 2) == NULL);
    return 0;
}
