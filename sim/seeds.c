#include "sim/seeds.h"

#include <poll.h>
#include <string.h>

#define POLL_MS 200

struct slot {
    struct sim_child child; /* pid 0: idle */
    bool second;            /* it runs what has run before */
    bool wanted_twice;
    struct sim_outcome first;
};

struct fleet {
    const struct sim_seeds *s;
    struct sim_report *r;
    FILE *to;
    struct slot slots[SIM_JOBS_MAX];
    uint64_t next;
    bool no_more;
};

/* --- what became of one --- */

static void say_failed(struct fleet *f, const struct sim_failure *x)
{
    char buf[600];
    const char *what = sim_outcome_failure(&x->outcome, buf, sizeof buf);
    sim_report_clear_progress(f->to);
    fprintf(f->to, "seed %llu FAILED: %s\n", (unsigned long long)x->task.seed,
            x->diverges ? "its two runs differ"
            : what      ? what
                        : "?");
}

static void judge(struct fleet *f, const struct sim_task *t, const struct sim_outcome *o, bool diverges)
{
    char buf[600];
    sim_report_add(f->r, o);
    f->r->violations += diverges;
    if (!diverges && !sim_outcome_failure(o, buf, sizeof buf))
        return;
    struct sim_failure *x = sim_report_fail(f->r, t, o);
    if (!x)
        return;
    x->diverges = diverges;
    say_failed(f, x);
}

/* A slot's child has ended: it is run a second time, or judged. */
static void ended(struct fleet *f, struct slot *s)
{
    struct sim_outcome o;
    char buf[600];
    struct sim_task t = s->child.task;
    sim_child_finish(&s->child, f->s->study.limit_s, &o);
    if (s->second) {
        f->r->twice++;
        judge(f, &t, &s->first, !sim_same_run(&s->first, &o));
        s->second = false;
        return;
    }
    bool failed = sim_outcome_failure(&o, buf, sizeof buf) != NULL;
    if ((!failed && !s->wanted_twice) || o.ending == SIM_HUNG) {
        judge(f, &t, &o, false);
        return;
    }
    s->first = o;
    s->second = true;
    t.trace[0] = '\0';
    sim_child_start(&s->child, &t);
}

/* --- the loop --- */

static bool may_begin(struct fleet *f)
{
    const struct sim_seeds *s = f->s;
    if (*s->study.stop || (s->until_failure && f->r->n_failures > 0))
        f->no_more = true;
    if (s->seconds > 0 && sim_wall_ns() - f->r->began_ns >= s->seconds * HF_S_NS)
        f->no_more = true;
    return !f->no_more;
}

static void begin(struct fleet *f, struct slot *s)
{
    struct sim_task t = {0};
    uint64_t i = f->next;
    if (!may_begin(f))
        return;
    if (!f->s->next(f->s->arg, i, &t)) {
        f->no_more = true;
        return;
    }
    f->next++;
    s->second = false;
    s->wanted_twice = f->s->twice_every > 0 && i % f->s->twice_every == 0;
    sim_child_start(&s->child, &t);
}

static bool is_due(const struct fleet *f, const struct slot *s)
{
    return sim_wall_ns() - s->child.began_ns >= f->s->study.limit_s * HF_S_NS;
}

/* Waits for a child for a moment. False: none runs. */
static bool wait_for_some(struct fleet *f)
{
    struct pollfd fds[SIM_JOBS_MAX];
    struct slot *of[SIM_JOBS_MAX];
    nfds_t n = 0;
    for (unsigned i = 0; i < f->s->jobs; i++) {
        if (f->slots[i].child.pid == 0)
            continue;
        fds[n] = (struct pollfd){.fd = f->slots[i].child.result_fd, .events = POLLIN};
        of[n++] = &f->slots[i];
    }
    if (n == 0)
        return false;
    if (poll(fds, n, POLL_MS) < 0)
        return true; /* a signal */
    for (nfds_t i = 0; i < n; i++)
        if (fds[i].revents != 0 || is_due(f, of[i]))
            ended(f, of[i]);
    return true;
}

static void run_fleet(struct fleet *f)
{
    do {
        for (unsigned i = 0; i < f->s->jobs; i++)
            if (f->slots[i].child.pid == 0)
                begin(f, &f->slots[i]);
        sim_report_progress(f->r, f->to);
    } while (wait_for_some(f) && !*f->s->study.stop);
    for (unsigned i = 0; i < f->s->jobs; i++)
        sim_child_kill(&f->slots[i].child);
}

static void run_here(struct fleet *f)
{
    struct sim_task t;
    struct sim_outcome o;
    while (may_begin(f)) {
        t = (struct sim_task){0};
        if (!f->s->next(f->s->arg, f->next++, &t))
            break;
        sim_run_here(&t, &o);
        judge(f, &t, &o, false);
        sim_report_progress(f->r, f->to);
    }
}

void sim_seeds_run(const struct sim_seeds *s, struct sim_report *r, FILE *to)
{
    static struct fleet f;
    f = (struct fleet){.s = s, .r = r, .to = to};
    r->jobs = s->jobs > 0 ? s->jobs : 1;
    if (s->jobs > 0)
        run_fleet(&f);
    else
        run_here(&f);
    r->wall_ns = sim_wall_ns() - r->began_ns;
    sim_report_clear_progress(to);
    for (size_t i = 0; i < r->n_failures && i < SIM_FAILURES_MAX && i < s->study_max && !*s->study.stop;
         i++) {
        fprintf(to, "seed %llu: writing its trace%s\n", (unsigned long long)r->failures[i].task.seed,
                s->study.shrink_s > 0 ? ", looking for a smaller schedule of faults" : "");
        sim_failure_study(&r->failures[i], &s->study, to);
    }
}
