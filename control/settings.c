#include "control/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/command.h"
#include "control/kinds.h"
#include "holdfast/v1/system.pb-c.h"

#define CLUSTER_ID "cluster.id"

/* clang-format off */
static const struct hf_setting settings[] = {
    {.name = CLUSTER_ID, .type = HF_SETTING_TEXT, .default_value = "", .fixed = true,
     .description = "random id that the first leader gave this cloud"},
    {.name = "ha.enable", .type = HF_SETTING_BOOL, .default_value = "true",
     .description = "fence lost hosts and restart their NeverStop instances elsewhere"},
    {.name = "ha.massLossShare", .type = HF_SETTING_INT, .default_value = "50", .min = 1, .max = 100,
     .description = "percent of all hosts lost at once above which HA holds and alarms (one host alone never does)"},
    {.name = "ha.powerFencing", .type = HF_SETTING_CHOICE, .default_value = "always", .choices = "always|without-watchdog|never",
     .description = "when a fenced host's power is cut, if it has power devices: beside silence, only where silence proves nothing, never"},
    {.name = "ha.powerFencingDelay", .type = HF_SETTING_INT, .default_value = "0", .min = 0, .max = 3600,
     .description = "seconds from the fence until the power is cut"},
    {.name = "ha.admission.hostFailures", .type = HF_SETTING_INT, .default_value = "1", .min = 1, .max = 8,
     .description = "hosts whose loss at once shall be absorbed: every NeverStop instance of them finds room elsewhere"},
    {.name = "ha.admission.policy", .type = HF_SETTING_CHOICE, .default_value = "warn", .choices = "warn|refuse|off",
     .description = "when it cannot be: say so on the cluster, also refuse to start more NeverStop instances, or look away"},
    {.name = "ha.crashLoop.tries", .type = HF_SETTING_INT, .default_value = "5", .min = 0, .max = 100,
     .description = "ends that nobody ordered within the window after which a NeverStop instance is held stopped (0: never)"},
    {.name = "ha.crashLoop.windowSeconds", .type = HF_SETTING_INT, .default_value = "600", .min = 10, .max = 86400,
     .description = "the window of ha.crashLoop.tries"},
    {.name = "vm.cpuOverProvisioning", .type = HF_SETTING_INT, .default_value = "10", .min = 1, .max = 1000,
     .description = "virtual CPUs that may be placed on one physical CPU"},
    {.name = "vm.cacheMode", .type = HF_SETTING_CHOICE, .default_value = "none", .choices = "none",
     .description = "cache mode of disks; shared storages need none (DESIGN rule 16)"},
    {.name = "vm.cpuMode", .type = HF_SETTING_CHOICE, .default_value = "none",
     .choices = "none|host-model|host-passthrough", .description = "CPU model that guests see"},
    {.name = "vm.stopGrace", .type = HF_SETTING_INT, .default_value = "60", .min = 1, .max = 3600,
     .description = "seconds that a guest has to power itself off before it is forced"},
    {.name = "host.drainParallel", .type = HF_SETTING_INT, .default_value = "2", .min = 1, .max = 64,
     .description = "instances that leave a drained host at once and run on elsewhere"},
    {.name = "vm.migrationTimeout", .type = HF_SETTING_INT, .default_value = "600", .min = 10, .max = 3000,
     .description = "seconds after which a live migration that has not ended is called off"},
    {.name = "host.reservedMemory", .type = HF_SETTING_SIZE, .default_value = "1G", .min = 0, .max = 1LL << 50,
     .description = "memory of each host that instances do not get"},
    {.name = "primaryStorage.reservedCapacity", .type = HF_SETTING_SIZE, .default_value = "1G", .min = 0,
     .max = 1LL << 60, .description = "room of each primary storage that volumes and images do not get"},
    {.name = "localStorage.liveMigration", .type = HF_SETTING_BOOL, .default_value = "false",
     .description = "allow live migration of instances on LocalStorage"},
    {.name = "session.timeout", .type = HF_SETTING_INT, .default_value = "7200", .min = 60, .max = 604800,
     .description = "seconds of inactivity after which a login session ends"},
    {.name = "deletion.policy", .type = HF_SETTING_CHOICE, .default_value = "Direct", .choices = "Direct",
     .description = "what deleting an instance or volume does with its files"},
    {.name = "operation.retention", .type = HF_SETTING_INT, .default_value = "24", .min = 1, .max = 8760,
     .description = "hours for which ended operations are kept"},
};
/* clang-format on */

#define SETTINGS_N (sizeof settings / sizeof settings[0])

const struct hf_setting *hf_setting_find(const char *name)
{
    for (size_t i = 0; i < SETTINGS_N; i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

/* --- values --- */

static bool parse_int(const char *text, bool size, int64_t *ret)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno != 0 || end == text || text[0] == ' ' || text[0] == '+')
        return false;
    static const char units[] = "KMGT";
    const char *unit = size && *end != '\0' ? strchr(units, *end) : NULL;
    if (unit != NULL) {
        int shift = 10 * (int)(unit - units + 1);
        if (v < 0 || v > (INT64_MAX >> shift))
            return false;
        v <<= shift;
        end++;
    }
    *ret = v;
    return *end == '\0';
}

static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);
    for (const char *p = choices; *p != '\0'; p += strcspn(p, "|"), p += *p == '|')
        if (strcspn(p, "|") == len && strncmp(p, value, len) == 0)
            return len > 0;
    return false;
}

hf_status hf_setting_check(const struct hf_setting *s, const char *value)
{
    int64_t v;
    switch (s->type) {
    case HF_SETTING_BOOL:
        if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
            return HF_STATUS_OK;
        return hf_error(HF_INVALID, "'%s' is not true or false", value);
    case HF_SETTING_INT:
    case HF_SETTING_SIZE:
        if (!parse_int(value, s->type == HF_SETTING_SIZE, &v))
            return hf_error(HF_INVALID, "'%s' is not %s", value,
                            s->type == HF_SETTING_INT ? "a number" : "a size such as 512M or 1G");
        if (v < s->min || v > s->max)
            return hf_error(HF_INVALID, "%s is not between %" PRId64 " and %" PRId64, value, s->min, s->max);
        return HF_STATUS_OK;
    case HF_SETTING_CHOICE:
        if (is_choice(s->choices, value))
            return HF_STATUS_OK;
        return hf_error(HF_INVALID, "'%s' is not one of %s", value, s->choices);
    default:
        if (strlen(value) <= HF_NAME_MAX)
            return HF_STATUS_OK;
        return hf_error(HF_INVALID, "longer than %d bytes", HF_NAME_MAX);
    }
}

static Holdfast__V1__GlobalSetting *stored(const struct hf_store *s, const char *name)
{
    const struct hf_object *o = hf_store_by_name(s, HOLDFAST__V1__KIND__GLOBAL_SETTING, name);
    return o != NULL ? (Holdfast__V1__GlobalSetting *)hf_object_decode(o) : NULL;
}

char *hf_setting_text(const struct hf_store *s, const char *name)
{
    const struct hf_setting *d = hf_setting_find(name);
    HF_ASSERT(d != NULL);
    Holdfast__V1__GlobalSetting *g = stored(s, name);
    /* A value of another version's table that does not fit this one counts as not set. */
    hf_status st = g != NULL ? hf_setting_check(d, g->value) : HF_STATUS_OK;
    char *value = hf_strdup(g != NULL && hf_ok(st) ? g->value : d->default_value);
    hf_status_drop(st);
    if (g != NULL)
        holdfast__v1__global_setting__free_unpacked(g, NULL);
    return value;
}

bool hf_setting_bool(const struct hf_store *s, const char *name)
{
    HF_ASSERT(hf_setting_find(name) != NULL && hf_setting_find(name)->type == HF_SETTING_BOOL);
    char *value = hf_setting_text(s, name);
    bool yes = strcmp(value, "true") == 0;
    free(value);
    return yes;
}

int64_t hf_setting_int(const struct hf_store *s, const char *name)
{
    const struct hf_setting *d = hf_setting_find(name);
    HF_ASSERT(d != NULL && (d->type == HF_SETTING_INT || d->type == HF_SETTING_SIZE));
    char *value = hf_setting_text(s, name);
    int64_t v;
    bool valid = parse_int(value, d->type == HF_SETTING_SIZE, &v);
    HF_ASSERT(valid);
    free(value);
    return v;
}

char *hf_cluster_id(const struct hf_store *s)
{
    return hf_setting_text(s, CLUSTER_ID);
}

/* --- writing --- */

static const char *type_text(const struct hf_setting *d, char *buf, size_t len)
{
    static const char *const names[] = {"bool", "int", "size", "", "string"};
    if (d->type != HF_SETTING_CHOICE)
        return names[d->type];
    snprintf(buf, len, "one of %s", d->choices);
    return buf;
}

static void put_new(struct hf_control *c, struct hf_txn *t, const char *name, const char *type,
                    const char *value, const char *default_value, const char *description)
{
    struct hf_uuid uuid =
        hf_uuid_of_text(name); /* the same on every leader: two of them cannot both make it */
    char text[HF_UUID_STR];
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    meta.uuid = hf_uuid_format(&uuid, text);
    meta.name = (char *)name;
    meta.description = (char *)description;
    meta.created_at_ms = hf_env_wall_ms(c->env);
    Holdfast__V1__GlobalSetting g = HOLDFAST__V1__GLOBAL_SETTING__INIT;
    g.meta = &meta;
    g.value = (char *)value;
    g.default_value = (char *)default_value;
    g.type = (char *)type;
    hf_txn_put_message(t, c->env, &g.base);
}

static hf_status build_seed(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_control *c = arg;
    for (size_t i = 0; i < SETTINGS_N; i++) {
        const struct hf_setting *d = &settings[i];
        char type[128], id[HF_UUID_STR];
        const char *value = d->default_value;
        if (hf_store_by_name(s, HOLDFAST__V1__KIND__GLOBAL_SETTING, d->name) != NULL)
            continue;
        if (strcmp(d->name, CLUSTER_ID) == 0) {
            struct hf_uuid u = hf_uuid_new(c->env);
            value = hf_uuid_format(&u, id);
        }
        put_new(c, t, d->name, type_text(d, type, sizeof type), value, d->default_value, d->description);
    }
    return HF_STATUS_OK;
}

static void seed_done(void *arg, hf_status st, const struct hf_txn_result *res)
{
    (void)arg;
    (void)res;
    if (!hf_ok(st))
        hf_warn("write the default settings: %s", hf_status_message(st));
}

void hf_settings_seed(struct hf_control *c)
{
    struct hf_command cmd = {.build = build_seed, .done = seed_done, .arg = c};
    hf_command_run(c, &cmd);
}

/* --- control nodes --- */

static void node_name(uint64_t id, char *buf, size_t len)
{
    snprintf(buf, len, HF_SETTING_NODE_PREFIX "%" PRIu64, id);
}

void hf_setting_put_node(struct hf_control *c, const struct hf_store *s, struct hf_txn *t, uint64_t id,
                         const char *value)
{
    char name[64];
    node_name(id, name, sizeof name);
    const struct hf_object *o = hf_store_by_name(s, HOLDFAST__V1__KIND__GLOBAL_SETTING, name);
    if (value == NULL) {
        if (o != NULL)
            hf_txn_delete(t, &o->uuid);
    } else if (o == NULL) {
        put_new(c, t, name, "string", value, "", "API address of this control node");
    } else {
        Holdfast__V1__GlobalSetting *g = (Holdfast__V1__GlobalSetting *)hf_object_decode(o);
        HF_ASSERT(g != NULL);
        hf_pb_set(&g->value, value);
        hf_txn_put_message(t, c->env, &g->base);
        holdfast__v1__global_setting__free_unpacked(g, NULL);
    }
}

const char *hf_setting_node(const struct hf_store *s, uint64_t id, char *buf, size_t len)
{
    char name[64];
    node_name(id, name, sizeof name);
    Holdfast__V1__GlobalSetting *g = stored(s, name);
    if (g == NULL)
        return NULL;
    snprintf(buf, len, "%s", g->value);
    holdfast__v1__global_setting__free_unpacked(g, NULL);
    return buf;
}

void hf_setting_each_node(const struct hf_store *s, void (*cb)(void *arg, const char *address), void *arg)
{
    size_t len = strlen(HF_SETTING_NODE_PREFIX);
    const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__GLOBAL_SETTING, HF_SETTING_NODE_PREFIX);
    for (; o != NULL && strncmp(o->name, HF_SETTING_NODE_PREFIX, len) == 0;
         o = hf_store_next(s, HOLDFAST__V1__KIND__GLOBAL_SETTING, o->name)) {
        Holdfast__V1__GlobalSetting *g = (Holdfast__V1__GlobalSetting *)hf_object_decode(o);
        HF_ASSERT(g != NULL);
        cb(arg, g->value);
        holdfast__v1__global_setting__free_unpacked(g, NULL);
    }
}
