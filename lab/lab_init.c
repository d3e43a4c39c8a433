/* hf-lab-init PROGRAM ARG…: process 1 of a lab host's pid namespace. Runs PROGRAM once (what sets the host up), then reaps
 * every orphan for ever: a QEMU that died and is not reaped counts as alive for libvirt. SIGTERM or SIGINT ends it, and with it
 * the kernel ends everything in the namespace.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int run_setup(char **argv, const sigset_t *mask)
{
    pid_t pid = fork();
    if (pid < 0) {
        perror("hf-lab-init: fork");
        return -1;
    }
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, mask, NULL);
        setsid();
        execvp(argv[0], argv);
        perror("hf-lab-init: exec");
        _exit(127);
    }
    return 0;
}

int main(int argc, char **argv)
{
    sigset_t handled, before;
    sigemptyset(&handled);
    sigaddset(&handled, SIGCHLD);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigprocmask(SIG_BLOCK, &handled, &before);

    if (argc < 2) {
        fprintf(stderr, "usage: hf-lab-init PROGRAM ARG...\n");
        return 2;
    }
    if (run_setup(argv + 1, &before) < 0)
        return 1;
    for (;;) {
        int sig = sigwaitinfo(&handled, NULL);
        if (sig == SIGTERM || sig == SIGINT)
            return 0;
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
}
