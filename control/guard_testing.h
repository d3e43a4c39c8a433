/* Objects, fences and changes for the tests of the placement guard. */
#ifndef HF_CONTROL_GUARD_TESTING_H
#define HF_CONTROL_GUARD_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/mem.h"
#include "consensus/machine.h"
#include "consensus/store_write.h"
#include "control/placement_guard.h"
#include "holdfast/v1/infra.pb-c.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__Evidence Evidence;
typedef Holdfast__V1__Placement Placement;
typedef Holdfast__V1__Placement__End End;
#define EVIDENCE(name) HOLDFAST__V1__EVIDENCE__KIND__##name
#define END(name)      HOLDFAST__V1__PLACEMENT__END__KIND__##name
#define KIND(name)     HOLDFAST__V1__KIND__##name

#define H1 "11111111111111111111111111111111"
#define H2 "22222222222222222222222222222222"
#define H3 "33333333333333333333333333333333" /* never exists */
#define S1 "51515151515151515151515151515151"
#define S2 "52525252525252525252525252525252"
#define I1 "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"

/* --- objects and changes --- */

static inline struct hf_uuid uuid_of(const char *text)
{
    struct hf_uuid u;
    assert_true(hf_uuid_parse(text, &u));
    return u;
}

static inline struct hf_bytes *packed(const ProtobufCMessage *m)
{
    struct hf_bytes *b = hf_bytes_new(protobuf_c_message_get_packed_size(m));
    protobuf_c_message_pack(m, b->data);
    return b;
}

/* A store that is filled without asking any guard. */
struct bench {
    struct hf_store *store;
    char why[512];
};

static inline void bench_start(struct bench *b)
{
    *b = (struct bench){.store = hf_store_create()};
}

static inline void bench_stop(struct bench *b)
{
    hf_store_free(b->store);
}

static inline void stored(struct bench *b, uint32_t kind, const char *uuid, const char *name,
                          const ProtobufCMessage *m)
{
    struct hf_uuid u = uuid_of(uuid);
    hf_store_put(b->store, kind, &u, name, packed(m), 1);
}

/* Asks the guard about a transaction that changes one object (m NULL: deletes it). */
static inline bool allowed(struct bench *b, uint32_t kind, const char *uuid, const char *name,
                           const ProtobufCMessage *m)
{
    struct hf_uuid u = uuid_of(uuid);
    struct hf_bytes *bytes = m != NULL ? packed(m) : NULL;
    struct hf_change c = {
        .kind = kind,
        .uuid = u,
        .name = m != NULL ? name : NULL,
        .before = hf_store_get_kind(b->store, kind, &u),
        .after = bytes != NULL ? bytes->data : NULL,
        .after_len = bytes != NULL ? bytes->len : 0,
    };
    struct hf_guard_view v = {.store = b->store, .changes = &c, .n_changes = 1};
    b->why[0] = '\0';
    bool ok = hf_placement_guard.allow(&hf_placement_guard, &v, &c, b->why, sizeof b->why);
    assert_true(ok == (b->why[0] == '\0'));
    hf_bytes_unref(bytes);
    return ok;
}

/* Holds the parts of one instance, so that it can be built on the stack. */
struct instance {
    Instance m;
    Holdfast__V1__Meta meta;
    Holdfast__V1__InstanceSpec spec;
    Placement placement;
    End end;
    char *storages[2];
};

static inline ProtobufCMessage *instance(struct instance *i, const char *host, uint64_t epoch, uint64_t run,
                                         const char *storage)
{
    holdfast__v1__instance__init(&i->m);
    holdfast__v1__meta__init(&i->meta);
    holdfast__v1__instance_spec__init(&i->spec);
    holdfast__v1__placement__init(&i->placement);
    holdfast__v1__placement__end__init(&i->end);
    i->m.meta = &i->meta;
    i->m.spec = &i->spec;
    i->meta.uuid = I1;
    i->meta.name = "vm";
    i->storages[0] = (char *)storage;
    i->spec.storage_uuids = i->storages;
    i->spec.n_storage_uuids = 1;
    if (host != NULL) {
        i->m.placement = &i->placement;
        i->placement.host_uuid = (char *)host;
        i->placement.epoch = epoch;
        i->placement.run = run;
    }
    return &i->m.base;
}

static inline void ended(struct instance *i, int kind, const char *host, uint64_t epoch, uint64_t run)
{
    i->placement.end = &i->end;
    i->end.kind = (Holdfast__V1__Placement__End__Kind)kind;
    i->end.host_uuid = (char *)host;
    i->end.epoch = epoch;
    i->end.run = run;
}

static inline void store_host(struct bench *b, const char *uuid, const char *name, uint64_t epoch)
{
    Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
    h.status = &st;
    st.epoch = epoch;
    st.watchdog = "hardware";
    stored(b, KIND(HOST), uuid, name, &h.base);
}

struct fence {
    Fence m;
    Evidence e[3], *list[3];
    char *storages[3];
    char name[HF_FENCE_NAME_MAX], uuid[HF_UUID_STR];
};

static inline ProtobufCMessage *fence(struct fence *f, const char *host, uint64_t epoch)
{
    holdfast__v1__fence__init(&f->m);
    f->m.host_uuid = (char *)host;
    f->m.epoch = epoch;
    f->m.evidence = f->list;
    hf_fence_name(host, epoch, f->name);
    struct hf_uuid u = hf_fence_uuid(host, epoch);
    hf_uuid_format(&u, f->uuid);
    return &f->m.base;
}

static inline Evidence *evidence(struct fence *f, int kind, const char *storage)
{
    size_t i = f->m.n_evidence++;
    Evidence *e = &f->e[i];
    holdfast__v1__evidence__init(e);
    f->list[i] = e;
    e->kind = (Holdfast__V1__Evidence__Kind)kind;
    e->host_uuid = f->m.host_uuid;
    e->epoch = f->m.epoch;
    e->detail = "seen";
    if (kind == (int)EVIDENCE(SILENCE)) {
        e->observer_host_uuid = H2;
        e->required_ms = 20000;
        e->silent_ms = 20001;
        e->marked = 1;
    }
    f->storages[i] = (char *)storage;
    if (storage != NULL) {
        e->storage_uuids = &f->storages[i];
        e->n_storage_uuids = 1;
    }
    return e;
}

#endif
