#include "sim/sim_options.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "sim/text_lines.h"

#define SEEDS_DEFAULT 100
#define TWICE_EVERY   50
#define LIMIT_S       900
#define SHRINK_S      120
#define STUDY_MAX     3
#define SECONDS_MAX   10000000

enum option_code {
    OPT_SEEDS = 256,
    OPT_SEED,
    OPT_SECONDS,
    OPT_PROFILE,
    OPT_SCHEDULE,
    OPT_TRACE,
    OPT_JSON,
    OPT_JOBS,
    OPT_LIST,
    OPT_FOLDER,
    OPT_COMMIT,
    OPT_MUTANT,
    OPT_KEEP_GOING,
    OPT_UNTIL_FAILURE,
    OPT_TWICE_EVERY,
    OPT_LIMIT,
    OPT_SHRINK,
    OPT_STUDY,
    OPT_FAULTS,
    OPT_PROFILES,
    OPT_PRINT_PROFILE,
    OPT_PRINT_SCHEDULE,
    OPT_MUTANTS,
};

static const struct option long_options[] = {
    {"seeds", required_argument, NULL, OPT_SEEDS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"profile", required_argument, NULL, OPT_PROFILE},
    {"schedule", required_argument, NULL, OPT_SCHEDULE},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"json", no_argument, NULL, OPT_JSON},
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"list", required_argument, NULL, OPT_LIST},
    {"folder", required_argument, NULL, OPT_FOLDER},
    {"commit", required_argument, NULL, OPT_COMMIT},
    {"mutant", required_argument, NULL, OPT_MUTANT},
    {"keep-going", no_argument, NULL, OPT_KEEP_GOING},
    {"until-failure", no_argument, NULL, OPT_UNTIL_FAILURE},
    {"twice-every", required_argument, NULL, OPT_TWICE_EVERY},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"shrink", required_argument, NULL, OPT_SHRINK},
    {"study", required_argument, NULL, OPT_STUDY},
    {"faults", no_argument, NULL, OPT_FAULTS},
    {"profiles", no_argument, NULL, OPT_PROFILES},
    {"print-profile", required_argument, NULL, OPT_PRINT_PROFILE},
    {"print-schedule", no_argument, NULL, OPT_PRINT_SCHEDULE},
    {"mutants", no_argument, NULL, OPT_MUTANTS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "hf-sim runs whole simulated clouds - control nodes, hosts, storages, networks, clients - in virtual "
    "time, strikes\n"
    "them with faults, and judges what they did. One seed is one run, the same on every machine.\n"
    "\n"
    "  hf-sim --seeds 200                     runs seeds 1 to 200\n"
    "  hf-sim --seed 17                       runs seed 17 alone\n"
    "  hf-sim --seed 17 --trace t.txt         … and writes what happened, a line per event\n"
    "  hf-sim --seconds 60 --profile storm    as many as fit into a minute, with everything at once\n"
    "  hf-sim --seed 17 --print-schedule      the faults that would strike, in the form that --schedule "
    "reads\n"
    "\n"
    "What is run\n"
    "  --seeds N             so many seeds (100; with --seed: 1)\n"
    "  --seed S              the first of them (1)\n"
    "  --seconds S           begin none after so many seconds of this machine's time\n"
    "  --profile NAME|FILE   sizes of the world and rates of faults (default); see --profiles, "
    "--print-profile\n"
    "  --schedule FILE       these faults instead of drawn ones; belongs to one seed; see --faults\n"
    "  --list FILE           runs the seeds of a list: 'seed profile schedule|- why' on each line\n"
    "  --mutant NAME         with a planted bug; see --mutants\n"
    "  --keep-going          goes on in a world after its first violation\n"
    "  --until-failure       ends with the first seed that fails\n"
    "\n"
    "How\n"
    "  --jobs N              processes side by side (one per core); 0: in this process, for a debugger\n"
    "  --twice-every N       each so-many-th seed runs twice and must do the same (50; 0: only those that "
    "fail)\n"
    "  --limit S             a run that takes longer on this machine has failed (900)\n"
    "\n"
    "What is told\n"
    "  --trace FILE          of one seed: an aligned line per event\n"
    "  --json [FILE]         the numbers as JSON, on standard output if no file is named\n"
    "  --folder DIR          for traces and smaller schedules of failing seeds (sim-failures)\n"
    "  --study N             make files for so many failing seeds (3)\n"
    "  --shrink S            look for a smaller schedule for so many seconds per seed (120; 0: do not)\n"
    "  --faults              the kinds of fault and how a schedule names them\n"
    "  --profiles            the built-in profiles\n"
    "  --print-profile NAME  one of them, in the form that --profile reads\n"
    "  --print-schedule      the faults of --seed and --profile\n"
    "  --mutants             the planted bugs\n"
    "\n"
    "Ends with 0 if all is well, 1 if a seed failed, 2 if it was asked for something impossible.\n";

void sim_options_help(FILE *to)
{
    fputs(help, to);
}

static hf_status take_number(const char *name, uint64_t least, uint64_t most, uint64_t *ret)
{
    uint64_t n;
    if (!sim_u64_word(optarg, &n) || n < least || n > most)
        return hf_error(HF_INVALID, "--%s '%s' is no whole number from %llu to %llu", name, optarg,
                        (unsigned long long)least, (unsigned long long)most);
    *ret = n;
    return HF_STATUS_OK;
}

static hf_status take_unsigned(const char *name, unsigned least, unsigned most, unsigned *ret)
{
    uint64_t n = 0;
    HF_TRY(take_number(name, least, most, &n));
    *ret = (unsigned)n;
    return HF_STATUS_OK;
}

static hf_status take_path(const char *name, const char **ret)
{
    if (!*optarg || strlen(optarg) >= SIM_PATH)
        return hf_error(HF_INVALID, "--%s: a name has 1 to %d characters", name, SIM_PATH - 1);
    *ret = optarg;
    return HF_STATUS_OK;
}

/* "--json" alone, or with a file. */
static void take_json(int argc, char *argv[], struct sim_options *o)
{
    o->json = true;
    if (optind < argc && argv[optind][0] != '-')
        o->json_file = argv[optind++];
}

static hf_status take_what(int opt, struct sim_options *o)
{
    switch (opt) {
    case OPT_SEEDS:
        o->seeds_given = true;
        return take_number("seeds", 1, 1000000000000, &o->seeds);
    case OPT_SEED:
        o->seed_given = true;
        return take_number("seed", 0, UINT64_MAX, &o->first_seed);
    case OPT_SECONDS:
        return take_unsigned("seconds", 1, SECONDS_MAX, &o->seconds);
    case OPT_PROFILE:
        return take_path("profile", &o->profile);
    case OPT_SCHEDULE:
        return take_path("schedule", &o->schedule);
    case OPT_LIST:
        o->command = SIM_RUN_LIST;
        return take_path("list", &o->list);
    case OPT_MUTANT:
        return take_path("mutant", &o->mutant);
    case OPT_KEEP_GOING:
        o->keep_going = true;
        return HF_STATUS_OK;
    case OPT_UNTIL_FAILURE:
        o->until_failure = true;
        return HF_STATUS_OK;
    default:
        return hf_error(HF_INVALID, "see hf-sim --help");
    }
}

static hf_status take_how(int opt, struct sim_options *o)
{
    switch (opt) {
    case OPT_TRACE:
        return take_path("trace", &o->trace);
    case OPT_JOBS:
        return take_unsigned("jobs", 0, SIM_JOBS_MAX, &o->jobs);
    case OPT_FOLDER:
        return take_path("folder", &o->folder);
    case OPT_COMMIT:
        return take_path("commit", &o->commit);
    case OPT_TWICE_EVERY:
        return take_unsigned("twice-every", 0, 1000000, &o->twice_every);
    case OPT_LIMIT:
        return take_unsigned("limit", 1, SECONDS_MAX, &o->limit_s);
    case OPT_SHRINK:
        return take_unsigned("shrink", 0, SECONDS_MAX, &o->shrink_s);
    case OPT_STUDY:
        return take_unsigned("study", 0, SIM_FAILURES_MAX, &o->study_max);
    case OPT_FAULTS:
        o->command = SIM_SHOW_FAULTS;
        return HF_STATUS_OK;
    case OPT_PROFILES:
        o->command = SIM_SHOW_PROFILES;
        return HF_STATUS_OK;
    case OPT_PRINT_PROFILE:
        o->command = SIM_SHOW_PROFILE;
        return take_path("print-profile", &o->shown_profile);
    case OPT_PRINT_SCHEDULE:
        o->command = SIM_SHOW_SCHEDULE;
        return HF_STATUS_OK;
    case OPT_MUTANTS:
        o->command = SIM_SHOW_MUTANTS;
        return HF_STATUS_OK;
    case 'h':
        o->command = SIM_SHOW_HELP;
        return HF_STATUS_OK;
    default:
        return take_what(opt, o);
    }
}

static hf_status check(const struct sim_options *o)
{
    bool one = o->seeds == 1 && o->seconds == 0;
    if (o->schedule && (!one || o->command == SIM_RUN_LIST))
        return hf_error(HF_INVALID,
                        "--schedule belongs to one seed: name it with --seed, without --seeds or --list");
    if (o->trace && (!one || o->command == SIM_RUN_LIST))
        return hf_error(HF_INVALID, "--trace is of one seed: name it with --seed, without --seeds or --list");
    if (o->command == SIM_RUN_LIST && (o->seed_given || o->seeds_given))
        return hf_error(HF_INVALID, "--list names the seeds: leave out --seed and --seeds");
    if (o->seeds > 0 && o->first_seed > UINT64_MAX - (o->seeds - 1))
        return hf_error(HF_INVALID, "--seed %llu: there are no %llu seeds from there on",
                        (unsigned long long)o->first_seed, (unsigned long long)o->seeds);
    return HF_STATUS_OK;
}

static void fill_in(struct sim_options *o)
{
    if (o->seeds_given)
        return;
    if (o->seconds > 0)
        o->seeds = o->first_seed == 0 ? UINT64_MAX : UINT64_MAX - o->first_seed + 1;
    else
        o->seeds = o->seed_given ? 1 : SEEDS_DEFAULT;
}

hf_status sim_options_parse(int argc, char *argv[], struct sim_options *ret)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct sim_options o = {
        .first_seed = 1,
        .profile = "default",
        .folder = "sim-failures",
        .commit = "unknown",
        .jobs = cores < 1              ? 1
                : cores > SIM_JOBS_MAX ? SIM_JOBS_MAX
                                       : (unsigned)cores,
        .twice_every = TWICE_EVERY,
        .limit_s = LIMIT_S,
        .shrink_s = SHRINK_S,
        .study_max = STUDY_MAX,
    };
    opterr = 0;
    optind = 1;
    for (int opt; (opt = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        if (opt == '?')
            return hf_error(HF_INVALID, "'%s' is no option, or its value is missing; see hf-sim --help",
                            argv[optind - 1]);
        if (opt == OPT_JSON)
            take_json(argc, argv, &o);
        else
            HF_TRY(take_how(opt, &o));
    }
    if (optind < argc)
        return hf_error(HF_INVALID, "'%s' is not expected; see hf-sim --help", argv[optind]);
    fill_in(&o);
    HF_TRY(check(&o));
    *ret = o;
    return HF_STATUS_OK;
}
