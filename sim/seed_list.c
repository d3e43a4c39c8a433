#include "sim/seed_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sim/text_lines.h"

struct reading {
    const char *path;
    struct sim_seed_list list;
    size_t cap;
};

static hf_status beside(const char *list, const char *name, char to[SIM_PATH])
{
    const char *slash = strrchr(list, '/');
    int n = slash && name[0] != '/' ? snprintf(to, SIM_PATH, "%.*s/%s", (int)(slash - list), list, name)
                                    : snprintf(to, SIM_PATH, "%s", name);
    return n < SIM_PATH ? HF_STATUS_OK : hf_error(HF_INVALID, "'%s' is too long a name", name);
}

static hf_status check_files(const struct sim_task *t)
{
    struct sim_profile p;
    struct sim_schedule s;
    HF_TRY(sim_profile_get(t->profile, &p));
    if (!*t->schedule)
        return HF_STATUS_OK;
    struct sim_sizes sizes = sim_sizes_draw(t->seed, &p);
    HF_TRY(sim_schedule_load(t->schedule, &sizes, &s));
    sim_schedule_done(&s);
    return HF_STATUS_OK;
}

static hf_status read_line(void *arg, char *line)
{
    struct reading *r = arg;
    char *words[SIM_WORDS_MAX];
    unsigned n = sim_words(line, words);
    struct sim_task t = {0};
    if (n < 4)
        return hf_error(HF_INVALID,
                        "a line is 'seed profile schedule|- why': a seed without a reason teaches nobody");
    if (!sim_u64_word(words[0], &t.seed))
        return hf_error(HF_INVALID, "'%s' is no seed", words[0]);
    if (strpbrk(words[1], "./"))
        HF_TRY(beside(r->path, words[1], t.profile));
    else
        snprintf(t.profile, sizeof t.profile, "%s", words[1]);
    if (strcmp(words[2], "-") != 0)
        HF_TRY(beside(r->path, words[2], t.schedule));
    HF_TRY(check_files(&t));
    if (r->list.n == SIM_LIST_MAX)
        return hf_error(HF_INVALID, "a list holds at most %d seeds", SIM_LIST_MAX);
    if (r->list.n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 16;
        r->list.tasks = hf_realloc_array(r->list.tasks, r->cap, sizeof t);
    }
    r->list.tasks[r->list.n++] = t;
    return HF_STATUS_OK;
}

hf_status sim_seed_list_load(const char *path, struct sim_seed_list *ret)
{
    struct reading r = {.path = path};
    hf_status st = sim_lines_read(path, read_line, &r);
    if (hf_ok(st))
        *ret = r.list;
    else
        sim_seed_list_done(&r.list);
    return st;
}

void sim_seed_list_done(struct sim_seed_list *l)
{
    free(l->tasks);
    *l = (struct sim_seed_list){0};
}
