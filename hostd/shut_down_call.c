#include "hostd/shut_down_call.h"

#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "hostd/daemon_lock.h"

#define LOOK_MS  200
#define TELL_MS  5000 /* it is told again: one that has just started may have missed it */
#define QUIET_MS 3000 /* no daemon for so long: none is started again */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static hf_status tell(pid_t pid)
{
    if (kill(pid, HF_SHUT_DOWN_SIGNAL) != 0 && errno != ESRCH)
        return hf_errno(errno, "signal hostd, process %d", (int)pid);
    return HF_STATUS_OK;
}

/* A daemon that dies on the way is started again by its supervisor, and is told again. One that has left
 * stays away. */
hf_status hf_shut_down_call(const char *run_dir, int64_t timeout_ms)
{
    int64_t end = now_ms() + timeout_ms, gone_since = now_ms(), told_ms = 0;
    pid_t told = 0;
    for (;;) {
        pid_t pid = 0;
        HF_TRY(hf_daemon_lock_holder(run_dir, &pid));
        if (pid != 0 && (pid != told || now_ms() - told_ms >= TELL_MS)) {
            if (pid != told)
                hf_info("hostd, process %d, is told that this machine is about to be switched off", (int)pid);
            HF_TRY(tell(pid));
            told = pid;
            told_ms = now_ms();
        }
        if (pid != 0)
            gone_since = now_ms();
        if (pid == 0 && (told == 0 || now_ms() - gone_since >= QUIET_MS))
            return HF_STATUS_OK;
        if (now_ms() >= end)
            return hf_error(HF_TIMEOUT, "hostd has not left after %lld s: look at its log",
                            (long long)(timeout_ms / 1000));
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
    }
}
