/* Profiles as text: profile.h says how they look. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "sim/profile.h"
#include "sim/text_lines.h"

enum field_type {
    FIELD_RANGE,  /* 3..5 */
    FIELD_NUMBER, /* int64_t */
    FIELD_COUNT,  /* unsigned */
    FIELD_CHANCE, /* 12.5%, kept as ppm */
    FIELD_WORD,   /* timing */
};

static const struct {
    const char *name;
    enum field_type type;
    size_t at;
} fields[] = {
    {"nodes", FIELD_RANGE, offsetof(struct sim_profile, nodes)},
    {"hosts", FIELD_RANGE, offsetof(struct sim_profile, hosts)},
    {"instances", FIELD_RANGE, offsetof(struct sim_profile, instances)},
    {"clients", FIELD_RANGE, offsetof(struct sim_profile, clients)},
    {"shared_storages", FIELD_RANGE, offsetof(struct sim_profile, shared_storages)},
    {"seconds", FIELD_RANGE, offsetof(struct sim_profile, seconds)},
    {"settle_seconds", FIELD_NUMBER, offsetof(struct sim_profile, settle_seconds)},
    {"timing", FIELD_WORD, offsetof(struct sim_profile, timing)},
    {"no_watchdog", FIELD_CHANCE, offsetof(struct sim_profile, no_watchdog_ppm)},
    {"no_gate", FIELD_CHANCE, offsetof(struct sim_profile, no_gate_ppm)},
    {"power", FIELD_CHANCE, offsetof(struct sim_profile, power_ppm)},
    {"local", FIELD_CHANCE, offsetof(struct sim_profile, local_ppm)},
    {"ceph", FIELD_CHANCE, offsetof(struct sim_profile, ceph_ppm)},
    {"write_fenced", FIELD_CHANCE, offsetof(struct sim_profile, write_fenced_ppm)},
    {"shared_address", FIELD_CHANCE, offsetof(struct sim_profile, shared_address_ppm)},
    {"request_ms", FIELD_NUMBER, offsetof(struct sim_profile, request_ms)},
    {"guest_write_ms", FIELD_NUMBER, offsetof(struct sim_profile, guest_write_ms)},
    {"at_once", FIELD_COUNT, offsetof(struct sim_profile, at_once)},
    {"rest_ms", FIELD_NUMBER, offsetof(struct sim_profile, rest_ms)},
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

struct reading {
    struct sim_profile *profile;
    bool seen[N_FIELDS + SIM_FAULT_KINDS];
};

/* --- values --- */

static hf_status parse_range(const char *word, unsigned decimals, struct sim_range *ret)
{
    struct sim_range r;
    const char *rest = sim_decimal(word, decimals, &r.low);
    if (rest && !*rest)
        r.high = r.low;
    else if (!rest || strncmp(rest, "..", 2) != 0 || !sim_decimal_word(rest + 2, decimals, &r.high))
        return hf_error(HF_INVALID, "'%s' is neither a number nor a range like 3..5", word);
    *ret = r;
    return HF_STATUS_OK;
}

static hf_status parse_number(const char *word, int64_t most, int64_t *ret)
{
    if (!sim_decimal_word(word, 0, ret) || *ret < 0 || *ret > most)
        return hf_error(HF_INVALID, "'%s' is no whole number from 0 to %lld", word, (long long)most);
    return HF_STATUS_OK;
}

static hf_status parse_chance(const char *word, uint32_t *ret)
{
    int64_t ppm;
    const char *rest = sim_decimal(word, 4, &ppm);
    if (!rest || strcmp(rest, "%") != 0 || ppm < 0 || ppm > 1000000)
        return hf_error(HF_INVALID, "'%s' is no chance from 0%% to 100%%", word);
    *ret = (uint32_t)ppm;
    return HF_STATUS_OK;
}

static hf_status parse_field(struct sim_profile *p, size_t i, const char *word)
{
    void *at = (char *)p + fields[i].at;
    int64_t number;
    switch (fields[i].type) {
    case FIELD_RANGE:
        return parse_range(word, 0, at);
    case FIELD_NUMBER:
        return parse_number(word, SIM_SECONDS_MAX * 1000LL, at);
    case FIELD_COUNT:
        HF_TRY(parse_number(word, 1000000, &number));
        *(unsigned *)at = (unsigned)number;
        return HF_STATUS_OK;
    case FIELD_CHANCE:
        return parse_chance(word, at);
    case FIELD_WORD:
        snprintf(p->timing, sizeof p->timing, "%s", word);
        return HF_STATUS_OK;
    }
    return HF_STATUS_OK;
}

/* "off", or "40 per hour [for 0.5..30] [in 25%]". */
static hf_status parse_fault(struct sim_profile *p, enum sim_fault_kind k, char *words[], unsigned n)
{
    if (n == 1 && strcmp(words[0], "off") == 0) {
        p->faults[k].per_hour = p->faults[k].on_ppm = 0;
        return HF_STATUS_OK;
    }
    if (n < 3 || strcmp(words[1], "per") != 0 || strcmp(words[2], "hour") != 0)
        return hf_error(HF_INVALID, "say 'off', or '40 per hour [for 0.5..30] [in 25%%]'");
    HF_TRY(parse_number(words[0], SIM_RATE_MAX, &p->faults[k].per_hour));
    p->faults[k].on_ppm = 1000000;
    for (unsigned i = 3; i < n; i += 2) {
        if (i + 1 == n)
            return hf_error(HF_INVALID, "nothing stands after '%s'", words[i]);
        if (strcmp(words[i], "for") == 0)
            HF_TRY(parse_range(words[i + 1], 3, &p->faults[k].duration_ms));
        else if (strcmp(words[i], "in") == 0)
            HF_TRY(parse_chance(words[i + 1], &p->faults[k].on_ppm));
        else
            return hf_error(HF_INVALID,
                            "'%s' is not expected here: say '40 per hour [for 0.5..30] [in 25%%]'", words[i]);
    }
    return HF_STATUS_OK;
}

/* --- lines --- */

static hf_status find_name(const char *name, size_t *ret_field, enum sim_fault_kind *ret_kind)
{
    for (*ret_field = 0; *ret_field < N_FIELDS; ++*ret_field)
        if (strcmp(fields[*ret_field].name, name) == 0)
            return HF_STATUS_OK;
    if (sim_fault_parse(name, ret_kind))
        return HF_STATUS_OK;
    return hf_error(HF_INVALID, "there is no '%s': 'hf-sim --print-profile default' shows all names", name);
}

static hf_status read_line(void *arg, char *line)
{
    struct reading *r = arg;
    char *value = strchr(line, '=');
    if (!value)
        return hf_error(HF_INVALID, "'%s' is no 'name = value'", line);
    *value++ = '\0';
    char *names[SIM_WORDS_MAX], *words[SIM_WORDS_MAX];
    unsigned n_names = sim_words(line, names), n = sim_words(value, words);
    if (n_names != 1 || n == 0 || n > SIM_WORDS_MAX)
        return hf_error(HF_INVALID, "this is no 'name = value' with one name and a value");
    size_t field;
    enum sim_fault_kind kind = SIM_FAULT_KINDS;
    HF_TRY(find_name(names[0], &field, &kind));
    bool *seen = &r->seen[field < N_FIELDS ? field : N_FIELDS + kind];
    if (*seen)
        return hf_error(HF_INVALID, "%s is named a second time", names[0]);
    *seen = true;
    if (field == N_FIELDS)
        return hf_wrap(parse_fault(r->profile, kind, words, n), "%s", names[0]);
    if (n > 1)
        return hf_error(HF_INVALID, "%s: '%s' is more than one value", names[0], words[1]);
    return hf_wrap(parse_field(r->profile, field, words[0]), "%s", names[0]);
}

static void name_after(const char *path, struct sim_profile *p)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t len = strcspn(name, ".");
    snprintf(p->name, sizeof p->name, "%.*s", (int)len, name);
}

hf_status sim_profile_load(const char *path, struct sim_profile *ret)
{
    struct sim_profile p;
    HF_TRY(sim_profile_find("default", &p));
    name_after(path, &p);
    struct reading r = {.profile = &p};
    HF_TRY(sim_lines_read(path, read_line, &r));
    HF_TRY(hf_wrap(sim_profile_check(&p), "profile '%s'", path));
    *ret = p;
    return HF_STATUS_OK;
}

/* --- writing --- */

static void print_chance(FILE *to, uint32_t ppm)
{
    fprintf(to, "%u.%04u%%", ppm / 10000, ppm % 10000);
}

static void print_range(FILE *to, struct sim_range r)
{
    fprintf(to, "%lld", (long long)r.low);
    if (r.high != r.low)
        fprintf(to, "..%lld", (long long)r.high);
}

static void print_field(FILE *to, const struct sim_profile *p, size_t i)
{
    const void *at = (const char *)p + fields[i].at;
    fprintf(to, "%-15s = ", fields[i].name);
    switch (fields[i].type) {
    case FIELD_RANGE:
        print_range(to, *(const struct sim_range *)at);
        break;
    case FIELD_NUMBER:
        fprintf(to, "%lld", (long long)*(const int64_t *)at);
        break;
    case FIELD_COUNT:
        fprintf(to, "%u", *(const unsigned *)at);
        break;
    case FIELD_CHANCE:
        print_chance(to, *(const uint32_t *)at);
        break;
    case FIELD_WORD:
        fprintf(to, "%s", p->timing);
        break;
    }
    fputc('\n', to);
}

static void print_fault(FILE *to, const struct sim_profile *p, unsigned k)
{
    fprintf(to, "%-15s = ", sim_fault_name((enum sim_fault_kind)k));
    if (p->faults[k].per_hour == 0 || p->faults[k].on_ppm == 0) {
        fputs("off\n", to);
        return;
    }
    struct sim_range d = p->faults[k].duration_ms;
    fprintf(to, "%lld per hour", (long long)p->faults[k].per_hour);
    fprintf(to, " for %lld.%03lld..%lld.%03lld", (long long)d.low / 1000, (long long)d.low % 1000,
            (long long)d.high / 1000, (long long)d.high % 1000);
    fputs(" in ", to);
    print_chance(to, p->faults[k].on_ppm);
    fputc('\n', to);
}

void sim_profile_print(FILE *to, const struct sim_profile *p)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        print_field(to, p, i);
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++)
        print_fault(to, p, k);
}

hf_status sim_profile_save(const char *path, const struct sim_profile *p)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return hf_errno(errno, "cannot write '%s'", path);
    sim_profile_print(f, p);
    bool failed = ferror(f) != 0;
    failed |= fclose(f) != 0;
    return failed ? hf_errno(errno, "cannot write '%s'", path) : HF_STATUS_OK;
}
