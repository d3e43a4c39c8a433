/* The upload of an image's file. The leader writes down which control node keeps it; the parts go to that
 * node, past the log; then a host is to fetch it from there (image_upload.c). */
#include "control/api_image_upload.h"

#include <inttypes.h>

#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_operation.h"
#include "control/conditions.h"
#include "control/upload_record.h"

typedef Holdfast__V1__Image Image;
typedef Holdfast__V1__ImageUpload Upload;

#define STATE(x) HOLDFAST__V1__IMAGE_STATUS__STATE__##x

hf_status hf_image_upload_check(const Image *image)
{
    if (image->spec->url[0] != '\0')
        return hf_error(HF_INVALID,
                        "spec.url and spec.upload_bytes: the file comes from the one or by the other");
    if (image->spec->image_server_uuid[0] == '\0')
        return hf_error(
            HF_INVALID,
            "spec.image_server_uuid is missing: nothing else keeps an uploaded file. Name an image "
            "server, or put the file where storages can fetch it and give its URL");
    if (image->spec->upload_bytes > HF_UPLOAD_BYTES_MAX)
        return hf_error(HF_INVALID,
                        "spec.upload_bytes: %" PRIu64
                        " are more than the %llu that an uploaded file may have",
                        image->spec->upload_bytes, (unsigned long long)HF_UPLOAD_BYTES_MAX);
    return HF_STATUS_OK;
}

/* --- begin --- */

struct search {
    uint64_t id;
    bool found;
};

static void compare_member(void *arg, uint64_t id, const char *raft_address)
{
    struct search *s = arg;
    (void)raft_address;
    s->found |= id == s->id;
}

static bool is_member(struct hf_api *api, uint64_t id)
{
    struct search s = {id, false};
    api->plugs.members->each(api->plugs.members_arg, compare_member, &s);
    return s.found;
}

static uint64_t own_id(const struct hf_api_call *c)
{
    struct hf_replica_state state;
    hf_replica_state(c->api->control->replica, &state);
    return state.id;
}

static void free_upload(Image *m)
{
    if (m->status->upload != NULL)
        holdfast__v1__image_upload__free_unpacked(m->status->upload, NULL);
    m->status->upload = NULL;
}

/* A new upload is kept by the node that leads now, and stays there when another one leads. */
static void have_upload(struct hf_api_call *c, Image *m, uint64_t lost_node_id)
{
    const Upload *u = m->status->upload;
    if (u != NULL && u->node_id != own_id(c) &&
        (u->node_id == lost_node_id || !is_member(c->api, u->node_id)))
        free_upload(m);
    if (m->status->upload != NULL && m->status->state != STATE(FAILED))
        return;
    free_upload(m);
    m->status->state = STATE(UPLOADING);
    m->status->upload = HF_NEW(Upload);
    holdfast__v1__image_upload__init(m->status->upload);
    m->status->upload->node_id = own_id(c);
}

static hf_status check_state(const Image *m)
{
    if (m->spec->upload_bytes == 0)
        return hf_error(HF_PRECONDITION, "its file is fetched from a URL, not uploaded");
    if (m->status->state == STATE(READY))
        return hf_error(HF_PRECONDITION, "it is there already");
    return HF_STATUS_OK;
}

static hf_status begin(struct hf_draft *d, Image *m)
{
    const Holdfast__V1__BeginImageUploadRequest *r =
        (const Holdfast__V1__BeginImageUploadRequest *)d->call->request;
    HF_TRY(check_state(m));
    have_upload(d->call, m, r->lost_node_id);
    Upload *u = m->status->upload;
    const char *address = hf_api_address_of(d->call->api, u->node_id);
    if (address == NULL)
        return hf_error(HF_UNAVAILABLE, "the API address of control node %" PRIu64 " is not known",
                        u->node_id);
    hf_pb_set(&u->address, address);
    u->bytes = r->bytes < m->spec->upload_bytes ? r->bytes : m->spec->upload_bytes;
    u->noted_at_ms = d->wall_ms;
    hf_draft_put_answer(d, &m->base);
    return HF_STATUS_OK;
}

/* What a call makes of the image that it names. */
static hf_status change_image(struct hf_api_call *c, const struct hf_store *s, struct hf_txn *t,
                              const char *uuid, hf_status (*change)(struct hf_draft *d, Image *m))
{
    struct hf_draft d = hf_draft_begin(c, s, t);
    hf_status st = HF_STATUS_OK;
    Image *m = (Image *)hf_lookup_message(s, HOLDFAST__V1__KIND__IMAGE, uuid, "", &st);
    if (m == NULL)
        return hf_wrap(st, "upload image");
    st = hf_wrap(change(&d, m), "upload image '%s'", m->meta->name);
    holdfast__v1__image__free_unpacked(m, NULL);
    return st;
}

static hf_status build_begin(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    const Holdfast__V1__BeginImageUploadRequest *r =
        (const Holdfast__V1__BeginImageUploadRequest *)c->request;
    return change_image(c, s, t, r->uuid, begin);
}

void hf_handle_begin_image_upload(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_begin);
}

/* --- the parts --- */

static void put_done(void *arg, hf_status st, const struct hf_upload_state *state)
{
    struct hf_api_call *c = arg;
    Holdfast__V1__PutImageUploadResponse answer = HOLDFAST__V1__PUT_IMAGE_UPLOAD_RESPONSE__INIT;
    if (!hf_ok(st)) {
        hf_call_end(c, hf_wrap(hf_status_copy(st), "upload image"));
        return;
    }
    answer.bytes = state->bytes;
    answer.whole = state->whole;
    hf_call_answer(c, &answer.base);
}

void hf_handle_put_image_upload(struct hf_api_call *c)
{
    Holdfast__V1__PutImageUploadRequest *r = (Holdfast__V1__PutImageUploadRequest *)c->request;
    struct hf_upload_keeper *k = c->api->control->uploads;
    struct hf_upload_file file;
    hf_status st = HF_STATUS_OK;
    if (k == NULL || c->api->shut)
        st = hf_error(HF_UNAVAILABLE, "this control node keeps no uploads now");
    if (hf_ok(st))
        st = hf_upload_record_find(hf_call_store(c), r->uuid, own_id(c), &file);
    if (!hf_ok(st)) {
        hf_call_end(c, hf_wrap(st, "upload image"));
        return;
    }
    uint8_t *data = r->data.data; /* not copied: the keeper has it from now on */
    size_t len = r->data.len;
    r->data = (ProtobufCBinaryData){0};
    k->ops->put(k, &file, r->offset, data, len, put_done, c);
}

/* --- the end --- */

static hf_status finish(struct hf_draft *d, Image *m)
{
    HF_TRY(m->status->state == STATE(READY) ? HF_STATUS_OK : check_state(m));
    if (m->status->state != STATE(READY) && (m->status->upload == NULL || m->status->state == STATE(FAILED)))
        return hf_error(HF_PRECONDITION, "nothing of its file is there: begin with it");
    if (m->status->state == STATE(UPLOADING)) {
        m->status->state = STATE(FETCHING);
        hf_condition_clear(&m->status->conditions, &m->status->n_conditions, HF_CONDITION_FETCH);
        m->status->upload->bytes = m->spec->upload_bytes;
        m->status->upload->noted_at_ms = d->wall_ms;
        hf_txn_put_message(d->txn, hf_call_env(d->call), &m->base);
    }
    struct hf_operation_target target = {HOLDFAST__V1__KIND__IMAGE, m->meta->uuid, m->meta->name, 0};
    hf_draft_operation(d, 0, "UploadImage", &target, "waiting for a host to fetch it", false);
    return HF_STATUS_OK;
}

static hf_status build_finish(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    const Holdfast__V1__FinishImageUploadRequest *r =
        (const Holdfast__V1__FinishImageUploadRequest *)c->request;
    return change_image(c, s, t, r->uuid, finish);
}

void hf_handle_finish_image_upload(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_finish);
}
