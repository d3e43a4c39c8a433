#include "control/fence_object.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "control/kinds.h"
#include "control/timeline.h"

Holdfast__V1__Fence *hf_fence_find(const struct hf_store *s, const char *host_uuid, uint64_t epoch)
{
    struct hf_uuid uuid = hf_fence_uuid(host_uuid, epoch);
    char text[HF_UUID_STR];
    return (Holdfast__V1__Fence *)(void *)hf_object_find(s, HOLDFAST__V1__KIND__FENCE,
                                                         hf_uuid_format(&uuid, text), NULL);
}

Holdfast__V1__Fence *hf_fence_new(struct hf_env *env, const char *host_uuid, uint64_t epoch,
                                  const char *reason, const char *by)
{
    Holdfast__V1__Fence *f = HF_NEW(Holdfast__V1__Fence);
    holdfast__v1__fence__init(f);
    f->meta = HF_NEW(Holdfast__V1__Meta);
    holdfast__v1__meta__init(f->meta);

    char name[HF_FENCE_NAME_MAX], text[HF_UUID_STR];
    struct hf_uuid uuid = hf_fence_uuid(host_uuid, epoch);
    hf_pb_set(&f->meta->uuid, hf_uuid_format(&uuid, text));
    hf_pb_set(&f->meta->name, hf_fence_name(host_uuid, epoch, name));
    f->meta->created_at_ms = hf_env_wall_ms(env);
    hf_pb_set(&f->host_uuid, host_uuid);
    f->epoch = epoch;
    hf_pb_set(&f->reason, reason);
    hf_timeline_add(&f->timeline, &f->n_timeline, f->meta->created_at_ms, by, "fenced epoch %" PRIu64 ": %s",
                    epoch, reason);
    return f;
}

Holdfast__V1__Evidence *hf_fence_add_evidence(Holdfast__V1__Fence *f, struct hf_env *env,
                                              Holdfast__V1__Evidence__Kind kind, const char *detail,
                                              const char *by)
{
    Holdfast__V1__Evidence *e = HF_NEW(Holdfast__V1__Evidence);
    holdfast__v1__evidence__init(e);
    e->kind = kind;
    hf_pb_set(&e->host_uuid, f->host_uuid);
    e->epoch = f->epoch;
    hf_pb_set(&e->detail, detail);
    e->recorded_at_ms = hf_env_wall_ms(env);
    f->evidence = hf_realloc_array(f->evidence, f->n_evidence + 1, sizeof *f->evidence);
    f->evidence[f->n_evidence++] = e;
    hf_timeline_add(&f->timeline, &f->n_timeline, e->recorded_at_ms, by, "proof of %s: %s",
                    hf_evidence_kind_text(kind), detail);
    return e;
}

void hf_evidence_add_storage(Holdfast__V1__Evidence *e, const char *storage_uuid)
{
    for (size_t i = 0; i < e->n_storage_uuids; i++)
        if (strcmp(e->storage_uuids[i], storage_uuid) == 0)
            return;
    e->storage_uuids = hf_realloc_array(e->storage_uuids, e->n_storage_uuids + 1, sizeof *e->storage_uuids);
    e->storage_uuids[e->n_storage_uuids++] = hf_strdup(storage_uuid);
}

const char *hf_evidence_kind_text(Holdfast__V1__Evidence__Kind kind)
{
    switch (kind) {
    case HOLDFAST__V1__EVIDENCE__KIND__CLOSED_AND_KILLED:
        return "closed and killed";
    case HOLDFAST__V1__EVIDENCE__KIND__SILENCE:
        return "silence";
    case HOLDFAST__V1__EVIDENCE__KIND__NEXT_EPOCH:
        return "next epoch";
    case HOLDFAST__V1__EVIDENCE__KIND__OPERATOR:
        return "operator";
    case HOLDFAST__V1__EVIDENCE__KIND__POWER_OFF:
        return "power off";
    case HOLDFAST__V1__EVIDENCE__KIND__BLOCKLIST:
        return "blocklist";
    default:
        return "unknown";
    }
}
