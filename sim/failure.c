#include "sim/failure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/shrink.h"
#include "sim/trace.h"

bool sim_same_run(const struct sim_outcome *a, const struct sim_outcome *b)
{
    if (a->ending != b->ending)
        return false;
    return a->ending != SIM_ENDED ||
           (a->result.digest == b->result.digest && a->result.events == b->result.events);
}

static void file_name(char to[SIM_PATH], const struct sim_failure *f, const struct sim_study *s,
                      const char *ending)
{
    int n = snprintf(to, SIM_PATH, "%s/seed-%llu%s", s->folder, (unsigned long long)f->task.seed, ending);
    if (n >= SIM_PATH)
        to[0] = '\0';
}

/* --- where two runs part --- */

static void describe_parting(struct sim_failure *f, const char *path_a, const char *path_b)
{
    unsigned long long seed = f->task.seed;
    uint64_t line;
    char a[SIM_TRACE_TEXT] = "", b[SIM_TRACE_TEXT] = "";
    hf_status st = sim_trace_compare(path_a, path_b, &line, a, b);
    const char *time = *a ? a : b;
    time += strspn(time, " ");
    if (!hf_ok(st))
        snprintf(f->divergence, sizeof f->divergence, "seed %llu diverges: two runs differ, and %s", seed,
                 hf_status_message(st));
    else if (line == 0)
        snprintf(
            f->divergence, sizeof f->divergence,
            "seed %llu diverges: two runs differ, but not in their traces: something that is not traced does",
            seed);
    else
        snprintf(f->divergence, sizeof f->divergence,
                 "seed %llu diverges: its runs part at line %llu of their traces (%s, %s), time %.*s: '%s' "
                 "/ '%s'",
                 seed, (unsigned long long)line, path_a, path_b, (int)strcspn(time, " "), time, a, b);
    hf_status_drop(st);
}

static void study_divergence(struct sim_failure *f, const struct sim_study *s)
{
    struct sim_task t = f->task;
    struct sim_outcome o;
    char second[SIM_PATH];
    file_name(f->trace, f, s, ".trace");
    file_name(second, f, s, ".second.trace");
    snprintf(t.trace, sizeof t.trace, "%s", f->trace);
    sim_run_apart(&t, s->limit_s, &o);
    snprintf(t.trace, sizeof t.trace, "%s", second);
    sim_run_apart(&t, s->limit_s, &o);
    describe_parting(f, f->trace, second);
}

/* --- a trace --- */

static void write_trace(struct sim_failure *f, const struct sim_task *t, const struct sim_study *s)
{
    struct sim_task traced = *t;
    struct sim_outcome o;
    file_name(f->trace, f, s, ".trace");
    snprintf(traced.trace, sizeof traced.trace, "%s", f->trace);
    if (f->outcome.ending == SIM_DIED)
        file_name(f->said, f, s, ".said");
    snprintf(traced.said, sizeof traced.said, "%s", f->said);
    sim_run_apart(&traced, s->limit_s, &o);
}

/* --- a smaller schedule --- */

struct shrinking {
    struct sim_failure *f;
    const struct sim_study *s;
    struct sim_task task; /* with the files of the case that is tried */
    int64_t until_ns;
    hf_status broken; /* a file could not be written */
};

static bool still_fails(void *arg, const struct sim_case *c)
{
    struct shrinking *x = arg;
    struct sim_outcome o;
    if (!hf_ok(x->broken))
        return false;
    x->broken = sim_profile_save(x->task.profile, &c->profile);
    if (hf_ok(x->broken))
        x->broken = sim_schedule_save(x->task.schedule, "", &c->schedule);
    if (!hf_ok(x->broken))
        return false;
    sim_run_apart(&x->task, x->s->limit_s, &o);
    return sim_outcome_alike(&x->f->outcome, &o);
}

static bool time_is_over(void *arg)
{
    const struct shrinking *x = arg;
    return sim_wall_ns() >= x->until_ns || *x->s->stop || !hf_ok(x->broken);
}

static hf_status make_case(const struct sim_task *t, struct sim_case *ret)
{
    HF_TRY(sim_profile_get(t->profile, &ret->profile));
    struct sim_sizes sizes = sim_sizes_draw(t->seed, &ret->profile);
    if (*t->schedule)
        HF_TRY(sim_schedule_load(t->schedule, &sizes, &ret->schedule));
    else
        ret->schedule = sim_schedule_draw(t->seed, &ret->profile, &sizes);
    sim_profile_pin(&ret->profile, &sizes);
    return HF_STATUS_OK;
}

/* What is left after a failure is known not to need it. */
static void drop_after(struct sim_case *c, int64_t at_ns)
{
    while (c->schedule.n > 0 && c->schedule.faults[c->schedule.n - 1].at_ns > at_ns)
        c->schedule.n--;
}

static hf_status save_case(struct sim_failure *f, const struct sim_study *s, const struct sim_case *c)
{
    char title[700], what[500];
    const char *failure = sim_outcome_failure(&f->outcome, what, sizeof what);
    snprintf(title, sizeof title, "seed %llu: %.300s", (unsigned long long)f->task.seed,
             failure ? failure : "?");
    file_name(f->schedule, f, s, ".faults");
    file_name(f->profile, f, s, ".profile");
    f->faults_left = c->schedule.n;
    HF_TRY(sim_profile_save(f->profile, &c->profile));
    return sim_schedule_save(f->schedule, title, &c->schedule);
}

static hf_status shrink_case(struct shrinking *x, struct sim_case *c)
{
    struct sim_failure *f = x->f;
    f->faults_before = c->schedule.n;
    if (f->outcome.ending == SIM_ENDED)
        drop_after(c, f->outcome.result.virtual_ns);
    if (!still_fails(x, c)) {
        if (!hf_ok(x->broken))
            return x->broken;
        return hf_error(HF_INTERNAL, "written out, its faults do not fail in the same way");
    }
    struct sim_shrinker by = {still_fails, time_is_over, x};
    sim_shrink(c, &by);
    if (!hf_ok(x->broken))
        return x->broken;
    return save_case(f, x->s, c);
}

static hf_status make_smaller(struct sim_failure *f, const struct sim_study *s)
{
    struct shrinking x = {.f = f, .s = s, .task = f->task};
    struct sim_case c = {0};
    x.until_ns = sim_wall_ns() + s->shrink_s * HF_S_NS;
    file_name(x.task.profile, f, s, ".try.profile");
    file_name(x.task.schedule, f, s, ".try.faults");
    HF_TRY(make_case(&f->task, &c));
    hf_status st = shrink_case(&x, &c);
    unlink(x.task.profile);
    unlink(x.task.schedule);
    sim_schedule_done(&c.schedule);
    return st;
}

/* --- all of it --- */

static void make_command(struct sim_failure *f)
{
    const struct sim_task *t = &f->task;
    const char *schedule = *f->schedule ? f->schedule : t->schedule;
    snprintf(f->command, sizeof f->command, "./check sim --seed %llu --profile %s%s%s%s%s%s",
             (unsigned long long)t->seed, *f->profile ? f->profile : t->profile,
             *schedule ? " --schedule " : "", schedule, *t->mutant ? " --mutant " : "", t->mutant,
             t->keep_going ? " --keep-going" : "");
}

void sim_failure_study(struct sim_failure *f, const struct sim_study *s, FILE *to)
{
    if (mkdir(s->folder, 0777) != 0 && errno != EEXIST)
        fprintf(to, "hf-sim: cannot make the folder '%s': %s\n", s->folder, strerror(errno));
    struct sim_task traced = f->task;
    if (f->diverges) {
        study_divergence(f, s);
        make_command(f);
        return;
    }
    if (s->shrink_s > 0 && f->outcome.ending != SIM_HUNG) {
        hf_status st = make_smaller(f, s);
        if (!hf_ok(st))
            fprintf(to, "hf-sim: seed %llu could not be made smaller: %s\n", (unsigned long long)f->task.seed,
                    hf_status_message(st));
        hf_status_drop(st);
    }
    if (*f->schedule) {
        snprintf(traced.profile, sizeof traced.profile, "%s", f->profile);
        snprintf(traced.schedule, sizeof traced.schedule, "%s", f->schedule);
    }
    write_trace(f, &traced, s);
    make_command(f);
}
