/* A child that allocates nothing costs what it costs without handlers of ours: each page that they
   touch is a fault, and maybe a copy. */
#include "check.h"
#include <sys/resource.h>
#include <sys/wait.h>

/* Page faults of a child that ends at once: the least of some. */
static int faults_of_child(pid_t (*begin)(void)) {
    int least = 255;
    for (int i = 0; i < 8; i++) {
        pid_t child = begin();
        CHECK(child >= 0);
        if (child == 0) {
            struct rusage usage;
            getrusage(RUSAGE_SELF, &usage);
            _exit(usage.ru_minflt < 255 ? usage.ru_minflt : 255);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
        if (WEXITSTATUS(status) < least) least = WEXITSTATUS(status);
    }
    return least;
}

int main(void) {
    for (int i = 0; i < 10000; i++) CHECK(malloc(i % 500));
    int bare = faults_of_child(_Fork), with_handlers = faults_of_child(fork);
    printf("%d faults without handlers, %d with them\n", bare, with_handlers);
    CHECK(with_handlers <= bare + 8);
    puts("fork_pages: ok");
    return 0;
}
