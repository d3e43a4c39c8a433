#include "control/fence_confirm.h"

#include <inttypes.h>

#include "control/fence_object.h"
#include "control/host_link.h"
#include "control/kinds.h"

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
        f = hf_fence_new(c->env, h->meta->uuid, present, "an operator confirmed that the host is off",
                         "operator");
    if (!has_operators_word(f))
        hf_fence_add_evidence(f, c->env, HOLDFAST__V1__EVIDENCE__KIND__OPERATOR, statement, "operator");
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
