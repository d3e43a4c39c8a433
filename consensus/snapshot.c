#include "consensus/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "consensus/codec.h"
#include "consensus/replica.h"

#define MAGIC     0x31534648u /* "HFS1" */
#define HEADER    40          /* magic, kinds, revision, objects, requests, length of all */
#define OBJECT    36          /* kind, name length, uuid, revision, data length; then name and data */
#define REQUEST   24          /* hash, revision, id length, answer length; then id and answer */
#define TRAILER   8           /* CRC-32C of all before it, zero */
#define NO_ANSWER UINT32_MAX

/* --- taking --- */

struct writer {
    struct hf_snapshot *s;
    uint8_t *at;    /* where the next fixed bytes go */
    uint8_t *begun; /* fixed bytes from here on are not in a buffer yet */
    size_t total;
};

static void add_buffer(struct writer *w, void *base, size_t len)
{
    w->s->bufs[w->s->n_bufs++] = (struct raft_buffer){.base = base, .len = len};
    w->total += len;
}

static void flush(struct writer *w)
{
    if (w->at > w->begun)
        add_buffer(w, w->begun, (size_t)(w->at - w->begun));
    w->begun = w->at;
}

static void add_bytes(struct writer *w, struct hf_bytes *b)
{
    if (b->len == 0)
        return;
    flush(w);
    w->s->held[w->s->n_held++] = hf_bytes_ref(b);
    add_buffer(w, b->data, b->len);
}

static void add_object(void *arg, const struct hf_object *o)
{
    struct writer *w = arg;
    size_t name_len = strlen(o->name);
    w->at = hf_put32(w->at, o->kind);
    w->at = hf_put32(w->at, (uint32_t)name_len);
    memcpy(w->at, o->uuid.b, sizeof o->uuid.b);
    w->at = hf_put64(w->at + sizeof o->uuid.b, o->revision);
    w->at = hf_put32(w->at, (uint32_t)o->bytes->len);
    memcpy(w->at, o->name, name_len + 1);
    w->at += name_len + 1;
    add_bytes(w, o->bytes);
}

static void add_request(struct writer *w, const struct hf_dedup_entry *e)
{
    w->at = hf_put64(w->at, e->request_hash);
    w->at = hf_put64(w->at, e->revision);
    w->at = hf_put32(w->at, e->id_len);
    w->at = hf_put32(w->at, e->answer == NULL ? NO_ANSWER : (uint32_t)e->answer->len);
    memcpy(w->at, e->id, e->id_len);
    w->at += e->id_len;
    if (e->answer != NULL)
        add_bytes(w, e->answer);
}

/* Bytes of all that is not an object's or an answer's content. */
static size_t fixed_bytes(const struct hf_machine *m)
{
    return HEADER + hf_store_total(m->store) * OBJECT + hf_store_name_bytes(m->store) +
           hf_dedup_count(m->dedup) * REQUEST + hf_dedup_id_bytes(m->dedup) + TRAILER;
}

void hf_snapshot_take(const struct hf_machine *m, struct hf_snapshot *ret)
{
    size_t n_objects = hf_store_total(m->store), n_requests = hf_dedup_count(m->dedup);
    size_t n_fixed = fixed_bytes(m);
    *ret = (struct hf_snapshot){0};
    ret->fixed = hf_alloc(n_fixed);
    ret->held = hf_alloc_array(n_objects + n_requests + 1, sizeof *ret->held);
    ret->bufs = hf_alloc_array(2 * (n_objects + n_requests) + 2, sizeof *ret->bufs);
    struct writer w = {.s = ret, .at = ret->fixed, .begun = ret->fixed};
    w.at += HEADER;
    hf_store_each(m->store, add_object, &w);
    for (size_t i = 0; i < n_requests; i++)
        add_request(&w, hf_dedup_at(m->dedup, i));
    flush(&w);

    uint8_t *h = hf_put32(ret->fixed, MAGIC);
    h = hf_put32(h, HF_KIND_MAX);
    h = hf_put64(h, hf_store_revision(m->store));
    h = hf_put64(h, n_objects);
    h = hf_put64(h, n_requests);
    hf_put64(h, w.total + TRAILER);
    uint32_t crc = 0;
    for (unsigned i = 0; i < ret->n_bufs; i++)
        crc = hf_crc32c(crc, ret->bufs[i].base, ret->bufs[i].len);
    w.at = hf_put32(hf_put32(w.at, crc), 0);
    flush(&w);
    HF_ASSERT(w.at == ret->fixed + n_fixed);
}

void hf_snapshot_release(struct hf_snapshot *s)
{
    for (size_t i = 0; i < s->n_held; i++)
        hf_bytes_unref(s->held[i]);
    free(s->held);
    free(s->bufs);
    free(s->fixed);
    *s = (struct hf_snapshot){0};
}

/* --- restoring --- */

struct reader {
    const uint8_t *at, *end;
};

static const uint8_t *take(struct reader *r, size_t len)
{
    if ((size_t)(r->end - r->at) < len)
        return NULL;
    const uint8_t *p = r->at;
    r->at += len;
    return p;
}

static bool read_object(struct reader *r, struct hf_store *s, uint64_t revision_max)
{
    const uint8_t *h = take(r, OBJECT);
    if (h == NULL)
        return false;
    uint32_t kind = hf_get32(h), name_len = hf_get32(h + 4), data_len = hf_get32(h + 32);
    uint64_t revision = hf_get64(h + 24);
    struct hf_uuid uuid;
    memcpy(uuid.b, h + 8, sizeof uuid.b);
    if (kind >= HF_KIND_MAX || name_len == 0 || name_len > HF_NAME_MAX || data_len > HF_OBJECT_MAX ||
        revision > revision_max)
        return false;
    const char *name = (const char *)take(r, name_len + 1);
    if (name == NULL || memchr(name, 0, name_len + 1) != name + name_len)
        return false;
    const uint8_t *data = take(r, data_len);
    if (data == NULL || hf_store_get(s, &uuid) != NULL || hf_store_by_name(s, kind, name) != NULL)
        return false;
    if (!HF_MUTANT(SNAPSHOT_INCOMPLETE) || uuid.b[0] % 16 != 0)
        hf_store_put(s, kind, &uuid, name, hf_bytes_copy(data, data_len), revision);
    return true;
}

static bool read_request(struct reader *r, struct hf_dedup *d)
{
    const uint8_t *h = take(r, REQUEST);
    if (h == NULL)
        return false;
    uint32_t id_len = hf_get32(h + 16), answer_len = hf_get32(h + 20);
    if (id_len == 0 || id_len > HF_REQUEST_ID_MAX || (answer_len > HF_OBJECT_MAX && answer_len != NO_ANSWER))
        return false;
    const char *id = (const char *)take(r, id_len);
    const uint8_t *data = id == NULL ? NULL : take(r, answer_len == NO_ANSWER ? 0 : answer_len);
    if (data == NULL || hf_dedup_find(d, id, id_len) != NULL)
        return false;
    struct hf_bytes *answer = answer_len == NO_ANSWER ? NULL : hf_bytes_copy(data, answer_len);
    if (!HF_MUTANT(DEDUP_NOT_RESTORED))
        hf_dedup_add(d, id, id_len, hf_get64(h), hf_get64(h + 8), answer);
    hf_bytes_unref(answer);
    return true;
}

static bool read_all(struct reader *r, struct hf_store *s, struct hf_dedup *d)
{
    const uint8_t *h = take(r, HEADER);
    uint64_t revision = hf_get64(h + 8), n_objects = hf_get64(h + 16), n_requests = hf_get64(h + 24);
    hf_store_set_revision(s, revision);
    for (uint64_t i = 0; i < n_objects; i++)
        if (!read_object(r, s, revision))
            return false;
    for (uint64_t i = 0; i < n_requests; i++)
        if (!read_request(r, d))
            return false;
    return r->at == r->end;
}

hf_status hf_snapshot_restore(struct hf_machine *m, const void *data, size_t len)
{
    const uint8_t *p = data;
    if (len < HEADER + TRAILER || hf_get32(p) != MAGIC)
        return hf_error(
            HF_CORRUPT,
            "the snapshot is not one of Holdfast, or of a version that this program does not know");
    if (hf_get64(p + 32) != len)
        return hf_error(HF_CORRUPT, "the snapshot has %zu bytes instead of %llu", len,
                        (unsigned long long)hf_get64(p + 32));
    size_t body = len - TRAILER;
    if (hf_crc32c(0, p, body) != hf_get32(p + body))
        return hf_error(HF_CORRUPT, "the snapshot's checksum is wrong");
    struct reader r = {.at = p, .end = p + body};
    struct hf_store *store = hf_store_create();
    struct hf_dedup *dedup = hf_dedup_create();
    if (!read_all(&r, store, dedup)) {
        hf_store_free(store);
        hf_dedup_free(dedup);
        return hf_error(HF_CORRUPT, "the snapshot's content is malformed");
    }
    hf_store_free(m->store);
    hf_dedup_free(m->dedup);
    m->store = store;
    m->dedup = dedup;
    hf_history_restart(m->history, hf_store_revision(store));
    return HF_STATUS_OK;
}
