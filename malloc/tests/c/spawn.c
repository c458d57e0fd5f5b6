/* All ways to begin a process beside threads that allocate: popen, system, posix_spawn, vfork,
   _Fork, clone. */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;
static atomic_int stop;

static void *churn(void *unused) {
    while (!atomic_load(&stop)) {
        char *volatile small = malloc(100), *volatile large = malloc(300000);
        small[99] = large[299999] = 1;
        free(small), free(large);
    }
    return unused;
}

static void wait_for(pid_t child) {
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void use_the_heap(void) {
    char *block = hidden(calloc(1, 300)), *large = hidden(malloc(500000));
    CHECK(block && large && block[299] == 0);
    block = realloc(block, 70000);
    CHECK(block && block[299] == 0);
    free(block), free(large);
}

static int of_clone(void *block) {
    use_the_heap();
    free(block);
    return 0;
}

int main(void) {
    alarm(60);
    /* With one thread. Children of these calls get no handlers. */
    for (int i = 0; i < 20; i++) {
        pid_t child = i % 2 ? (pid_t)syscall(SYS_fork) : _Fork();
        if (child == 0) use_the_heap(), _exit(0);
        wait_for(child);
    }
    static char stack[1 << 20] __attribute__((aligned(16)));
    /* The memory of both is the same; the parent waits. */
    for (int i = 0; i < 20; i++) wait_for(clone(of_clone, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, malloc(200)));
    for (int i = 0; i < 20; i++) wait_for(clone(of_clone, stack + sizeof stack, SIGCHLD, malloc(200)));

    pthread_t threads[3];
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
    char *arguments[] = {"true", NULL};
    for (int i = 0; i < 30; i++) {
        char line[100] = "";
        FILE *pipe = popen("echo from the pipe", "r");
        CHECK(pipe && fgets(line, sizeof line, pipe) && strcmp(line, "from the pipe\n") == 0 && pclose(pipe) == 0);
        CHECK(system("exit 7") == 7 << 8);
        pid_t child;
        CHECK(posix_spawnp(&child, "true", NULL, NULL, arguments, environ) == 0);
        wait_for(child);
        child = vfork();
        if (child == 0) execvp("true", arguments), _exit(1);
        wait_for(child);
        child = fork();
        if (child == 0) use_the_heap(), execvp("true", arguments), _exit(1);
        wait_for(child);
        use_the_heap();
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    puts("spawn: ok");
    return 0;
}
