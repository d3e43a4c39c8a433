#include "control/upload_record.h"

#include <inttypes.h>
#include <stdio.h>

#include "control/kinds.h"
#include "holdfast/v1/storage.pb-c.h"

#define STATE(x) HOLDFAST__V1__IMAGE_STATUS__STATE__##x

static hf_status check(const Holdfast__V1__Image *m, uint64_t node_id)
{
    const Holdfast__V1__ImageStatus *st = m->status;
    bool wanted =
        st != NULL && st->upload != NULL && (st->state == STATE(UPLOADING) || st->state == STATE(FETCHING));
    if (!wanted)
        return hf_error(HF_UNAVAILABLE, "no upload of image '%s' is under way", m->meta->name);
    if (st->upload->node_id != node_id)
        return hf_error(HF_UNAVAILABLE,
                        "control node %" PRIu64 " keeps the upload of image '%s', not %" PRIu64,
                        st->upload->node_id, m->meta->name, node_id);
    return HF_STATUS_OK;
}

hf_status hf_upload_record_find(const struct hf_store *s, const char *image_uuid, uint64_t node_id,
                                struct hf_upload_file *ret)
{
    Holdfast__V1__Image *m =
        (Holdfast__V1__Image *)(void *)hf_object_find(s, HOLDFAST__V1__KIND__IMAGE, image_uuid, NULL);
    if (m == NULL)
        return hf_error(HF_NOT_FOUND, "there is no image %s", image_uuid);
    hf_status st = check(m, node_id);
    if (hf_ok(st)) {
        hf_uuid_parse(m->meta->uuid, &ret->image);
        ret->total_bytes = m->spec->upload_bytes;
        snprintf(ret->sha256, sizeof ret->sha256, "%s", m->spec->sha256);
    }
    holdfast__v1__image__free_unpacked(m, NULL);
    return st;
}
