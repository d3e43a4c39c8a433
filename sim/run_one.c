#include "sim/run_one.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mutant.h"
#include "sim/trace.h"

#define RESULT_FD 3

int64_t sim_wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * HF_S_NS + t.tv_nsec;
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * HF_S_NS + t.tv_nsec;
}

/* --- in this process --- */

hf_status sim_profile_get(const char *name, struct sim_profile *ret)
{
    if (strpbrk(name, "./"))
        return sim_profile_load(name, ret);
    HF_TRY(sim_profile_find(name, ret));
    return sim_profile_check(ret);
}

static hf_status choose_mutant(const char *name)
{
    if (!*name)
        return HF_STATUS_OK;
#ifdef HF_SIM
    if (hf_mutant_choose(name))
        return HF_STATUS_OK;
    return hf_error(HF_INVALID, "there is no planted bug '%s': 'hf-sim --mutants' lists them", name);
#else
    return hf_error(HF_INVALID, "planted bug '%s': this hf-sim was built without them, use the preset sim",
                    name);
#endif
}

static hf_status run_world(const struct sim_task *t, const struct sim_profile *p,
                           const struct sim_schedule *s, struct sim_result *ret)
{
    struct sim_run_options o = {.seed = t->seed, .profile = p, .schedule = s, .keep_going = t->keep_going};
    struct sim_trace_file *trace = NULL;
    if (*t->trace) {
        char title[SIM_PATH];
        snprintf(title, sizeof title, "seed %llu, profile %s", (unsigned long long)t->seed, p->name);
        HF_TRY(sim_trace_open(t->trace, title, &trace));
        o.trace = sim_trace_line;
        o.trace_arg = trace;
    }
    hf_status st = sim_world_run(&o, ret);
    if (!trace)
        return st;
    hf_status closed = sim_trace_close(trace);
    if (hf_ok(st))
        return closed;
    hf_status_drop(closed);
    return st;
}

static hf_status run(const struct sim_task *t, struct sim_result *ret)
{
    struct sim_profile p;
    struct sim_schedule s = {0};
    HF_TRY(choose_mutant(t->mutant));
    HF_TRY(sim_profile_get(t->profile, &p));
    if (*t->schedule) {
        struct sim_sizes sizes = sim_sizes_draw(t->seed, &p);
        HF_TRY(sim_schedule_load(t->schedule, &sizes, &s));
    }
    hf_status st = run_world(t, &p, *t->schedule ? &s : NULL, ret);
    sim_schedule_done(&s);
    return st;
}

void sim_run_here(const struct sim_task *t, struct sim_outcome *ret)
{
    *ret = (struct sim_outcome){.ending = SIM_ENDED};
    int64_t began_ns = cpu_ns();
    hf_status st = run(t, &ret->result);
    ret->cpu_ns = cpu_ns() - began_ns;
    ret->result.seed = t->seed;
    if (!hf_ok(st)) {
        ret->ending = SIM_REFUSED;
        snprintf(ret->text, sizeof ret->text, "%s", hf_status_message(st));
    }
    hf_status_drop(st);
}

const char *sim_outcome_failure(const struct sim_outcome *o, char *buf, size_t len)
{
    if (o->ending != SIM_ENDED)
        return o->text;
    if (o->result.n_violations == 0)
        return NULL;
    const struct sim_violation *v = &o->result.violations[0];
    snprintf(buf, len, "%s: %s", sim_rule_name(v->rule), v->text);
    return buf;
}

bool sim_outcome_alike(const struct sim_outcome *a, const struct sim_outcome *b)
{
    if (a->ending != b->ending)
        return false;
    if (a->ending == SIM_DIED) /* by the same assertion or signal */
        return strncmp(a->text, b->text, 60) == 0;
    if (a->ending != SIM_ENDED)
        return true;
    return a->result.n_violations > 0 && b->result.n_violations > 0 &&
           a->result.violations[0].rule == b->result.violations[0].rule;
}

/* --- the child's side --- */

int sim_child_main(int argc, char *argv[])
{
    struct sim_task t = {0};
    static struct sim_outcome o;
    if (argc != 8)
        return 2;
    t.seed = strtoull(argv[2], NULL, 10);
    snprintf(t.profile, sizeof t.profile, "%s", argv[3]);
    snprintf(t.schedule, sizeof t.schedule, "%s", argv[4]);
    snprintf(t.trace, sizeof t.trace, "%s", argv[5]);
    snprintf(t.mutant, sizeof t.mutant, "%s", argv[6]);
    t.keep_going = strcmp(argv[7], "go") == 0;
    sim_run_here(&t, &o);
    return write(RESULT_FD, &o, sizeof o) == (ssize_t)sizeof o ? 0 : 1;
}

static void execute(const struct sim_task *t, int result_fd, int said_fd, pid_t parent)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)t->seed);
    signal(SIGINT, SIG_IGN); /* the parent ends it */
    signal(SIGTERM, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(said_fd, STDERR_FILENO) < 0 || dup2(result_fd, RESULT_FD) < 0)
        _exit(1);
    execl("/proc/self/exe", "hf-sim", "--child", seed, t->profile, t->schedule, t->trace, t->mutant,
          t->keep_going ? "go" : "stop", (char *)NULL);
    dprintf(STDERR_FILENO, "hf-sim cannot execute itself: %s\n", strerror(errno));
    _exit(1);
}

/* --- the parent's side --- */

static void no_process(const char *what)
{
    fprintf(stderr, "hf-sim: cannot %s for a run: %s\n", what, strerror(errno));
    exit(1);
}

void sim_child_start(struct sim_child *c, const struct sim_task *t)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        no_process("make a pipe");
    *c = (struct sim_child){.result_fd = fds[0], .said_fd = memfd_create("hf-sim", MFD_CLOEXEC), .task = *t};
    c->began_ns = sim_wall_ns();
    if (c->said_fd < 0)
        no_process("make a file");
    pid_t parent = getpid();
    c->pid = fork();
    if (c->pid < 0)
        no_process("make a process");
    if (c->pid == 0)
        execute(t, fds[1], c->said_fd, parent);
    close(fds[1]);
}

static bool read_outcome(int fd, struct sim_outcome *ret)
{
    size_t got = 0;
    while (got < sizeof *ret) {
        ssize_t n = read(fd, (char *)ret + got, sizeof *ret - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

/* The last words of a child that died: what an assertion or a sanitizer has to say, in one line. */
static void last_words(int fd, char *buf, size_t len)
{
    char said[4096];
    ssize_t n = pread(fd, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    size_t at = 0;
    for (const char *p = said; *p && at + 1 < len; p++)
        buf[at++] = *p == '\n' ? ' ' : *p;
    buf[at] = '\0';
}

/* All of it, for a person. */
static void keep_words(const struct sim_child *c)
{
    char buf[4096];
    FILE *to = *c->task.said ? fopen(c->task.said, "w") : NULL;
    if (!to)
        return;
    off_t at = 0;
    for (ssize_t n; (n = pread(c->said_fd, buf, sizeof buf, at)) > 0; at += n)
        fwrite(buf, 1, (size_t)n, to);
    fclose(to);
}

static void describe_death(struct sim_child *c, int status, struct sim_outcome *ret)
{
    char said[600];
    last_words(c->said_fd, said, sizeof said);
    ret->ending = SIM_DIED;
    if (WIFSIGNALED(status))
        snprintf(ret->text, sizeof ret->text, "the program ended by signal %d (%s): %s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)), *said ? said : "it said nothing");
    else
        snprintf(ret->text, sizeof ret->text, "the program ended with exit code %d: %s", WEXITSTATUS(status),
                 *said ? said : "it said nothing");
}

static bool wait_readable(const struct sim_child *c, unsigned limit_s)
{
    for (;;) {
        int64_t left_ms = (c->began_ns + limit_s * HF_S_NS - sim_wall_ns()) / HF_MS_NS;
        struct pollfd p = {.fd = c->result_fd, .events = POLLIN};
        int n = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
        if (n > 0)
            return true;
        if (left_ms <= 0)
            return false;
    }
}

static int reap(struct sim_child *c)
{
    int status = 0;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(c->result_fd);
    c->pid = 0;
    return status;
}

void sim_child_finish(struct sim_child *c, unsigned limit_s, struct sim_outcome *ret)
{
    *ret = (struct sim_outcome){.ending = SIM_ENDED};
    bool in_time = wait_readable(c, limit_s);
    if (!in_time)
        kill(c->pid, SIGKILL);
    bool whole = in_time && read_outcome(c->result_fd, ret);
    int status = reap(c);
    if (!whole)
        *ret = (struct sim_outcome){.result = {.seed = c->task.seed}};
    if (!in_time) {
        ret->ending = SIM_HUNG;
        snprintf(ret->text, sizeof ret->text, "the run did not end within %u s of this machine's time",
                 limit_s);
    } else if (!whole || status != 0) { /* a sanitizer speaks after the result was written */
        describe_death(c, status, ret);
        keep_words(c);
    }
    close(c->said_fd);
}

void sim_child_kill(struct sim_child *c)
{
    if (c->pid == 0)
        return;
    kill(c->pid, SIGKILL);
    reap(c);
    close(c->said_fd);
}

void sim_run_apart(const struct sim_task *t, unsigned limit_s, struct sim_outcome *ret)
{
    struct sim_child c;
    sim_child_start(&c, t);
    sim_child_finish(&c, limit_s, ret);
}
