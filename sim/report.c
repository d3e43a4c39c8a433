#include "sim/report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define LINE_EVERY_NS     (5 * HF_S_NS)
#define TERMINAL_EVERY_NS (HF_S_NS / 4)

void sim_report_init(struct sim_report *r)
{
    *r = (struct sim_report){.began_ns = sim_wall_ns()};
    r->failures = hf_alloc_array(SIM_FAILURES_MAX, sizeof *r->failures);
    r->shown_ns = r->began_ns;
}

void sim_report_done(struct sim_report *r)
{
    free(r->failures);
}

void sim_report_add(struct sim_report *r, const struct sim_outcome *o)
{
    const struct sim_result *s = &o->result;
    r->seeds++;
    r->violations += o->ending == SIM_ENDED ? s->n_violations : 1;
    r->virtual_ns += s->virtual_ns;
    r->cpu_ns += o->cpu_ns;
    r->events += s->events;
    r->requests += s->requests;
    r->failovers += s->failovers;
    r->by_blocklist += s->by_blocklist;
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++)
        r->faults[k] += s->faults[k];
}

struct sim_failure *sim_report_fail(struct sim_report *r, const struct sim_task *t,
                                    const struct sim_outcome *o)
{
    if (r->n_failures++ >= SIM_FAILURES_MAX)
        return NULL;
    struct sim_failure *f = &r->failures[r->n_failures - 1];
    memset(f, 0, sizeof *f);
    f->task = *t;
    f->outcome = *o;
    return f;
}

static uint64_t sum_faults(const struct sim_report *r)
{
    uint64_t sum = 0;
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++)
        sum += r->faults[k];
    return sum;
}

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

static double per_second(uint64_t n, int64_t ns)
{
    return ns > 0 ? (double)n / seconds(ns) : 0;
}

static double speed(const struct sim_report *r)
{
    return r->cpu_ns > 0 ? seconds(r->virtual_ns) / seconds(r->cpu_ns) : 0;
}

/* --- progress --- */

static bool on_terminal(FILE *to)
{
    return isatty(fileno(to)) == 1;
}

void sim_report_clear_progress(FILE *to)
{
    if (on_terminal(to))
        fputs("\r\033[K", to);
}

void sim_report_progress(struct sim_report *r, FILE *to)
{
    int64_t now_ns = sim_wall_ns();
    bool terminal = on_terminal(to);
    if (now_ns - r->shown_ns < (terminal ? TERMINAL_EVERY_NS : LINE_EVERY_NS))
        return;
    r->shown_ns = now_ns;
    char of[32] = "";
    if (r->seeds_asked > 0)
        snprintf(of, sizeof of, " of %llu", (unsigned long long)r->seeds_asked);
    sim_report_clear_progress(to);
    fprintf(to,
            "%6.0f s  %llu%s seeds (%.1f/s)  %.1f virtual hours  %llu failovers  %llu faults  %zu failed%s",
            seconds(now_ns - r->began_ns), (unsigned long long)r->seeds, of,
            per_second(r->seeds, now_ns - r->began_ns), seconds(r->virtual_ns) / 3600,
            (unsigned long long)r->failovers, (unsigned long long)sum_faults(r), r->n_failures,
            terminal ? "" : "\n");
    fflush(to);
}

/* --- the end --- */

void sim_report_table(const struct sim_report *r, FILE *to)
{
    fprintf(to, "\n%-16s %12s\n", "fault", "struck");
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++)
        if (r->faults[k] > 0)
            fprintf(to, "%-16s %12llu\n", sim_fault_name((enum sim_fault_kind)k),
                    (unsigned long long)r->faults[k]);
    fprintf(to, "%-16s %12llu\n\n", "all", (unsigned long long)sum_faults(r));
    fprintf(to,
            "%llu seeds from %llu on, profile %s, commit %s\n"
            "%.1f s on %u processes, %.2f virtual hours: %.0f times real time per core (of processor time), "
            "%.1f seeds/s\n"
            "%llu failovers (%llu runs left by blocklist), %llu requests answered, %llu events; %llu seeds "
            "ran twice\n"
            "%zu seeds failed\n",
            (unsigned long long)r->seeds, (unsigned long long)r->first_seed, r->profile, r->commit,
            seconds(r->wall_ns), r->jobs, seconds(r->virtual_ns) / 3600, speed(r),
            per_second(r->seeds, r->wall_ns), (unsigned long long)r->failovers,
            (unsigned long long)r->by_blocklist, (unsigned long long)r->requests,
            (unsigned long long)r->events, (unsigned long long)r->twice, r->n_failures);
}

static const char *what_failed(const struct sim_failure *f, char *buf, size_t len)
{
    const char *what = sim_outcome_failure(&f->outcome, buf, len);
    return f->diverges ? f->divergence : what ? what : "?";
}

void sim_report_failure(const struct sim_report *r, const struct sim_failure *f, FILE *to)
{
    char buf[600];
    fprintf(to, "\nseed %llu failed: %s\n", (unsigned long long)f->task.seed,
            what_failed(f, buf, sizeof buf));
    if (f->diverges && f->outcome.ending == SIM_ENDED && f->outcome.result.n_violations > 0)
        fprintf(to, "  it also broke a rule: %s\n", sim_outcome_failure(&f->outcome, buf, sizeof buf));
    fprintf(to, "  profile   %s\n  commit    %s\n", f->task.profile, r->commit);
    if (*f->trace)
        fprintf(to, "  trace     %s\n", f->trace);
    if (*f->said)
        fprintf(to, "  it said   %s\n", f->said);
    if (*f->schedule)
        fprintf(to, "  faults    %s (%zu of %zu are needed)\n", f->schedule, f->faults_left,
                f->faults_before);
    if (*f->profile)
        fprintf(to, "  world     %s\n", f->profile);
    if (*f->command)
        fprintf(to, "  again     %s\n", f->command);
}

/* --- JSON --- */

static void json_string(FILE *to, const char *text)
{
    fputc('"', to);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(to, "\\%c", *p);
        else if (*p < 0x20)
            fprintf(to, "\\u%04x", *p);
        else
            fputc(*p, to);
    }
    fputc('"', to);
}

static void json_member(FILE *to, const char *name, const char *value)
{
    fprintf(to, ", \"%s\": ", name);
    json_string(to, value);
}

static void json_failure(const struct sim_failure *f, FILE *to)
{
    char buf[600];
    const struct sim_result *result = &f->outcome.result;
    const char *kind = f->diverges                        ? "diverges"
                       : f->outcome.ending == SIM_DIED    ? "died"
                       : f->outcome.ending == SIM_HUNG    ? "hung"
                       : f->outcome.ending == SIM_REFUSED ? "refused"
                       : result->n_violations > 0         ? sim_rule_name(result->violations[0].rule)
                                                          : "?";
    fprintf(to, "{\"seed\": %llu", (unsigned long long)f->task.seed);
    json_member(to, "kind", kind);
    json_member(to, "text", what_failed(f, buf, sizeof buf));
    if (*f->trace)
        json_member(to, "trace", f->trace);
    if (*f->said)
        json_member(to, "said", f->said);
    if (*f->schedule)
        json_member(to, "schedule", f->schedule);
    if (*f->profile)
        json_member(to, "profile", f->profile);
    if (*f->command)
        json_member(to, "command", f->command);
    fputc('}', to);
}

void sim_report_json(const struct sim_report *r, FILE *to)
{
    fprintf(to,
            "{\"seeds\": %llu, \"violations\": %llu, \"wall_s\": %.3f, \"virtual_s\": %.3f, \"failovers\": "
            "%llu, \"by_blocklist\": %llu",
            (unsigned long long)r->seeds, (unsigned long long)r->violations, seconds(r->wall_ns),
            seconds(r->virtual_ns), (unsigned long long)r->failovers, (unsigned long long)r->by_blocklist);
    fputs(", \"faults\": {", to);
    const char *comma = "";
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++, comma = ", ")
        fprintf(to, "%s\"%s\": %llu", comma, sim_fault_name((enum sim_fault_kind)k),
                (unsigned long long)r->faults[k]);
    fprintf(to,
            "}, \"first_seed\": %llu, \"jobs\": %u, \"seeds_per_s\": %.3f, \"times_real_time\": %.1f, "
            "\"cpu_s\": %.3f",
            (unsigned long long)r->first_seed, r->jobs, per_second(r->seeds, r->wall_ns), speed(r),
            seconds(r->cpu_ns));
    fprintf(to, ", \"events\": %llu, \"requests\": %llu, \"ran_twice\": %llu, \"failed_seeds\": %zu",
            (unsigned long long)r->events, (unsigned long long)r->requests, (unsigned long long)r->twice,
            r->n_failures);
    json_member(to, "profile", r->profile);
    json_member(to, "commit", r->commit);
    fputs(", \"failed\": [", to);
    for (size_t i = 0; i < r->n_failures && i < SIM_FAILURES_MAX; i++) {
        fputs(i ? ", " : "", to);
        json_failure(&r->failures[i], to);
    }
    fputs("]}\n", to);
    fflush(to);
}
