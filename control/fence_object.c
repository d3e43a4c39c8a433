#include "control/fence_object.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "control/host_link.h"
#include "control/kinds.h"

Holdfast__V1__Fence *hf_fence_find(const struct hf_store *s, const char *host_uuid, uint64_t epoch)
{
    struct hf_uuid uuid = hf_fence_uuid(host_uuid, epoch);
    char text[HF_UUID_STR];
    return (Holdfast__V1__Fence *)(void *)hf_object_find(s, HOLDFAST__V1__KIND__FENCE,
                                                         hf_uuid_format(&uuid, text), NULL);
}

Holdfast__V1__Fence *hf_fence_new(struct hf_env *env, const char *host_uuid, uint64_t epoch,
                                  const char *reason)
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
    return f;
}

Holdfast__V1__Evidence *hf_fence_add_evidence(Holdfast__V1__Fence *f, struct hf_env *env,
                                              Holdfast__V1__Evidence__Kind kind, const char *detail)
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
    default:
        return "unknown";
    }
}

static bool has_operators_word(const Holdfast__V1__Fence *f)
{
    for (size_t i = 0; i < f->n_evidence; i++)
        if (f->evidence[i]->kind == HOLDFAST__V1__EVIDENCE__KIND__OPERATOR)
            return true;
    return false;
}

static hf_status confirm_down(struct hf_control *c, const struct hf_store *s, struct hf_txn *t,
                              const Holdfast__V1__Host *h, uint64_t epoch, const char *statement)
{
    uint64_t present = h->status != NULL ? h->status->epoch : 0;
    if (present == 0)
        return hf_error(HF_PRECONDITION, "confirm host '%s' down: it never ran anything (it has no epoch)",
                        h->meta->name);
    if (epoch != 0 && epoch != present)
        return hf_error(HF_PRECONDITION, "confirm host '%s' down: it lives epoch %" PRIu64 ", not %" PRIu64,
                        h->meta->name, present, epoch);
    if (statement == NULL || statement[0] == '\0')
        return hf_error(HF_INVALID, "confirm host '%s' down: a statement is needed, for the record",
                        h->meta->name);
    struct hf_host_contact contact;
    if (c->host_link != NULL && hf_host_link_contact(c->host_link, h->meta->uuid, &contact) &&
        contact.attached && contact.fresh)
        return hf_error(HF_PRECONDITION,
                        "confirm host '%s' down: it is up and has contact with the control plane",
                        h->meta->name);

    Holdfast__V1__Fence *f = hf_fence_find(s, h->meta->uuid, present);
    if (f == NULL)
        f = hf_fence_new(c->env, h->meta->uuid, present, "an operator confirmed that the host is off");
    if (!has_operators_word(f))
        hf_fence_add_evidence(f, c->env, HOLDFAST__V1__EVIDENCE__KIND__OPERATOR, statement);
    hf_txn_put_message(t, c->env, &f->base);
    hf_txn_answer_last_put(t);
    holdfast__v1__fence__free_unpacked(f, NULL);
    return HF_STATUS_OK;
}

hf_status hf_fence_confirm_down(struct hf_control *c, const struct hf_store *s, struct hf_txn *t,
                                const char *host_uuid, uint64_t epoch, const char *statement)
{
    Holdfast__V1__Host *h =
        (Holdfast__V1__Host *)(void *)hf_object_find(s, HOLDFAST__V1__KIND__HOST, host_uuid, NULL);
    if (h == NULL)
        return hf_error(HF_NOT_FOUND, "confirm host down: there is no host '%s'",
                        host_uuid != NULL ? host_uuid : "");
    hf_status st = confirm_down(c, s, t, h, epoch, statement);
    holdfast__v1__host__free_unpacked(h, NULL);
    return st;
}
