/* Schedules as text: schedule.h says how they look. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/points.h"
#include "base/env.h"
#include "base/mem.h"
#include "sim/schedule.h"
#include "sim/text_lines.h"

struct reading {
    const struct sim_sizes *sizes; /* NULL: any subject */
    struct sim_schedule schedule;
    size_t cap;
};

/* --- subjects --- */

static bool names_one_of(const char *subject, char letter, unsigned n, const struct sim_sizes *sizes)
{
    int number = sim_subject_number(subject, letter);
    return number >= 0 && !strchr(subject, '/') && (!sizes || number < (int)n);
}

static bool is_host(const char *s, const struct sim_sizes *sizes)
{
    return names_one_of(s, 'h', sizes ? sizes->hosts : 0, sizes);
}

static bool is_node(const char *s, const struct sim_sizes *sizes)
{
    return strcmp(s, "leader") == 0 || names_one_of(s, 'n', sizes ? sizes->nodes : 0, sizes);
}

static bool is_storage(const char *s, const struct sim_sizes *sizes)
{
    if (strncmp(s, "shared", 6) != 0)
        return false;
    /* a letter and a number are left */
    return names_one_of(s + 5, 'd', sizes ? sizes->shared_storages : 0, sizes);
}

static bool is_process(const char *s, const struct sim_sizes *sizes)
{
    const char *slash = strchr(s, '/');
    if (!slash)
        return is_node(s, sizes);
    if (strcmp(slash, "/hostd") != 0 && strcmp(slash, "/keeper") != 0 && strcmp(slash, "/libvirt") != 0)
        return false;
    char host[SIM_SUBJECT];
    snprintf(host, sizeof host, "%.*s", (int)(slash - s), s);
    return is_host(host, sizes);
}

static bool is_call(const char *s)
{
    const char *name;
    for (unsigned i = 0; (name = sim_hypervisor_call(i)); i++)
        if (strcmp(name, s) == 0)
            return true;
    return false;
}

static bool is_point(const char *s)
{
    enum hf_buggify_point point;
    return sim_point_find(s, &point);
}

static bool exists(enum sim_subject what, const char *s, const struct sim_sizes *sizes)
{
    switch (what) {
    case SIM_SUBJECT_NONE:
        return false;
    case SIM_SUBJECT_HOST:
        return is_host(s, sizes);
    case SIM_SUBJECT_NODE:
        return is_node(s, sizes);
    case SIM_SUBJECT_PLACES:
        if (strcmp(s, "all") == 0)
            return true;
        /* fall through */
    case SIM_SUBJECT_MACHINE:
        return is_host(s, sizes) || is_node(s, sizes);
    case SIM_SUBJECT_PROCESS:
        return is_process(s, sizes);
    case SIM_SUBJECT_ON_HOST:
        if (strcmp(s, "local") == 0)
            return true;
        /* fall through */
    case SIM_SUBJECT_STORAGE:
    case SIM_SUBJECT_CEPH:
        return is_storage(s, sizes);
    case SIM_SUBJECT_CALL:
        return is_call(s);
    case SIM_SUBJECT_POINT:
        return is_point(s);
    }
    return false;
}

static const char *const subject_names[] = {
    [SIM_SUBJECT_NONE] = "nothing",
    [SIM_SUBJECT_HOST] = "a host (h1 …)",
    [SIM_SUBJECT_NODE] = "a control node (n1 …, or leader)",
    [SIM_SUBJECT_MACHINE] = "a host or a control node (h1 …, n1 …, leader)",
    [SIM_SUBJECT_PLACES] = "a host, a control node or all",
    [SIM_SUBJECT_PROCESS] = "a process (h1/hostd, h1/keeper, h1/libvirt, n1 …, leader)",
    [SIM_SUBJECT_STORAGE] = "a storage (shared1 …)",
    [SIM_SUBJECT_CEPH] = "a storage of type Ceph (shared1 …)",
    [SIM_SUBJECT_ON_HOST] = "a storage (shared1 …, or local)",
    [SIM_SUBJECT_CALL] = "a call (start, shutdown, destroy, reboot, pause, resume, list)",
    [SIM_SUBJECT_POINT] = "a point of base/buggify.h",
};

static hf_status take_subject(const struct reading *r, enum sim_subject what, const char *word,
                              char to[SIM_SUBJECT])
{
    if (strlen(word) < SIM_SUBJECT && exists(what, word, NULL) && exists(what, word, r->sizes)) {
        snprintf(to, SIM_SUBJECT, "%s", word);
        return HF_STATUS_OK;
    }
    if (what != SIM_SUBJECT_NONE && strlen(word) < SIM_SUBJECT && exists(what, word, NULL))
        return hf_error(HF_INVALID,
                        "there is no '%s' in this world of %u nodes, %u hosts, %u shared storages", word,
                        r->sizes->nodes, r->sizes->hosts, r->sizes->shared_storages);
    return hf_error(HF_INVALID, "'%s' is not expected here: %s is", word, subject_names[what]);
}

/* --- a line --- */

static bool is_word(const struct sim_fault_shape *shape, const char *word)
{
    for (unsigned i = 0; i < sizeof shape->words / sizeof shape->words[0] && shape->words[i]; i++)
        if (strcmp(shape->words[i], word) == 0)
            return true;
    return false;
}

static hf_status take_number(const struct sim_fault_shape *shape, const char *word, struct sim_fault *f)
{
    if (!sim_decimal_word(word, 0, &f->number))
        return hf_error(HF_INVALID, "'%s' after '%s' is no whole number", word, shape->number);
    return HF_STATUS_OK;
}

static hf_status take_duration(const struct sim_fault_shape *shape, const char *word, struct sim_fault *f)
{
    int64_t ms;
    if (!shape->lasts)
        return hf_error(HF_INVALID, "this kind has no duration");
    if (!sim_decimal_word(word, 3, &ms) || ms < 1 || ms > SIM_SECONDS_MAX * 1000LL)
        return hf_error(HF_INVALID, "'%s' after 'for' is no number of seconds from 0.001 to %d", word,
                        SIM_SECONDS_MAX);
    f->for_ns = ms * HF_MS_NS;
    return HF_STATUS_OK;
}

static hf_status check_whole(const struct sim_fault_shape *shape, const struct sim_fault *f)
{
    if (shape->subject != SIM_SUBJECT_NONE && !*f->subject)
        return hf_error(HF_INVALID, "it does not say whom: %s is missing", subject_names[shape->subject]);
    if (shape->other != SIM_SUBJECT_NONE && !*f->other)
        return hf_error(HF_INVALID, "%s is missing", subject_names[shape->other]);
    if (shape->words[0] && !*f->word)
        return hf_error(HF_INVALID, "a word is missing: %s …", shape->words[0]);
    if (shape->number && (f->number < shape->limits.low || f->number > shape->limits.high))
        return hf_error(HF_INVALID, "'%s' needs a number from %lld to %lld", shape->number,
                        (long long)shape->limits.low, (long long)shape->limits.high);
    bool crash = f->kind == SIM_FAULT_AT_ACT && strcmp(f->word, "crash") == 0;
    if (shape->lasts && f->for_ns == 0 && !crash)
        return hf_error(HF_INVALID, "it does not say how long: 'for 12.5'");
    if (crash && f->for_ns != 0)
        return hf_error(HF_INVALID, "a crash has no duration");
    return HF_STATUS_OK;
}

static hf_status take_word(const struct reading *r, const struct sim_fault_shape *shape, const char *word,
                           const char *next, bool *ret_took_next, struct sim_fault *f)
{
    bool has_value = strcmp(word, "for") == 0 || (shape->number && strcmp(word, shape->number) == 0);
    *ret_took_next = has_value;
    if (has_value && !next)
        return hf_error(HF_INVALID, "nothing stands after '%s'", word);
    if (has_value && strcmp(word, "for") == 0)
        return take_duration(shape, next, f);
    if (has_value)
        return take_number(shape, next, f);
    if (!*f->word && is_word(shape, word)) {
        snprintf(f->word, sizeof f->word, "%s", word);
        return HF_STATUS_OK;
    }
    if (!*f->subject)
        return take_subject(r, shape->subject, word, f->subject);
    return take_subject(r, *f->other ? SIM_SUBJECT_NONE : shape->other, word, f->other);
}

static hf_status parse_fault(const struct reading *r, char *line, struct sim_fault *f)
{
    char *words[SIM_WORDS_MAX];
    unsigned n = sim_words(line, words);
    int64_t us;
    if (n < 2 || n > SIM_WORDS_MAX)
        return hf_error(HF_INVALID, "this is no fault: a line is 'seconds kind subject …'");
    if (!sim_decimal_word(words[0], 6, &us) || us < 0)
        return hf_error(HF_INVALID, "'%s' is no time in seconds", words[0]);
    f->at_ns = us * 1000;
    if (!sim_fault_parse(words[1], &f->kind))
        return hf_error(HF_INVALID, "there is no kind of fault '%s': 'hf-sim --faults' lists them", words[1]);
    const struct sim_fault_shape *shape = sim_fault_shape(f->kind);
    for (unsigned i = 2; i < n; i++) {
        bool took_next;
        HF_TRY(hf_wrap(take_word(r, shape, words[i], i + 1 < n ? words[i + 1] : NULL, &took_next, f), "%s",
                       words[1]));
        i += took_next;
    }
    return hf_wrap(check_whole(shape, f), "%s", words[1]);
}

static hf_status read_line(void *arg, char *line)
{
    struct reading *r = arg;
    struct sim_fault f = {0};
    HF_TRY(parse_fault(r, line, &f));
    if (r->sizes && f.at_ns > r->sizes->fault_ns)
        return hf_error(HF_INVALID, "it begins after the %lld s in which there are faults",
                        (long long)(r->sizes->fault_ns / HF_S_NS));
    size_t n = r->schedule.n;
    if (n > 0 && f.at_ns < r->schedule.faults[n - 1].at_ns)
        return hf_error(HF_INVALID, "it begins before the line above: sort the lines by time");
    if (n == SIM_SCHEDULE_MAX)
        return hf_error(HF_INVALID, "a schedule holds at most %d faults", SIM_SCHEDULE_MAX);
    if (n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 64;
        r->schedule.faults = hf_realloc_array(r->schedule.faults, r->cap, sizeof f);
    }
    r->schedule.faults[r->schedule.n++] = f;
    return HF_STATUS_OK;
}

hf_status sim_schedule_load(const char *path, const struct sim_sizes *sizes, struct sim_schedule *ret)
{
    struct reading r = {.sizes = sizes};
    hf_status st = sim_lines_read(path, read_line, &r);
    if (hf_ok(st))
        *ret = r.schedule;
    else
        sim_schedule_done(&r.schedule);
    return st;
}

/* --- writing --- */

int sim_fault_describe(const struct sim_fault *f, char *buf, size_t len)
{
    const struct sim_fault_shape *shape = sim_fault_shape(f->kind);
    char number[48] = "", duration[48] = "";
    if (shape->number && f->number != 0)
        snprintf(number, sizeof number, " %s %lld", shape->number, (long long)f->number);
    if (f->for_ns > 0)
        snprintf(duration, sizeof duration, " for %lld.%03lld", (long long)(f->for_ns / HF_S_NS),
                 (long long)(f->for_ns / HF_MS_NS % 1000));
    return snprintf(buf, len, "%-13s %s%s%s%s%s%s%s", sim_fault_name(f->kind), f->subject,
                    *f->other ? " " : "", f->other, *f->word ? " " : "", f->word, number, duration);
}

int sim_fault_print(const struct sim_fault *f, char *buf, size_t len)
{
    char what[SIM_LINE_MAX - 60];
    sim_fault_describe(f, what, sizeof what);
    return snprintf(buf, len, "%6lld.%06lld  %s", (long long)(f->at_ns / HF_S_NS),
                    (long long)(f->at_ns / 1000 % 1000000), what);
}

hf_status sim_schedule_save(const char *path, const char *title, const struct sim_schedule *s)
{
    FILE *to = fopen(path, "w");
    if (!to)
        return hf_errno(errno, "cannot write '%s'", path);
    if (*title)
        fprintf(to, "# %s\n", title);
    char line[SIM_LINE_MAX];
    for (size_t i = 0; i < s->n; i++) {
        sim_fault_print(&s->faults[i], line, sizeof line);
        fprintf(to, "%s\n", line);
    }
    bool failed = ferror(to) != 0;
    failed |= fclose(to) != 0;
    return failed ? hf_errno(errno, "cannot write '%s'", path) : HF_STATUS_OK;
}
