#include "rpc/grpc_frame.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/assert.h"
#include "base/mem.h"

#define PARTIAL_MIN 4096u /* first size of the buffer for a long message in pieces */

/* --- decoder --- */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void skip(struct hf_grpc_slice *s, size_t n)
{
    s->data += n;
    s->len -= n;
}

static hf_status too_large(const struct hf_grpc_decoder *d)
{
    return hf_error(HF_EXHAUSTED, "message is larger than the limit of %zu bytes", d->message_max);
}

static hf_status read_prefix(struct hf_grpc_decoder *d)
{
    const uint8_t *p = d->prefix;
    d->need = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    d->have = 0;
    d->compressed = p[0] == 1;
    if (p[0] > 1)
        return hf_error(HF_INTERNAL, "message prefix has unknown flags 0x%02x", p[0]);
    if (d->compressed && !d->gzip)
        return hf_error(HF_UNIMPLEMENTED,
                        "message is compressed, but not announced as gzip; only gzip is understood");
    if (d->need > d->message_max)
        return too_large(d);
    return HF_STATUS_OK;
}

/* Grows with what has come, not with what the prefix promises: a promise costs the peer nothing. */
static void reserve(struct hf_grpc_decoder *d, size_t size)
{
    if (size <= d->partial_cap)
        return;
    size_t cap = d->partial_cap ? d->partial_cap : min_size(PARTIAL_MIN, d->need);
    while (cap < size)
        cap *= 2;
    d->partial = hf_realloc_array(d->partial, cap, 1);
    d->partial_cap = cap;
}

/* Replaces *message by its content, which lives in d->partial afterwards. */
static hf_status decompress(struct hf_grpc_decoder *d, struct hf_grpc_slice *message)
{
    z_stream z = {.next_in = (uint8_t *)message->data, .avail_in = (unsigned)message->len};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return hf_error(HF_INTERNAL, "decompress message: %s", z.msg ? z.msg : "zlib does not start");
    size_t cap = PARTIAL_MIN;
    uint8_t *out = hf_alloc(cap);
    int r = Z_OK;
    while (r == Z_OK && z.total_out <= d->message_max) {
        if (z.total_out == cap) {
            cap *= 2;
            out = hf_realloc_array(out, cap, 1);
        }
        z.next_out = out + z.total_out;
        z.avail_out = (unsigned)(cap - z.total_out);
        r = inflate(&z, Z_NO_FLUSH);
    }
    size_t len = z.total_out;
    inflateEnd(&z);
    free(d->partial);
    d->partial = out;
    d->partial_cap = cap;
    if (len > d->message_max)
        return too_large(d);
    if (r != Z_STREAM_END)
        return hf_error(HF_INTERNAL, "decompress message: the gzip data is damaged");
    *message = (struct hf_grpc_slice){out, len};
    return HF_STATUS_OK;
}

hf_status hf_grpc_decoder_next(struct hf_grpc_decoder *d, struct hf_grpc_slice *input,
                               struct hf_grpc_slice *ret_message, bool *ret_found)
{
    *ret_found = false;
    if (d->prefix_len < HF_GRPC_PREFIX) {
        size_t n = min_size(HF_GRPC_PREFIX - d->prefix_len, input->len);
        memcpy(d->prefix + d->prefix_len, input->data, n);
        d->prefix_len = (uint8_t)(d->prefix_len + n);
        skip(input, n);
        if (d->prefix_len < HF_GRPC_PREFIX)
            return HF_STATUS_OK;
        HF_TRY(read_prefix(d));
    }
    struct hf_grpc_slice message = {input->data, d->need};
    if (d->have == 0 && input->len >= d->need) {
        skip(input, d->need); /* whole: no copy */
    } else {
        size_t n = min_size(d->need - d->have, input->len);
        reserve(d, d->have + n);
        if (n > 0)
            memcpy(d->partial + d->have, input->data, n);
        d->have += n;
        skip(input, n);
        if (d->have < d->need)
            return HF_STATUS_OK;
        message.data = d->partial;
    }
    d->prefix_len = 0;
    if (d->compressed)
        HF_TRY(decompress(d, &message));
    *ret_message = message;
    *ret_found = true;
    return HF_STATUS_OK;
}

bool hf_grpc_decoder_idle(const struct hf_grpc_decoder *d)
{
    return d->prefix_len == 0;
}

void hf_grpc_decoder_done(struct hf_grpc_decoder *d)
{
    free(d->partial);
    d->partial = NULL;
    d->partial_cap = 0;
}

/* --- outbox --- */

/* On the wire: prefix, bytes, then what follows the prefix in own. */
struct hf_grpc_out {
    STAILQ_ENTRY(hf_grpc_out) link;
    struct hf_bytes *bytes;
    size_t own_len;
    uint8_t own[];
};

static size_t bytes_len(const struct hf_grpc_out *m)
{
    return m->bytes ? m->bytes->len : 0;
}

static size_t out_len(const struct hf_grpc_out *m)
{
    return m->own_len + bytes_len(m);
}

static struct hf_grpc_out *append(struct hf_grpc_outbox *o, struct hf_bytes *bytes, size_t own)
{
    struct hf_grpc_out *m =
        malloc(sizeof *m + HF_GRPC_PREFIX + own); /* every byte is written below or by the caller */
    HF_ASSERT(m != NULL);
    m->bytes = bytes ? hf_bytes_ref(bytes) : NULL;
    m->own_len = HF_GRPC_PREFIX + own;
    size_t len = bytes_len(m) + own;
    HF_ASSERT(len <= UINT32_MAX);
    m->own[0] = 0;
    m->own[1] = (uint8_t)(len >> 24);
    m->own[2] = (uint8_t)(len >> 16);
    m->own[3] = (uint8_t)(len >> 8);
    m->own[4] = (uint8_t)len;
    STAILQ_INSERT_TAIL(&o->messages, m, link);
    o->bytes += out_len(m);
    return m;
}

void hf_grpc_outbox_init(struct hf_grpc_outbox *o)
{
    STAILQ_INIT(&o->messages);
    o->bytes = o->sent = 0;
}

void hf_grpc_outbox_put(struct hf_grpc_outbox *o, const ProtobufCMessage *m)
{
    struct hf_grpc_out *out = append(o, NULL, protobuf_c_message_get_packed_size(m));
    protobuf_c_message_pack(m, out->own + HF_GRPC_PREFIX);
}

void hf_grpc_outbox_put_bytes(struct hf_grpc_outbox *o, struct hf_bytes *bytes, const void *suffix,
                              size_t suffix_len)
{
    struct hf_grpc_out *out = append(o, bytes, suffix_len);
    if (suffix_len > 0)
        memcpy(out->own + HF_GRPC_PREFIX, suffix, suffix_len);
}

/* The run of contiguous bytes of m that starts at off. */
static struct hf_grpc_slice run_at(const struct hf_grpc_out *m, size_t off)
{
    if (off < HF_GRPC_PREFIX)
        return (struct hf_grpc_slice){m->own + off, HF_GRPC_PREFIX - off};
    off -= HF_GRPC_PREFIX;
    if (off < bytes_len(m))
        return (struct hf_grpc_slice){m->bytes->data + off, m->bytes->len - off};
    off = off - bytes_len(m) + HF_GRPC_PREFIX;
    return (struct hf_grpc_slice){m->own + off, m->own_len - off};
}

static void free_out(struct hf_grpc_out *m)
{
    hf_bytes_unref(m->bytes);
    free(m);
}

void hf_grpc_outbox_take(struct hf_grpc_outbox *o, uint8_t *to, size_t len)
{
    HF_ASSERT(len <= o->bytes);
    o->bytes -= len;
    while (len > 0) {
        struct hf_grpc_out *m = STAILQ_FIRST(&o->messages);
        struct hf_grpc_slice run = run_at(m, o->sent);
        size_t n = min_size(run.len, len);
        memcpy(to, run.data, n);
        to += n;
        len -= n;
        o->sent += n;
        if (o->sent == out_len(m)) {
            STAILQ_REMOVE_HEAD(&o->messages, link);
            free_out(m);
            o->sent = 0;
        }
    }
}

void hf_grpc_outbox_drop_unsent(struct hf_grpc_outbox *o)
{
    struct hf_grpc_out *first = STAILQ_FIRST(&o->messages), *m;
    if (first && o->sent == 0)
        first = NULL; /* nothing of it is out either */
    if (!first) {
        hf_grpc_outbox_done(o);
        return;
    }
    while ((m = STAILQ_NEXT(first, link))) {
        STAILQ_REMOVE(&o->messages, m, hf_grpc_out, link);
        o->bytes -= out_len(m);
        free_out(m);
    }
}

void hf_grpc_outbox_done(struct hf_grpc_outbox *o)
{
    struct hf_grpc_out *m;
    while ((m = STAILQ_FIRST(&o->messages))) {
        STAILQ_REMOVE_HEAD(&o->messages, link);
        free_out(m);
    }
    o->bytes = o->sent = 0;
}
