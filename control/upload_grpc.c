#include "control/upload_grpc.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/mem.h"
#include "control/kinds.h"
#include "control/upload_record.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"

/* One question; it outlives a host that hangs up. */
struct reading {
    struct hf_grpc_call *call; /* NULL: nobody waits for the answer */
    uint64_t total_bytes;
    bool answered;
};

static void settle(struct reading *r)
{
    if (r->call == NULL && r->answered)
        free(r);
}

static void closed_cb(struct hf_grpc_call *call, bool cancelled)
{
    (void)cancelled;
    struct reading *r = hf_grpc_call_data(call);
    if (r == NULL)
        return;
    r->call = NULL;
    settle(r);
}

static void answer(void *arg, hf_status st, const void *data, size_t len)
{
    struct reading *r = arg;
    Holdfast__V1__ReadUploadResponse m = HOLDFAST__V1__READ_UPLOAD_RESPONSE__INIT;
    if (r->call != NULL && hf_ok(st)) {
        m.data = (ProtobufCBinaryData){len, (uint8_t *)data};
        m.total_bytes = r->total_bytes;
        hf_grpc_send(r->call, &m.base);
    }
    if (r->call != NULL)
        hf_grpc_finish(r->call, hf_status_copy(st));
    r->answered = true;
    settle(r);
}

/* The host is one of this cloud: who has the secret is the host. */
static hf_status check_host(const struct hf_store *s, const Holdfast__V1__ReadUploadRequest *q)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    Holdfast__V1__Host *h =
        (Holdfast__V1__Host *)(void *)hf_object_find(s, HOLDFAST__V1__KIND__HOST, q->host_uuid, NULL);
    SHA256(q->secret.data, q->secret.len, hash);
    bool known = h != NULL && h->spec->key_sha256.len == sizeof hash &&
                 CRYPTO_memcmp(h->spec->key_sha256.data, hash, sizeof hash) == 0;
    if (h != NULL)
        holdfast__v1__host__free_unpacked(h, NULL);
    return known ? HF_STATUS_OK
                 : hf_error(HF_DENIED, "no host '%s' with this secret was added", q->host_uuid);
}

static hf_status find_file(const struct hf_control *c, const Holdfast__V1__ReadUploadRequest *q,
                           struct hf_upload_file *ret)
{
    struct hf_replica_state state;
    const struct hf_store *s = hf_control_store(c);
    hf_replica_state(c->replica, &state);
    if (c->uploads == NULL)
        return hf_error(HF_UNAVAILABLE, "this control node keeps no uploads now");
    HF_TRY(check_host(s, q));
    return hf_upload_record_find(s, q->image_uuid, state.id, ret);
}

static void message_cb(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    struct hf_control *c = hf_grpc_call_user(call);
    const Holdfast__V1__ReadUploadRequest *q = (const Holdfast__V1__ReadUploadRequest *)(const void *)m;
    struct hf_upload_file file;
    hf_status st = find_file(c, q, &file);
    uint64_t offset = q->offset;
    protobuf_c_message_free_unpacked(m, NULL);
    if (!hf_ok(st)) {
        hf_grpc_finish(call, hf_wrap(st, "read an upload"));
        return;
    }
    struct reading *r = HF_NEW(struct reading);
    r->call = call;
    r->total_bytes = file.total_bytes;
    hf_grpc_call_set_data(call, r);
    c->uploads->ops->read(c->uploads, &file, offset, answer, r);
}

void hf_upload_register(struct hf_grpc_server *server, struct hf_control *control)
{
    static const struct hf_grpc_handler handler = {.message = message_cb, .closed = closed_cb};
    hf_grpc_server_add(server, &holdfast__v1__host_link_service__descriptor, "ReadUpload", &handler, control);
}
