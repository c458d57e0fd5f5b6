/* fork beside threads that hold the locks of streams: the heap's lock comes after that of the list
   of streams. */
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

static atomic_int stop;
static FILE *lines;

/* Holds the list's lock, and waits for each stream. */
static void *flush_all(void *unused) {
    while (!atomic_load(&stop)) CHECK(fflush(NULL) == 0);
    return unused;
}

/* Holds a stream's lock, and allocates: a line of more than 128 KiB comes from the heap of all
   threads. */
static void *read_lines(void *unused) {
    FILE *file = tmpfile();
    for (int i = 0; i < 400000; i++) fputc('a' + i % 26, file);
    while (!atomic_load(&stop)) {
        char *line = NULL;
        size_t size = 0;
        rewind(file);
        CHECK(getline(&line, &size, file) == 400000 && line[399999] == 'a' + 399999 % 26);
        free(line);
    }
    fclose(file);
    return unused;
}

int main(void) {
    alarm(60);
    pthread_t threads[4];
    CHECK(pthread_create(&threads[0], NULL, flush_all, NULL) == 0);
    for (int i = 1; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, read_lines, NULL) == 0);
    time_t end = time(NULL) + 3;
    int forks = 0;
    for (; time(NULL) < end; forks++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            /* The list is unlocked in the child. (The position of a file belongs to the parent, too.) */
            FILE *file = tmpfile();
            fputs("child", file), fclose(file);
            free(hidden(malloc(200000)));
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    CHECK(forks > 0);
    atomic_store(&stop, 1);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    puts("fork_stdio: ok");
    return 0;
}
