/* hf-sim: runs seeds, tells what came of them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"
#include "sim/points.h"
#include "sim/report.h"
#include "sim/seed_list.h"
#include "sim/seeds.h"
#include "sim/sim_options.h"

#define EXIT_WRONG 2

static volatile bool stop_wanted;

static void on_signal(int number)
{
    (void)number;
    stop_wanted = true;
}

/* --- what can be shown --- */

static void show_words(const struct sim_fault_shape *shape)
{
    for (unsigned i = 0; i < sizeof shape->words / sizeof shape->words[0] && shape->words[i]; i++)
        printf("%s%s", i ? "|" : " ", shape->words[i]);
}

static void show_faults(void)
{
    static const char *const subjects[] = {
        [SIM_SUBJECT_NONE] = "",
        [SIM_SUBJECT_HOST] = " hN",
        [SIM_SUBJECT_NODE] = " nN|leader",
        [SIM_SUBJECT_MACHINE] = " hN|nN|leader",
        [SIM_SUBJECT_PLACES] = " hN|nN|leader|all",
        [SIM_SUBJECT_PROCESS] = " hN/hostd|hN/keeper|hN/libvirt|nN|leader",
        [SIM_SUBJECT_STORAGE] = " sharedN",
        [SIM_SUBJECT_CEPH] = " sharedN",
        [SIM_SUBJECT_ON_HOST] = " sharedN|local",
        [SIM_SUBJECT_CALL] = " CALL",
        [SIM_SUBJECT_POINT] = " POINT",
    };
    puts("A line of a schedule: SECONDS KIND, then what stands here. Times count from the moment when the "
         "world is ready.\n");
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++) {
        const struct sim_fault_shape *shape = sim_fault_shape((enum sim_fault_kind)k);
        printf("%s%s%s", sim_fault_name((enum sim_fault_kind)k), subjects[shape->subject],
               subjects[shape->other]);
        show_words(shape);
        printf("%s%s%s\n    %s\n", shape->number ? " " : "", shape->number ? shape->number : "",
               shape->number ? " NUMBER" : "", shape->about);
    }
    fputs("\nCALL:", stdout);
    for (unsigned i = 0; sim_hypervisor_call(i); i++)
        printf(" %s", sim_hypervisor_call(i));
    fputs("\nPOINT:", stdout);
    for (unsigned i = 0; i < HF_BUGGIFY_POINTS_END; i++)
        printf(" %s", sim_point_name((enum hf_buggify_point)i));
    puts("\nThose that last end with 'for SECONDS'.");
}

static void show_profiles(void)
{
    const char *name, *about;
    for (unsigned i = 0; (name = sim_profile_name_at(i, &about)); i++)
        printf("%-10s %s\n", name, about);
}

static hf_status show_profile(const struct sim_options *o)
{
    struct sim_profile p;
    HF_TRY(sim_profile_get(o->shown_profile, &p));
    sim_profile_print(stdout, &p);
    return HF_STATUS_OK;
}

static hf_status show_schedule(const struct sim_options *o)
{
    struct sim_profile p;
    char line[400];
    HF_TRY(sim_profile_get(o->profile, &p));
    struct sim_sizes z = sim_sizes_draw(o->first_seed, &p);
    struct sim_schedule s = sim_schedule_draw(o->first_seed, &p, &z);
    printf("# seed %llu, profile %s: %u nodes, %u hosts, %u instances, %u clients, %u shared storages (%d of "
           "Ceph), "
           "timing %s\n"
           "# %lld s with faults, %lld s to settle\n",
           (unsigned long long)o->first_seed, p.name, z.nodes, z.hosts, z.instances, z.clients,
           z.shared_storages, __builtin_popcount(z.ceph), z.timing, (long long)(z.fault_ns / HF_S_NS),
           (long long)(z.settle_ns / HF_S_NS));
    for (size_t i = 0; i < s.n; i++) {
        sim_fault_print(&s.faults[i], line, sizeof line);
        puts(line);
    }
    sim_schedule_done(&s);
    return HF_STATUS_OK;
}

static hf_status show_mutants(void)
{
#ifdef HF_SIM
    const struct hf_mutant_info *m;
    for (size_t i = 0; (m = hf_mutant_at(i)); i++)
        printf("%-26s %-11s %s\n", m->name, m->rule, m->how);
    return HF_STATUS_OK;
#else
    return hf_error(HF_INVALID, "this hf-sim was built without planted bugs, use the preset sim");
#endif
}

/* --- running --- */

struct plan {
    const struct sim_options *o;
    struct sim_seed_list list; /* of --list */
};

static bool next_seed(void *arg, uint64_t i, struct sim_task *t)
{
    const struct sim_options *o = ((const struct plan *)arg)->o;
    if (i >= o->seeds)
        return false;
    t->seed = o->first_seed + i;
    t->keep_going = o->keep_going;
    snprintf(t->profile, sizeof t->profile, "%s", o->profile);
    snprintf(t->schedule, sizeof t->schedule, "%s", o->schedule ? o->schedule : "");
    snprintf(t->trace, sizeof t->trace, "%s", o->trace ? o->trace : "");
    snprintf(t->mutant, sizeof t->mutant, "%s", o->mutant ? o->mutant : "");
    return true;
}

static bool next_of_list(void *arg, uint64_t i, struct sim_task *t)
{
    const struct plan *p = arg;
    if (i >= p->list.n)
        return false;
    *t = p->list.tasks[i];
    t->keep_going = p->o->keep_going;
    snprintf(t->mutant, sizeof t->mutant, "%s", p->o->mutant ? p->o->mutant : "");
    return true;
}

static hf_status check_writable(const char *path, const char *what)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return hf_errno(errno, "cannot write %s to '%s'", what, path);
    fclose(f);
    return HF_STATUS_OK;
}

static hf_status check_mutant(const char *name)
{
#ifdef HF_SIM
    if (!name || hf_mutant_choose(name))
        return HF_STATUS_OK;
    return hf_error(HF_INVALID, "there is no planted bug '%s': 'hf-sim --mutants' lists them", name);
#else
    return name ? hf_error(HF_INVALID, "this hf-sim was built without planted bugs, use the preset sim")
                : HF_STATUS_OK;
#endif
}

/* What would fail in every run fails here, before the first. */
static hf_status check_plan(struct plan *p)
{
    const struct sim_options *o = p->o;
    struct sim_profile profile;
    struct sim_schedule schedule;
    HF_TRY(check_mutant(o->mutant));
    if (o->json_file)
        HF_TRY(check_writable(o->json_file, "the numbers"));
    if (o->command == SIM_RUN_LIST)
        return sim_seed_list_load(o->list, &p->list);
    HF_TRY(sim_profile_get(o->profile, &profile));
    if (o->trace)
        HF_TRY(check_writable(o->trace, "the trace"));
    if (!o->schedule)
        return HF_STATUS_OK;
    struct sim_sizes sizes = sim_sizes_draw(o->first_seed, &profile);
    HF_TRY(sim_schedule_load(o->schedule, &sizes, &schedule));
    sim_schedule_done(&schedule);
    return HF_STATUS_OK;
}

static hf_status tell(const struct sim_options *o, const struct sim_report *r, FILE *to)
{
    sim_report_table(r, to);
    for (size_t i = 0; i < r->n_failures && i < SIM_FAILURES_MAX; i++)
        sim_report_failure(r, &r->failures[i], to);
    if (o->json && !o->json_file)
        sim_report_json(r, stdout);
    if (!o->json_file)
        return HF_STATUS_OK;
    FILE *f = fopen(o->json_file, "w");
    if (!f)
        return hf_errno(errno, "cannot write the numbers to '%s'", o->json_file);
    sim_report_json(r, f);
    return fclose(f) == 0 ? HF_STATUS_OK : hf_errno(errno, "cannot write the numbers to '%s'", o->json_file);
}

static hf_status run(const struct sim_options *o, int *ret_code)
{
    struct plan p = {.o = o};
    HF_TRY(check_plan(&p));
    bool list = o->command == SIM_RUN_LIST;
    FILE *to = o->json && !o->json_file ? stderr : stdout; /* standard output is JSON alone */
    struct sim_report r;
    sim_report_init(&r);
    snprintf(r.profile, sizeof r.profile, "%s", list ? o->list : o->profile);
    snprintf(r.commit, sizeof r.commit, "%s", o->commit);
    r.first_seed = list ? (p.list.n > 0 ? p.list.tasks[0].seed : 0) : o->first_seed;
    r.seeds_asked = list ? p.list.n : o->seconds > 0 && !o->seeds_given ? 0 : o->seeds;
    struct sim_seeds s = {
        .next = list ? next_of_list : next_seed,
        .arg = &p,
        .jobs = o->jobs,
        .seconds = o->seconds,
        .twice_every = o->twice_every,
        .until_failure = o->until_failure,
        .study_max = o->study_max,
        .study = {.folder = o->folder, .limit_s = o->limit_s, .shrink_s = o->shrink_s, .stop = &stop_wanted},
    };
    sim_seeds_run(&s, &r, to);
    hf_status st = tell(o, &r, to);
    *ret_code = stop_wanted ? 130 : r.n_failures > 0 ? 1 : 0;
    sim_report_done(&r);
    sim_seed_list_done(&p.list);
    return st;
}

static hf_status act(const struct sim_options *o, int *ret_code)
{
    *ret_code = 0;
    switch (o->command) {
    case SIM_SHOW_HELP:
        sim_options_help(stdout);
        return HF_STATUS_OK;
    case SIM_SHOW_FAULTS:
        show_faults();
        return HF_STATUS_OK;
    case SIM_SHOW_PROFILES:
        show_profiles();
        return HF_STATUS_OK;
    case SIM_SHOW_PROFILE:
        return show_profile(o);
    case SIM_SHOW_SCHEDULE:
        return show_schedule(o);
    case SIM_SHOW_MUTANTS:
        return show_mutants();
    case SIM_RUN_SEEDS:
    case SIM_RUN_LIST:
        break;
    }
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    return run(o, ret_code);
}

int main(int argc, char *argv[])
{
    if (argc > 1 && strcmp(argv[1], "--child") == 0)
        return sim_child_main(argc, argv);
    struct sim_options o;
    int code = EXIT_WRONG;
    hf_status st = sim_options_parse(argc, argv, &o);
    if (hf_ok(st))
        st = act(&o, &code);
    if (!hf_ok(st)) {
        fprintf(stderr, "hf-sim: %s\n", hf_status_message(st));
        code = EXIT_WRONG;
    }
    hf_status_drop(st);
    return code;
}
