/* Planted histories for the tests of the checks: a small cloud told fact by fact. */
#ifndef HF_SIM_CHECKS_TESTING_H
#define HF_SIM_CHECKS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "control/placement_guard.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "sim/checks.h"

#define MS             1000000LL
#define S              (1000 * MS)
#define HOSTS          4
#define VM             0 /* numbers of instances */
#define VM2            1
#define INITIAL        100000 /* a run's time before anything is told */
#define KIND(name)     HOLDFAST__V1__KIND__##name
#define EVIDENCE(name) HOLDFAST__V1__EVIDENCE__KIND__##name
#define END(name)      HOLDFAST__V1__PLACEMENT__END__KIND__##name
#define MOVE(name)     HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__##name
#define POWER(name)    HOLDFAST__V1__POWER_STATE__POWER_##name

struct bench {
    struct sim_checks *c;
    const struct hf_ha_timing *t;
    int64_t now;
    uint64_t revision;
    uint64_t epoch[HOSTS];
    bool no_watchdog, maintenance; /* of the hosts that are told next */
    int takeover;                  /* of the instances that are */
};

static inline struct hf_uuid id(const char *what, unsigned n)
{
    char text[64];
    snprintf(text, sizeof text, "%s/%u", what, n);
    return hf_uuid_of_text(text);
}

static inline struct hf_uuid host_id(unsigned n)
{
    return id("host", n);
}

static inline struct hf_uuid vm_id(unsigned n)
{
    return id("instance", n);
}

static inline struct hf_uuid storage_id(unsigned n)
{
    return id("storage", n);
}

struct text {
    char s[64];
};

static inline struct text text_of(struct hf_uuid u)
{
    struct text t;
    hf_uuid_format(&u, t.s);
    return t;
}

/* --- time and violations --- */

static inline void pass(struct bench *b, int64_t ms)
{
    b->now += ms * MS;
}

/* How many violations of this rule there are. */
static inline size_t count(const struct bench *b, enum sim_rule rule)
{
    const struct sim_violation *v;
    size_t n = sim_checks_violations(b->c, &v), found = 0;
    for (size_t i = 0; i < n; i++)
        found += v[i].rule == rule;
    return found;
}

static inline void assert_fine(const struct bench *b)
{
    const struct sim_violation *v;
    if (sim_checks_violations(b->c, &v) > 0)
        fail_msg("%s: %s", sim_rule_name(v[0].rule), v[0].text);
}

/* This rule alone was broken, once, and the sentence has this in it. */
static inline void assert_only(const struct bench *b, enum sim_rule rule, const char *words)
{
    const struct sim_violation *v;
    size_t n = sim_checks_violations(b->c, &v);
    if (n == 0)
        fail_msg("nothing was found");
    if (n > 1)
        fail_msg("also found: %s: %s (and %s: %s)", sim_rule_name(v[1].rule), v[1].text,
                 sim_rule_name(v[0].rule), v[0].text);
    if (v[0].rule != rule || strstr(v[0].text, words) == NULL)
        fail_msg("found %s: %s", sim_rule_name(v[0].rule), v[0].text);
    assert_int_equal(v[0].at_ns, b->now);
}

/* --- the store --- */

/* The same revision as the last one, at node 0. */
static inline void tell_too(struct bench *b, uint32_t kind, struct hf_uuid uuid, const ProtobufCMessage *m)
{
    size_t len = m != NULL ? protobuf_c_message_get_packed_size(m) : 0;
    uint8_t *bytes = m != NULL ? malloc(len + 1) : NULL;
    if (bytes != NULL)
        protobuf_c_message_pack(m, bytes);
    sim_checks_applied(b->c, b->now, 0, b->revision, kind, &uuid, bytes, len);
    free(bytes);
}

static inline void tell(struct bench *b, uint32_t kind, struct hf_uuid uuid, const ProtobufCMessage *m)
{
    b->revision++;
    tell_too(b, kind, uuid, m);
}

/* Ends the last transaction: what is judged as a whole is. */
static inline void tell_nothing(struct bench *b)
{
    Holdfast__V1__Zone z = HOLDFAST__V1__ZONE__INIT;
    tell(b, KIND(ZONE), id("zone", 0), &z.base);
}

static inline void tell_host_as(struct bench *b, unsigned n, Holdfast__V1__HostStatus__State state,
                                bool same_txn)
{
    struct text uuid = text_of(host_id(n)), name;
    snprintf(name.s, sizeof name.s, "host-%u", n + 1);
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__HostSpec spec = HOLDFAST__V1__HOST_SPEC__INIT;
    Holdfast__V1__HostSpec__Drain drain = HOLDFAST__V1__HOST_SPEC__DRAIN__INIT;
    Holdfast__V1__HostStatus status = HOLDFAST__V1__HOST_STATUS__INIT;
    Holdfast__V1__Host h = HOLDFAST__V1__HOST__INIT;
    meta.uuid = uuid.s;
    meta.name = name.s;
    status.state = state;
    status.epoch = b->epoch[n];
    status.cpus = 4;
    status.memory_bytes = 8ULL << 30;
    status.watchdog = (char *)(b->no_watchdog ? "none" : "hardware");
    h.meta = &meta;
    drain.purpose = HOLDFAST__V1__HOST_SPEC__DRAIN__PURPOSE__MAINTENANCE;
    spec.drain = b->maintenance ? &drain : NULL;
    h.spec = &spec;
    h.status = &status;
    if (same_txn)
        tell_too(b, KIND(HOST), host_id(n), &h.base);
    else
        tell(b, KIND(HOST), host_id(n), &h.base);
}

static inline void tell_host(struct bench *b, unsigned n, bool connected)
{
    tell_host_as(b, n,
                 connected ? HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED
                           : HOLDFAST__V1__HOST_STATUS__STATE__DISCONNECTED,
                 false);
}

static inline void tell_storage(struct bench *b, unsigned n, bool shared)
{
    struct text name;
    snprintf(name.s, sizeof name.s, "shared%u", n);
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__PrimaryStorageSpec spec = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__INIT;
    Holdfast__V1__PrimaryStorage s = HOLDFAST__V1__PRIMARY_STORAGE__INIT;
    meta.name = name.s;
    spec.type = shared ? HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__SHARED_MOUNT_POINT
                       : HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE;
    s.meta = &meta;
    s.spec = &spec;
    tell(b, KIND(PRIMARY_STORAGE), storage_id(n), &s.base);
}

static inline void tell_group(struct bench *b, bool together, bool hard)
{
    Holdfast__V1__AffinityGroupSpec spec = HOLDFAST__V1__AFFINITY_GROUP_SPEC__INIT;
    Holdfast__V1__AffinityGroup g = HOLDFAST__V1__AFFINITY_GROUP__INIT;
    spec.policy = together ? HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__AFFINITY
                           : HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__ANTI_AFFINITY;
    spec.hard = hard;
    g.spec = &spec;
    tell(b, KIND(AFFINITY_GROUP), id("group", 0), &g.base);
}

/* An instance: NeverStop, wanted running, on shared storage 0, but for what is changed. */
struct vm {
    unsigned n, host; /* host: of the placement */
    uint64_t epoch, run;
    int end; /* of the placement; 0: open */
    int power;
    bool deleting, no_ha;
    unsigned storage;
    const char *ip;
    uint32_t failures;
    unsigned end_host;
    bool apart; /* in group 0 */
    int priority;
    /* its migration, to that host in its present epoch; phase 0: none */
    int move_phase;
    unsigned move_host;
    uint64_t move_run;
    bool handed_over; /* the source's word */
};

static inline struct vm vm_on(const struct bench *b, unsigned n, unsigned host, uint64_t run)
{
    return (struct vm){
        .n = n, .host = host, .epoch = b->epoch[host], .run = run, .power = POWER(RUNNING), .end_host = host};
}

static inline void tell_vm_as(struct bench *b, struct vm v, bool same_txn)
{
    struct text uuid = text_of(vm_id(v.n)), name, host = text_of(host_id(v.host)), storage,
                end_host = text_of(host_id(v.end_host));
    storage = text_of(storage_id(v.storage));
    snprintf(name.s, sizeof name.s, "vm-%u", v.n);
    struct text group = text_of(id("group", 0));
    char *storages[] = {storage.s}, *groups[] = {group.s};
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__InstanceSpec spec = HOLDFAST__V1__INSTANCE_SPEC__INIT;
    Holdfast__V1__InstanceStatus status = HOLDFAST__V1__INSTANCE_STATUS__INIT;
    Holdfast__V1__Nic nic = HOLDFAST__V1__NIC__INIT, *nics[] = {&nic};
    Holdfast__V1__Placement p = HOLDFAST__V1__PLACEMENT__INIT;
    Holdfast__V1__Placement__End end = HOLDFAST__V1__PLACEMENT__END__INIT, word = end;
    Holdfast__V1__Placement__Migration move = HOLDFAST__V1__PLACEMENT__MIGRATION__INIT;
    struct text move_host = text_of(host_id(v.move_host));
    Holdfast__V1__Instance i = HOLDFAST__V1__INSTANCE__INIT;
    meta.uuid = uuid.s;
    meta.name = name.s;
    spec.power = (Holdfast__V1__PowerState)v.power;
    spec.ha_level = v.no_ha ? HOLDFAST__V1__HA_LEVEL__HA_NONE : HOLDFAST__V1__HA_LEVEL__NEVER_STOP;
    spec.deleting = v.deleting;
    spec.restart_priority = (Holdfast__V1__InstanceSpec__RestartPriority)v.priority;
    spec.takeover = (Holdfast__V1__Takeover)b->takeover;
    spec.cpus = 1;
    spec.memory_bytes = 1ULL << 30;
    spec.storage_uuids = storages;
    spec.n_storage_uuids = 1;
    spec.affinity_group_uuids = groups;
    spec.n_affinity_group_uuids = v.apart;
    status.start_failures = v.failures;
    if (v.ip != NULL) {
        nic.ip = (char *)v.ip;
        nic.l3_network_uuid = (char *)"net";
        spec.nics = nics;
        spec.n_nics = 1;
    }
    i.meta = &meta;
    i.spec = &spec;
    i.status = &status;
    if (v.run > 0) {
        p.host_uuid = host.s;
        p.epoch = v.epoch;
        p.run = v.run;
        i.placement = &p;
    }
    if (v.end != 0) {
        end.kind = (Holdfast__V1__Placement__End__Kind)v.end;
        end.host_uuid = end_host.s;
        end.epoch = v.epoch;
        end.run = v.run;
        p.end = &end;
    }
    if (v.move_phase != 0) {
        move.phase = (Holdfast__V1__Placement__Migration__Phase)v.move_phase;
        move.target_host_uuid = move_host.s;
        move.target_epoch = b->epoch[v.move_host];
        move.run = v.move_run;
        word.kind = END(HANDED_OVER);
        move.end = v.handed_over ? &word : NULL;
        p.migration = &move;
    }
    if (same_txn)
        tell_too(b, KIND(INSTANCE), vm_id(v.n), &i.base);
    else
        tell(b, KIND(INSTANCE), vm_id(v.n), &i.base);
}

static inline void tell_vm(struct bench *b, struct vm v)
{
    tell_vm_as(b, v, false);
}

/* A fence of the host's present epoch, with one piece of evidence (kind 0: none yet) about storage 0. */
static inline void tell_fence(struct bench *b, unsigned host, int kind, const char *reason, bool same_txn)
{
    struct text uuid = text_of(host_id(host)), storage = text_of(storage_id(0));
    char *storages[] = {storage.s};
    Holdfast__V1__Fence f = HOLDFAST__V1__FENCE__INIT;
    Holdfast__V1__Evidence e = HOLDFAST__V1__EVIDENCE__INIT, *list[] = {&e};
    f.host_uuid = uuid.s;
    f.epoch = b->epoch[host];
    f.reason = (char *)reason;
    if (kind != 0) {
        e.kind = (Holdfast__V1__Evidence__Kind)kind;
        e.host_uuid = uuid.s;
        e.epoch = f.epoch;
        e.storage_uuids = storages;
        e.n_storage_uuids = 1;
        e.silent_ms = e.required_ms = kind == (int)EVIDENCE(SILENCE) ? b->t->silence_ms : 0;
        f.evidence = list;
        f.n_evidence = 1;
    }
    struct hf_uuid fence = hf_fence_uuid(uuid.s, f.epoch);
    if (same_txn)
        tell_too(b, KIND(FENCE), fence, &f.base);
    else
        tell(b, KIND(FENCE), fence, &f.base);
}

/* --- the cloud --- */

static inline void copy(struct bench *b, unsigned host, unsigned vm, uint64_t run, bool runs)
{
    struct hf_uuid u = vm_id(vm);
    sim_checks_copy(b->c, b->now, host, &u, run, runs);
}

static inline void renew(struct bench *b, unsigned host)
{
    struct hf_uuid u = storage_id(0);
    sim_checks_renewed(b->c, b->now, host, &u, b->now - 10 * MS);
}

/* Four healthy hosts in epoch 1, one shared storage, and one instance that executes as run 1 on host 0. */
static inline void set_up(struct bench *b)
{
    *b = (struct bench){.t = hf_ha_timing_find("fast"), .now = INITIAL * S};
    b->c = sim_checks_create(b->t, NULL, NULL);
    tell_storage(b, 0, true);
    for (unsigned n = 0; n < HOSTS; n++) {
        struct hf_uuid u = host_id(n);
        sim_checks_name_host(b->c, n, &u);
        tell_host(b, n, false);
        b->epoch[n] = 1;
        tell_host(b, n, true);
    }
    tell_vm(b, (struct vm){.n = VM, .power = POWER(RUNNING)});
    tell_vm(b, vm_on(b, VM, 0, 1));
    pass(b, 500);
    copy(b, 0, VM, 1, true);
    pass(b, 60000);
}

static inline void tear_down(struct bench *b)
{
    sim_checks_free(b->c);
}

/* The run's end is committed, and the next one placed. */
static inline void stopped_and_placed(struct bench *b, unsigned from, unsigned to, uint64_t run)
{
    struct vm v = vm_on(b, VM, from, run);
    v.end = END(STOPPED);
    tell_vm(b, v);
    tell_vm(b, vm_on(b, VM, to, run + 1));
}

static inline void silenced_and_placed(struct bench *b, unsigned from, unsigned to, uint64_t run)
{
    tell_fence(b, from, 0, "", false);
    tell_fence(b, from, EVIDENCE(SILENCE), "", false);
    struct vm v = vm_on(b, VM, from, run);
    v.end = END(FENCED);
    tell_vm(b, v);
    tell_vm(b, vm_on(b, VM, to, run + 1));
}

/* A test that has a bench. */
#define BENCH_TEST(name)                                                                                     \
    static void name##_on(struct bench *b);                                                                  \
    static void name(void **state)                                                                           \
    {                                                                                                        \
        (void)state;                                                                                         \
        struct bench b;                                                                                      \
        set_up(&b);                                                                                          \
        name##_on(&b);                                                                                       \
        tear_down(&b);                                                                                       \
    }                                                                                                        \
    static void name##_on(struct bench *b)

#endif
