#include "consensus/txn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/codec.h"
#include "consensus/txn_wire.h"

#define TXN_HEADER  24          /* length, operations, hash, answer, length of the request id */
#define OP_HEADER   32          /* type, name length, kind, uuid, value */
#define ENTRY_MAGIC 0x31454648u /* "HFE1" */

struct hf_txn {
    uint8_t *data; /* header, request id, operations so far */
    size_t len, cap;
    uint32_t n_ops;
    uint32_t last_put; /* number of the last put, from 1 */
    uint32_t answer;
    bool changes; /* has a put or a delete */
    uint64_t request_hash;
    size_t request_id_len;
    char *invalid;
};

static uint8_t *reserve(struct hf_txn *t, size_t more)
{
    if (t->len + more > t->cap) {
        size_t cap = t->cap == 0 ? 512 : t->cap;
        while (cap < t->len + more)
            cap *= 2;
        t->data = hf_realloc_array(t->data, cap, 1);
        t->cap = cap;
    }
    uint8_t *p = t->data + t->len;
    t->len += more;
    return p;
}

/* The text, its end mark, and zeros up to the next multiple of 8. */
static void append_text(struct hf_txn *t, const char *text, size_t len)
{
    size_t padded = hf_align8(len + 1);
    uint8_t *p = reserve(t, padded);
    memcpy(p, text, len);
    memset(p + len, 0, padded - len);
}

static void refuse(struct hf_txn *t, char *why)
{
    if (t->invalid == NULL)
        t->invalid = why;
    else
        free(why);
}

struct hf_txn *hf_txn_create(const char *request_id, uint64_t request_hash)
{
    struct hf_txn *t = HF_NEW(struct hf_txn);
    if (request_id == NULL)
        request_id = "";
    size_t len = strlen(request_id);
    if (len > HF_REQUEST_ID_MAX) {
        refuse(t, hf_printf("the request id has %zu bytes; at most %d are allowed", len, HF_REQUEST_ID_MAX));
        len = 0;
    }
    t->request_hash = request_hash;
    t->request_id_len = len;
    reserve(t, TXN_HEADER);
    append_text(t, request_id, len);
    return t;
}

void hf_txn_free(struct hf_txn *t)
{
    if (t == NULL)
        return;
    free(t->data);
    free(t->invalid);
    free(t);
}

/* Room for one more operation; false when the transaction is full (it is then invalid). */
static bool begin_op(struct hf_txn *t, enum hf_op_type type, const struct hf_uuid *uuid, uint32_t kind,
                     size_t name_len, uint64_t value)
{
    if (t->invalid != NULL)
        return false;
    if (t->n_ops == HF_TXN_OPS_MAX) {
        refuse(t, hf_printf("the transaction has more than %d operations", HF_TXN_OPS_MAX));
        return false;
    }
    HF_ASSERT(!hf_uuid_is_zero(uuid));
    uint8_t *p = reserve(t, OP_HEADER);
    *p++ = (uint8_t)type;
    *p++ = 0;
    p = hf_put16(p, (uint16_t)name_len);
    p = hf_put32(p, kind);
    memcpy(p, uuid->b, sizeof uuid->b);
    hf_put64(p + sizeof uuid->b, value);
    t->n_ops++;
    t->changes |= type != HF_OP_CHECK;
    return true;
}

void hf_txn_check(struct hf_txn *t, const struct hf_uuid *uuid, uint64_t revision)
{
    begin_op(t, HF_OP_CHECK, uuid, 0, 0, revision);
}

void hf_txn_delete(struct hf_txn *t, const struct hf_uuid *uuid)
{
    begin_op(t, HF_OP_DELETE, uuid, 0, 0, 0);
}

/* Where to write the object's bytes, or NULL when it is refused. */
static uint8_t *begin_put(struct hf_txn *t, uint32_t kind, const struct hf_uuid *uuid, const char *name,
                          size_t len)
{
    HF_ASSERT(kind < HF_KIND_MAX);
    size_t name_len = strlen(name);
    if (name_len == 0 || name_len > HF_NAME_MAX) {
        refuse(t, hf_printf("an object's name has 1 to %d bytes, not %zu", HF_NAME_MAX, name_len));
        return NULL;
    }
    if (len > HF_OBJECT_MAX) {
        refuse(t, hf_printf("object '%s' has %zu bytes; at most %d are allowed", name, len, HF_OBJECT_MAX));
        return NULL;
    }
    if (t->len + OP_HEADER + hf_align8(name_len + 1) + hf_align8(len) > HF_TXN_BYTES_MAX) {
        refuse(t, hf_printf("the transaction has more than %d bytes", HF_TXN_BYTES_MAX));
        return NULL;
    }
    if (!begin_op(t, HF_OP_PUT, uuid, kind, name_len, len))
        return NULL;
    t->last_put = t->n_ops;
    append_text(t, name, name_len);
    size_t padded = hf_align8(len);
    uint8_t *data = reserve(t, padded);
    memset(data + len, 0, padded - len);
    return data;
}

void hf_txn_put(struct hf_txn *t, uint32_t kind, const struct hf_uuid *uuid, const char *name,
                const ProtobufCMessage *msg)
{
    size_t len = protobuf_c_message_get_packed_size(msg);
    uint8_t *data = begin_put(t, kind, uuid, name, len);
    if (data != NULL)
        HF_ASSERT(protobuf_c_message_pack(msg, data) == len);
}

void hf_txn_put_bytes(struct hf_txn *t, uint32_t kind, const struct hf_uuid *uuid, const char *name,
                      struct hf_bytes *bytes)
{
    uint8_t *data = begin_put(t, kind, uuid, name, bytes->len);
    if (data != NULL)
        memcpy(data, bytes->data, bytes->len);
}

void hf_txn_answer_last_put(struct hf_txn *t)
{
    HF_ASSERT(t->last_put != 0 || t->invalid != NULL);
    t->answer = t->last_put;
}

bool hf_txn_empty(const struct hf_txn *t)
{
    return !t->changes && t->invalid == NULL;
}

const char *hf_txn_invalid(const struct hf_txn *t)
{
    return t->invalid;
}

const uint8_t *hf_txn_encoded(struct hf_txn *t, size_t *ret_len)
{
    HF_ASSERT(t->invalid == NULL && t->len % 8 == 0);
    uint8_t *p = hf_put32(t->data, (uint32_t)t->len);
    p = hf_put32(p, t->n_ops);
    p = hf_put64(p, t->request_hash);
    p = hf_put32(p, t->answer);
    hf_put32(p, (uint32_t)t->request_id_len);
    *ret_len = t->len;
    return t->data;
}

/* --- reading --- */

/* A text that append_text wrote: NULL unless it lies within the bytes and ends where its length says. */
static const char *read_text(const uint8_t **p, const uint8_t *end, size_t len)
{
    size_t padded = hf_align8(len + 1);
    if ((size_t)(end - *p) < padded)
        return NULL;
    const char *text = (const char *)*p;
    if (memchr(text, 0, len + 1) != text + len)
        return NULL;
    *p += padded;
    return text;
}

static bool read_put(const uint8_t **p, const uint8_t *end, size_t name_len, uint64_t data_len,
                     struct hf_op *op)
{
    if (name_len == 0 || name_len > HF_NAME_MAX || data_len > HF_OBJECT_MAX || op->kind >= HF_KIND_MAX)
        return false;
    op->name = read_text(p, end, name_len);
    if (op->name == NULL || (size_t)(end - *p) < hf_align8(data_len))
        return false;
    op->data = *p;
    op->data_len = data_len;
    *p += hf_align8(data_len);
    return true;
}

static bool read_op(const uint8_t **p, const uint8_t *end, struct hf_op *op)
{
    if (end - *p < OP_HEADER)
        return false;
    const uint8_t *h = *p;
    *op = (struct hf_op){.type = h[0], .kind = hf_get32(h + 4)};
    size_t name_len = hf_get16(h + 2);
    memcpy(op->uuid.b, h + 8, sizeof op->uuid.b);
    uint64_t value = hf_get64(h + 24);
    *p += OP_HEADER;
    switch (op->type) {
    case HF_OP_CHECK:
        op->revision = value;
        return name_len == 0;
    case HF_OP_DELETE:
        return name_len == 0 && value == 0;
    case HF_OP_PUT:
        return read_put(p, end, name_len, value, op);
    }
    return false;
}

bool hf_txn_decode(const uint8_t *p, size_t len, struct hf_txn_view *ret, struct hf_op *ops, size_t *ret_used)
{
    if (len < TXN_HEADER)
        return false;
    size_t used = hf_get32(p);
    struct hf_txn_view v = {
        .n_ops = hf_get32(p + 4), .request_hash = hf_get64(p + 8), .answer = hf_get32(p + 16)};
    v.request_id_len = hf_get32(p + 20);
    if (used < TXN_HEADER || used > len || used > HF_TXN_BYTES_MAX + TXN_HEADER || used % 8 != 0 ||
        v.n_ops > HF_TXN_OPS_MAX || v.answer > v.n_ops || v.request_id_len > HF_REQUEST_ID_MAX)
        return false;
    const uint8_t *end = p + used;
    p += TXN_HEADER;
    v.request_id = read_text(&p, end, v.request_id_len);
    if (v.request_id == NULL)
        return false;
    for (uint32_t i = 0; i < v.n_ops; i++)
        if (!read_op(&p, end, &ops[i]))
            return false;
    if (p != end || (v.answer != 0 && ops[v.answer - 1].type != HF_OP_PUT))
        return false;
    *ret = v;
    *ret_used = used;
    return true;
}

void hf_entry_header_encode(const struct hf_entry_header *h, uint8_t out[HF_ENTRY_HEADER])
{
    uint8_t *p = hf_put32(out, ENTRY_MAGIC);
    p = hf_put32(p, h->n);
    p = hf_put64(p, h->origin);
    hf_put64(p, h->sequence);
}

bool hf_entry_header_decode(const uint8_t *p, size_t len, struct hf_entry_header *ret)
{
    if (len < HF_ENTRY_HEADER || len % 8 != 0 || hf_get32(p) != ENTRY_MAGIC)
        return false;
    *ret = (struct hf_entry_header){
        .n = hf_get32(p + 4), .origin = hf_get64(p + 8), .sequence = hf_get64(p + 16)};
    return ret->n > 0 && ret->n <= HF_ENTRY_TXNS_MAX;
}
