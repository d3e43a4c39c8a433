#include "storage/rbd_snapshot.h"

hf_status hf_rbd_snapshot(struct hf_rbd_snaps *s, const struct hf_rbd_name *n, const char *snap)
{
    hf_status st = s->ops->create(s, n, snap);
    if (hf_status_code(st) != HF_EXISTS)
        return st;
    hf_status_drop(st); /* its name is nobody else's: an earlier try has made it */
    return HF_STATUS_OK;
}

hf_status hf_rbd_delete_snapshot(struct hf_rbd_snaps *s, const struct hf_rbd_name *n, const char *snap)
{
    hf_status st = s->ops->remove(s, n, snap);
    if (hf_status_code(st) != HF_NOT_FOUND)
        return st;
    hf_status_drop(st);
    return HF_STATUS_OK;
}

static hf_status go_back(struct hf_rbd_snaps *s, const char *snap, uint64_t order)
{
    uint64_t done;
    HF_TRY(s->ops->read_mark(s, &done));
    if (done >= order)
        return HF_STATUS_OK;
    HF_TRY(s->ops->roll_back(s, snap));
    return s->ops->write_mark(s, order);
}

hf_status hf_rbd_revert(struct hf_rbd *r, struct hf_rbd_snaps *s, const struct hf_rbd_name *n,
                        const char *snap, uint64_t order, uint64_t size_bytes)
{
    struct hf_rbd_stat stat;
    HF_TRY(s->ops->hold(s, n));
    hf_status st = go_back(s, snap, order);
    s->ops->release(s);
    if (!hf_ok(st))
        return st;
    HF_TRY(r->ops->stat(r, n, &stat));
    return stat.size_bytes < size_bytes ? r->ops->grow(r, n, size_bytes) : HF_STATUS_OK;
}
