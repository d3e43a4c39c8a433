#include "sim/profile.h"

#include <string.h>

#include "ha/ha_timing.h"
#include "sim/world.h"

static const char *const kind_names[SIM_FAULT_KINDS] = {
    [SIM_FAULT_HOST_POWER] = "host-power",
    [SIM_FAULT_HOST_PAUSE] = "host-pause",
    [SIM_FAULT_HOSTD_CRASH] = "hostd-crash",
    [SIM_FAULT_HOSTD_PAUSE] = "hostd-pause",
    [SIM_FAULT_KEEPER_CRASH] = "keeper-crash",
    [SIM_FAULT_KEEPER_PAUSE] = "keeper-pause",
    [SIM_FAULT_LIBVIRT_DOWN] = "libvirt-down",
    [SIM_FAULT_LIBVIRT_CALL] = "libvirt-call",
    [SIM_FAULT_UNKILLABLE] = "unkillable",
    [SIM_FAULT_GUEST_CRASH] = "guest-crash",
    [SIM_FAULT_NODE_POWER] = "node-power",
    [SIM_FAULT_NODE_CRASH] = "node-crash",
    [SIM_FAULT_NODE_PAUSE] = "node-pause",
    [SIM_FAULT_NODE_DISK] = "node-disk",
    [SIM_FAULT_LEADER_CHANGE] = "leader-change",
    [SIM_FAULT_NET_CUT] = "net-cut",
    [SIM_FAULT_NET_ONE_WAY] = "net-one-way",
    [SIM_FAULT_NET_PARTITION] = "net-partition",
    [SIM_FAULT_NET_POOR] = "net-poor",
    [SIM_FAULT_STORAGE_HANG] = "storage-hang",
    [SIM_FAULT_STORAGE_ERROR] = "storage-error",
    [SIM_FAULT_STORAGE_LATE] = "storage-late",
    [SIM_FAULT_STORAGE_OUT] = "storage-out",
    [SIM_FAULT_CLOCK_RATE] = "clock-rate",
    [SIM_FAULT_WALL_JUMP] = "wall-jump",
    [SIM_FAULT_AT_ACT] = "at-act",
    [SIM_FAULT_BUGGIFY] = "buggify",
    [SIM_FAULT_EXEC] = "exec",
    [SIM_FAULT_STORAGE_HALF] = "storage-half",
    [SIM_FAULT_STORAGE_SICK] = "storage-sick",
    [SIM_FAULT_RECORDS_GONE] = "records-gone",
    [SIM_FAULT_RECORD_JUNK] = "record-junk",
    [SIM_FAULT_RUN_FULL] = "run-full",
    [SIM_FAULT_CEPH_MONS] = "ceph-mons",
    [SIM_FAULT_CEPH_ASKER] = "ceph-asker",
    [SIM_FAULT_CLIENT_REFUSED] = "client-refused",
};

const char *sim_fault_name(enum sim_fault_kind k)
{
    return kind_names[k];
}

bool sim_fault_parse(const char *name, enum sim_fault_kind *ret)
{
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++) {
        if (strcmp(kind_names[k], name) == 0) {
            *ret = (enum sim_fault_kind)k;
            return true;
        }
    }
    return false;
}

/* --- the built-in ones --- */

/* clang-format off */
static const struct sim_profile default_profile = {
    .name = "default",
    .nodes = {3, 5}, .hosts = {3, 12}, .instances = {4, 60}, .clients = {1, 4}, .shared_storages = {1, 2},
    .seconds = {120, 600}, .settle_seconds = 180, .timing = "any",
    .no_watchdog_ppm = 50000, .no_gate_ppm = 50000, .local_ppm = 50000,
    .ceph_ppm = 250000, .write_fenced_ppm = 500000, .shared_address_ppm = 100000,
    .request_ms = 2000, .guest_write_ms = 1000,
    .at_once = 6, .rest_ms = 5000,
    .faults = {
        /*                           in so many runs, per hour, for so long (ms) */
        [SIM_FAULT_HOST_POWER]    = {700000,  40, {  500, 180000}},
        [SIM_FAULT_HOST_PAUSE]    = {400000,  40, {   50, 120000}},
        [SIM_FAULT_HOSTD_CRASH]   = {400000,  40, {    0,      0}},
        [SIM_FAULT_HOSTD_PAUSE]   = {300000,  30, {   50,  60000}},
        [SIM_FAULT_KEEPER_CRASH]  = {300000,  30, {    0,      0}},
        [SIM_FAULT_KEEPER_PAUSE]  = {300000,  30, {   50,  60000}},
        [SIM_FAULT_LIBVIRT_DOWN]  = {300000,  30, {    0,      0}},
        [SIM_FAULT_LIBVIRT_CALL]  = {300000,  60, { 5000,  60000}},
        [SIM_FAULT_UNKILLABLE]    = {150000,  20, { 5000,  90000}},
        [SIM_FAULT_GUEST_CRASH]   = {400000, 100, {    0,      0}},
        [SIM_FAULT_NODE_POWER]    = {400000,  30, { 1000,  90000}},
        [SIM_FAULT_NODE_CRASH]    = {400000,  40, {    0,      0}},
        [SIM_FAULT_NODE_PAUSE]    = {300000,  30, {   50,  60000}},
        [SIM_FAULT_NODE_DISK]     = {250000,  30, {  200,  40000}},
        [SIM_FAULT_LEADER_CHANGE] = {300000,  40, {    0,      0}},
        [SIM_FAULT_NET_CUT]       = {400000,  40, {  200,  90000}},
        [SIM_FAULT_NET_ONE_WAY]   = {300000,  40, {  200,  90000}},
        [SIM_FAULT_NET_PARTITION] = {250000,  20, {  500,  60000}},
        [SIM_FAULT_NET_POOR]      = {300000,  30, { 1000,  60000}},
        [SIM_FAULT_STORAGE_HANG]  = {350000,  40, {  200,  90000}},
        [SIM_FAULT_STORAGE_ERROR] = {250000,  30, {  200,  60000}},
        [SIM_FAULT_STORAGE_LATE]  = {300000,  30, { 1000,  90000}},
        [SIM_FAULT_STORAGE_OUT]   = {200000,  12, {  500,  60000}},
        [SIM_FAULT_CLOCK_RATE]    = {300000,  30, { 5000, 300000}},
        [SIM_FAULT_WALL_JUMP]     = {250000,  30, {    0,      0}},
        [SIM_FAULT_AT_ACT]        = {500000,  80, {   50,  60000}},
        [SIM_FAULT_BUGGIFY]       = {500000,  60, { 1000,  60000}},
        [SIM_FAULT_EXEC]          = {200000,  30, { 5000,  90000}},
        [SIM_FAULT_STORAGE_HALF]  = {250000,  30, {  500,  60000}},
        [SIM_FAULT_STORAGE_SICK]  = {100000,  12, {  500,  30000}},
        [SIM_FAULT_RECORDS_GONE]  = {100000,   6, {    0,      0}},
        [SIM_FAULT_RECORD_JUNK]   = {150000,  20, {    0,      0}},
        [SIM_FAULT_RUN_FULL]      = {150000,  20, {  500,  60000}},
        [SIM_FAULT_CEPH_MONS]     = {500000,  40, {  500,  60000}},
        [SIM_FAULT_CEPH_ASKER]    = {500000,  30, { 5000,  60000}},
        [SIM_FAULT_CLIENT_REFUSED] = {200000, 20, {20000, 180000}},
    },
};
/* clang-format on */

/* Each differs from "default" by what its function says. */
static void make_calm(struct sim_profile *p)
{
    memset(p->faults, 0, sizeof p->faults);
    p->nodes = (struct sim_range){3, 3};
    p->hosts = (struct sim_range){5, 12};
    p->seconds = (struct sim_range){300, 600};
    p->no_watchdog_ppm = 0;
    p->at_once = 1;
    p->rest_ms = 90000;
    p->faults[SIM_FAULT_HOST_POWER].on_ppm = 1000000;
    p->faults[SIM_FAULT_HOST_POWER].per_hour = 60;
    p->faults[SIM_FAULT_HOST_POWER].duration_ms = (struct sim_range){30000, 240000};
}

static void make_storm(struct sim_profile *p)
{
    p->at_once = 0;
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++) {
        p->faults[k].on_ppm = 800000;
        p->faults[k].per_hour *= 2;
    }
}

static void make_speed(struct sim_profile *p)
{
    memset(p->faults, 0, sizeof p->faults);
    p->nodes = (struct sim_range){3, 3};
    p->hosts = (struct sim_range){10, 10};
    p->instances = (struct sim_range){100, 100};
    p->clients = (struct sim_range){2, 2};
    p->shared_storages = (struct sim_range){1, 1};
    p->seconds = (struct sim_range){3600, 3600};
    snprintf(p->timing, sizeof p->timing, "default");
    p->no_watchdog_ppm = p->no_gate_ppm = p->local_ppm = p->ceph_ppm = 0;
    p->at_once = 2;
    p->rest_ms = 45000;
    p->faults[SIM_FAULT_HOST_POWER].on_ppm = p->faults[SIM_FAULT_GUEST_CRASH].on_ppm = 1000000;
    p->faults[SIM_FAULT_HOST_POWER].per_hour = 60;
    p->faults[SIM_FAULT_HOST_POWER].duration_ms = (struct sim_range){30000, 90000};
    p->faults[SIM_FAULT_GUEST_CRASH].per_hour = 60;
}

static const struct {
    const char *name, *about;
    void (*make)(struct sim_profile *p); /* out of a copy of "default" */
} built_in[] = {
    {"default", "every kind of fault, each in some of the runs", NULL},
    {"calm", "power cuts of hosts, one at a time: every bound is judged", make_calm},
    {"storm", "every kind of fault, often, any number at once", make_storm},
    {"speed", "3 nodes, 10 hosts, 100 instances for an hour: what is measured", make_speed},
};
#define N_BUILT_IN (sizeof built_in / sizeof built_in[0])

const char *sim_profile_name_at(unsigned i, const char **ret_about)
{
    if (i >= N_BUILT_IN)
        return NULL;
    *ret_about = built_in[i].about;
    return built_in[i].name;
}

hf_status sim_profile_find(const char *name, struct sim_profile *ret)
{
    char known[200] = "";
    for (size_t i = 0; i < N_BUILT_IN; i++) {
        if (strcmp(built_in[i].name, name) == 0) {
            *ret = default_profile;
            snprintf(ret->name, sizeof ret->name, "%s", name);
            if (built_in[i].make)
                built_in[i].make(ret);
            return HF_STATUS_OK;
        }
        size_t len = strlen(known);
        snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "", built_in[i].name);
    }
    return hf_error(HF_INVALID,
                    "there is no profile '%s': name one of %s, or a file (a name with a '.' or a '/')", name,
                    known);
}

/* --- checks --- */

static hf_status check_range(const char *what, struct sim_range r, int64_t least, int64_t most)
{
    if (r.low > r.high)
        return hf_error(HF_INVALID, "%s: %lld..%lld is empty: the lower end stands first", what,
                        (long long)r.low, (long long)r.high);
    if (r.low < least || r.high > most)
        return hf_error(HF_INVALID, "%s: %lld..%lld reaches beyond %lld..%lld", what, (long long)r.low,
                        (long long)r.high, (long long)least, (long long)most);
    return HF_STATUS_OK;
}

static hf_status check_chance(const char *what, uint32_t ppm)
{
    return ppm <= 1000000 ? HF_STATUS_OK : hf_error(HF_INVALID, "%s: a chance is at most 100%%", what);
}

static hf_status check_faults(const struct sim_profile *p)
{
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++) {
        struct sim_range rate = {p->faults[k].per_hour, p->faults[k].per_hour};
        HF_TRY(hf_wrap(check_range("faults per hour", rate, 0, SIM_RATE_MAX), "%s", kind_names[k]));
        HF_TRY(hf_wrap(check_range("duration in ms", p->faults[k].duration_ms, 0, SIM_SECONDS_MAX * 1000),
                       "%s", kind_names[k]));
        HF_TRY(check_chance(kind_names[k], p->faults[k].on_ppm));
    }
    return HF_STATUS_OK;
}

static hf_status check_room(const struct sim_profile *p)
{
    if (p->shared_storages.low == 0 && p->local_ppm < 1000000)
        return hf_error(HF_INVALID, "there is no storage: shared_storages may be 0 only where local = 100%%");
    int64_t room = sim_profile_room((unsigned)p->hosts.low);
    if (p->instances.low > room)
        return hf_error(
            HF_INVALID,
            "there is no room: %lld instances or more, but %lld hosts hold %lld when as many are lost as "
            "a world must bear (%d instances per host)",
            (long long)p->instances.low, (long long)p->hosts.low, (long long)room, SIM_INSTANCES_PER_HOST);
    return HF_STATUS_OK;
}

unsigned sim_profile_room(unsigned hosts)
{
    unsigned left = hosts > 2 ? hosts - 2 : 1;
    return left * SIM_INSTANCES_PER_HOST;
}

hf_status sim_profile_check(const struct sim_profile *p)
{
    if (p->nodes.low < 1)
        return hf_error(HF_INVALID, "nodes: a world without a control node cannot exist; say nodes = 3");
    if (p->hosts.low < 1)
        return hf_error(HF_INVALID, "hosts: a world without a host cannot exist; say hosts = 3..10");
    HF_TRY(check_range("nodes", p->nodes, 1, SIM_NODES_MAX));
    HF_TRY(check_range("hosts", p->hosts, 1, SIM_HOSTS_MAX));
    HF_TRY(check_range("instances", p->instances, 0, SIM_HOSTS_MAX * SIM_INSTANCES_PER_HOST));
    HF_TRY(check_range("clients", p->clients, 0, SIM_CLIENTS_MAX));
    HF_TRY(check_range("shared_storages", p->shared_storages, 0, SIM_STORAGES_MAX));
    HF_TRY(check_range("seconds", p->seconds, 1, SIM_SECONDS_MAX));
    HF_TRY(check_range("settle_seconds", (struct sim_range){p->settle_seconds, p->settle_seconds}, 1,
                       SIM_SECONDS_MAX));
    HF_TRY(check_range("request_ms", (struct sim_range){p->request_ms, p->request_ms}, 1,
                       SIM_SECONDS_MAX * 1000));
    HF_TRY(check_range("guest_write_ms", (struct sim_range){p->guest_write_ms, p->guest_write_ms}, 1,
                       SIM_SECONDS_MAX * 1000));
    HF_TRY(check_range("at_once", (struct sim_range){p->at_once, p->at_once}, 0, SIM_AT_ONCE_MAX));
    HF_TRY(check_range("rest_ms", (struct sim_range){p->rest_ms, p->rest_ms}, 0, SIM_SECONDS_MAX * 1000));
    HF_TRY(check_chance("no_watchdog", p->no_watchdog_ppm));
    HF_TRY(check_chance("no_gate", p->no_gate_ppm));
    HF_TRY(check_chance("power", p->power_ppm));
    HF_TRY(check_chance("local", p->local_ppm));
    if (strcmp(p->timing, "any") != 0 && (!*p->timing || !hf_ha_timing_find(p->timing)))
        return hf_error(HF_INVALID, "timing: there is no '%s': say fast, default, san or any", p->timing);
    HF_TRY(check_faults(p));
    return check_room(p);
}
