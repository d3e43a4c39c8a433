#include "control/image_upload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/conditions.h"

typedef Holdfast__V1__Image Image;

#define HOW "'holdfast image upload'"

/* When it was last heard of. */
static int64_t noted_ms(const Image *m)
{
    return m->status->upload != NULL ? m->status->upload->noted_at_ms : m->meta->created_at_ms;
}

/* "37 % of 4096 MiB have arrived at control node 2". */
static char *progress(const Image *m)
{
    const Holdfast__V1__ImageUpload *u = m->status->upload;
    uint64_t total = m->spec->upload_bytes;
    if (u == NULL)
        return hf_strdup("nothing of its file has arrived");
    return hf_printf("%.0f %% of %" PRIu64 " MiB have arrived at control node %" PRIu64,
                     (double)u->bytes * 100 / (double)total, (total + (1 << 20) - 1) >> 20, u->node_id);
}

static char *sentence(const Image *m, bool silent, bool expired)
{
    char *so_far = progress(m), *text;
    if (expired)
        text =
            hf_printf("%s, then nothing for an hour: what was there is thrown away; upload it again with " HOW
                      ", or delete the image",
                      so_far);
    else if (silent)
        text = hf_printf(
            "%s, and nothing comes any more: " HOW " goes on with it; after an hour it is given up", so_far);
    else
        text = hf_strdup(so_far);
    free(so_far);
    return text;
}

void hf_image_upload_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    const Image *m = (const Image *)(const void *)o->message;
    int64_t now = hf_controllers_wall_ms(c), age = now - noted_ms(m);
    bool silent = age >= HF_UPLOAD_SILENT_MS, expired = age >= HF_UPLOAD_EXPIRES_MS;
    struct hf_edit *e = hf_edit_create(&c->editor, "note the upload of image '%s'", m->meta->name);
    Holdfast__V1__ImageStatus *st = ((Image *)hf_edit_change(e, o))->status;
    char *text = sentence(m, silent, expired);
    bool changed = hf_condition_set(&st->conditions, &st->n_conditions, HF_CONDITION_FETCH, false, text, now);
    free(text);
    if (expired) {
        st->state = HOLDFAST__V1__IMAGE_STATUS__STATE__FAILED;
        hf_image_upload_end(st);
    } else {
        hf_controllers_wake(c, o, (silent ? HF_UPLOAD_EXPIRES_MS : HF_UPLOAD_SILENT_MS) - age);
    }
    if (changed || expired)
        hf_edit_commit(e, NULL, NULL);
    else
        hf_edit_drop(e);
}

void hf_image_upload_end(Holdfast__V1__ImageStatus *st)
{
    if (st->upload != NULL)
        holdfast__v1__image_upload__free_unpacked(st->upload, NULL);
    st->upload = NULL;
}

char *hf_image_upload_url(const Image *m)
{
    const Holdfast__V1__ImageUpload *u = m->status != NULL ? m->status->upload : NULL;
    return u != NULL ? hf_printf("upload://%s/%s", u->address, m->meta->uuid) : NULL;
}
