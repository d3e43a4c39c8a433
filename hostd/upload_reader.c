#include "hostd/upload_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/assert.h"
#include "base/mem.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "rpc/grpc_client.h"

#define SCHEME       "upload://"
#define ADDRESS_MAX  256
#define CONNECT_MS   3000
#define KEEPALIVE_MS 5000

struct source {
    struct hf_upload_source source;
    const struct hf_upload_reader *reader;
    char address[ADDRESS_MAX], image[HF_UUID_STR], host[HF_UUID_STR];
    uv_loop_t loop;
    struct hf_grpc_channel *channel;
    /* the last answer */
    bool answered;
    hf_status st;
    Holdfast__V1__ReadUploadResponse *reply;
};

static void forget_answer(struct source *s)
{
    hf_status_drop(s->st);
    s->st = HF_STATUS_OK;
    if (s->reply)
        holdfast__v1__read_upload_response__free_unpacked(s->reply, NULL);
    s->reply = NULL;
    s->answered = false;
}

static void on_message(struct hf_grpc_stream *stream, ProtobufCMessage *m, void *arg)
{
    struct source *s = arg;
    (void)stream;
    HF_ASSERT(!s->reply); /* the method has one answer */
    s->reply = (Holdfast__V1__ReadUploadResponse *)m;
}

static void on_end(struct hf_grpc_stream *stream, hf_status st, void *arg)
{
    struct source *s = arg;
    (void)stream;
    s->answered = true;
    s->st = hf_status_copy(st);
}

static void ask(struct source *s, uint64_t offset, unsigned deadline_ms)
{
    static const struct hf_grpc_stream_handler handler = {.message = on_message, .end = on_end};
    Holdfast__V1__ReadUploadRequest q = HOLDFAST__V1__READ_UPLOAD_REQUEST__INIT;
    q.host_uuid = s->host;
    q.secret = (ProtobufCBinaryData){s->reader->secret_len, (uint8_t *)s->reader->secret};
    q.image_uuid = s->image;
    q.offset = offset;
    struct hf_grpc_stream *stream = hf_grpc_open(s->channel, &holdfast__v1__host_link_service__descriptor,
                                                 "ReadUpload", deadline_ms, &handler, s);
    hf_grpc_stream_send(stream, &q.base);
    hf_grpc_stream_half_close(stream);
    while (!s->answered && uv_run(&s->loop, UV_RUN_ONCE)) {
    }
    HF_ASSERT(s->answered); /* the call has a deadline */
}

static hf_status read_source(struct hf_upload_source *source, uint64_t offset, unsigned deadline_ms,
                             const void **ret_data, size_t *ret_len, uint64_t *ret_total_bytes)
{
    struct source *s = hf_container_of(source, struct source, source);
    forget_answer(s);
    ask(s, offset, deadline_ms);
    if (hf_ok(s->st) && !s->reply)
        return hf_error(HF_UNAVAILABLE, "control node %s gave no answer", s->address);
    if (!hf_ok(s->st))
        return hf_wrap(
            hf_status_copy(s->st),
            "control node %s, which keeps the uploaded file (should it be lost there, upload it again "
            "with 'holdfast image upload')",
            s->address);
    *ret_data = s->reply->data.data;
    *ret_len = s->reply->data.len;
    *ret_total_bytes = s->reply->total_bytes;
    return HF_STATUS_OK;
}

static void close_source(struct hf_upload_source *source)
{
    struct source *s = hf_container_of(source, struct source, source);
    forget_answer(s);
    hf_grpc_channel_close(s->channel);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    HF_ASSERT(uv_loop_close(&s->loop) == 0);
    free(s);
}

static const struct hf_upload_source_ops source_ops = {read_source, close_source};

/* "upload://HOST:PORT/IMAGE" */
static bool parse_url(struct source *s, const char *url)
{
    const char *address = url + strlen(SCHEME), *slash = strrchr(address, '/');
    if (strncmp(url, SCHEME, strlen(SCHEME)) != 0 || !slash || slash - address >= ADDRESS_MAX ||
        strlen(slash + 1) >= sizeof s->image)
        return false;
    snprintf(s->address, sizeof s->address, "%.*s", (int)(slash - address), address);
    snprintf(s->image, sizeof s->image, "%s", slash + 1);
    return true;
}

static hf_status open_source(void *arg, const char *url, struct hf_upload_source **ret)
{
    const struct hf_upload_reader *r = arg;
    struct source *s = HF_NEW(struct source);
    if (!parse_url(s, url)) {
        free(s);
        return hf_error(HF_INVALID, "'%s' does not name an upload", url);
    }
    s->source.ops = &source_ops;
    s->reader = r;
    hf_uuid_format(&r->host, s->host);
    HF_ASSERT(uv_loop_init(&s->loop) == 0);
    struct hf_grpc_channel_options o = {
        .address = s->address, .tls = r->tls, .connect_ms = CONNECT_MS, .keepalive_ms = KEEPALIVE_MS};
    s->channel = hf_grpc_channel_create(&s->loop, &o);
    *ret = &s->source;
    return HF_STATUS_OK;
}

struct hf_upload_opener hf_upload_reader_opener(struct hf_upload_reader *r)
{
    return (struct hf_upload_opener){open_source, r};
}
