/* The life of one migration as pure steps on its instance (docs/migration.md): what the reports of its two
 * ends, the fences against them and a wish to call it off make of it. Each step is committed before the next
 * order rests on it.
 */
#ifndef HF_CONTROL_MIGRATION_STEP_H
#define HF_CONTROL_MIGRATION_STEP_H

#include "base/status.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"

#define HF_CONDITION_MIGRATION  "Migration" /* why the last migration failed; the instance runs on */
#define HF_MIGRATION_PREPARE_MS 60000       /* the target's networks and storages take no longer */
#define HF_MIGRATION_PERCENT    5           /* its progress is told in steps of so much */

struct hf_migration_facts {
    int64_t wall_ms;
    int64_t timeout_ms; /* of the whole */
    /* The hosts' last words about the two copies, or NULL. */
    const Holdfast__V1__InstanceReport *source, *target;
    const char *target_name;           /* of the host */
    bool source_fenced, target_fenced; /* the fence of that life is committed */
    bool target_lost;                  /* no contact with it */
    /* The target's life is proven over, as far as this instance goes; its fence, or "" for a later epoch. */
    bool target_proven;
    const char *target_fence_uuid;
    bool wanted_off; /* it is to be stopped or deleted */
    bool cancelled;  /* by the operation that asked for it */
};

/* What the two hosts are told. */
struct hf_migration_orders {
    bool go;   /* the source: begin */
    bool drop; /* the target: kill and tombstone the copy */
};

/* May it be migrated at all? PRECONDITION says why not. */
hf_status hf_migration_check(const Holdfast__V1__Instance *i) HF_MUST_USE;

/* The intent: both ends, and a run for the copy. */
void hf_migration_open_intent(Holdfast__V1__Instance *i, const char *target_host_uuid, uint64_t target_epoch,
                              int64_t wall_ms);

/* With an open migration: takes in what is known. True: something changed. */
bool hf_migration_follow(Holdfast__V1__Instance *i, const struct hf_migration_facts *f);

/* What may be ordered by what is committed and was said. */
struct hf_migration_orders hf_migration_orders(const Holdfast__V1__Instance *i,
                                               const struct hf_migration_facts *f);

/* How long until its present deadline; at least 1. */
int64_t hf_migration_due_ms(const Holdfast__V1__Instance *i, const struct hf_migration_facts *f);

#endif
