/* A process that samples blocks: what it does with the signal of page faults is its own affair. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static sigjmp_buf back;
static volatile int handled, with_info;
static char *page;

static void simple(int signal) {
    handled++;
    siglongjmp(back, 1);
}

/* Repairs the access, which then passes. */
static void repair(int signal, siginfo_t *info, void *context) {
    handled++, with_info = (char *)info->si_addr == page + 8 && context;
    if (mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0) _exit(1);
}

static int status_of(void (*run)(void)) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        run();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

static void fault(void) { *(volatile char *)hidden(page) = 1; }
static void fault_by_default(void) { signal(SIGSEGV, SIG_DFL), fault(); }
static void kill_by_default(void) { signal(SIGSEGV, SIG_DFL), raise(SIGSEGV), usleep(1000); }
static void kill_ignored(void) { signal(SIGSEGV, SIG_IGN), raise(SIGSEGV), usleep(1000); }
static void fault_ignored(void) { signal(SIGSEGV, SIG_IGN), fault(); }

static void reset_by_handler(void) {
    struct sigaction action = {.sa_handler = simple, .sa_flags = SA_RESETHAND | SA_NODEFER}, now;
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    if (sigsetjmp(back, 1) == 0) fault();
    CHECK(handled == 1 && sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    fault();
}

static int killed_by(int status, int signal) { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }

int main(void) {
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    CHECK(killed_by(status_of(fault), SIGSEGV));
    CHECK(killed_by(status_of(fault_by_default), SIGSEGV));
    CHECK(killed_by(status_of(kill_by_default), SIGSEGV));
    CHECK(killed_by(status_of(fault_ignored), SIGSEGV));
    CHECK(status_of(kill_ignored) == 0);
    CHECK(killed_by(status_of(reset_by_handler), SIGSEGV));

    CHECK(signal(SIGSEGV, simple) == SIG_DFL && signal(SIGSEGV, simple) == simple);
    for (int i = 1; i < 4; i++) {
        if (sigsetjmp(back, 1) == 0) fault();
        CHECK(handled == i);
    }
    /* The mask of the action is the program's. */
    sigset_t mask, now;
    struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO | SA_ONSTACK}, before;
    sigemptyset(&action.sa_mask), sigaddset(&action.sa_mask, SIGUSR1);
    CHECK(sigaction(SIGSEGV, &action, &before) == 0 && before.sa_handler == simple);
    CHECK(sigaction(SIGSEGV, NULL, &before) == 0 && before.sa_sigaction == repair);
    CHECK((before.sa_flags & ~0x04000000) == action.sa_flags && sigismember(&before.sa_mask, SIGUSR1) == 1);
    CHECK(!sigismember(&before.sa_mask, SIGUSR2));
    handled = 0;
    page[8] = 1;
    CHECK(handled == 1 && with_info && page[8] == 1);

    /* A child that shares the memory does not change the action of its parent. */
    pid_t child = vfork();
    if (child == 0) {
        struct sigaction other = {.sa_handler = SIG_DFL};
        sigaction(SIGSEGV, &other, NULL);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(mprotect(page, 4096, PROT_NONE) == 0);
    page[8] = 2;
    CHECK(handled == 2);

    /* Other signals are not concerned. */
    CHECK(signal(SIGUSR1, simple) == SIG_DFL && signal(SIGUSR1, SIG_IGN) == simple);
    errno = 0;
    CHECK(signal(-1, simple) == SIG_ERR && errno == EINVAL);
    CHECK(sigaction(SIGKILL, &action, NULL) == -1);
    puts("sampled_signals: ok");
    return 0;
}
