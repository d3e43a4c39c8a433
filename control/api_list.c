/* List of any kind: a page of objects in the order of their names, copied from the store as they are
 * serialized there. Every List answer is {repeated X xs = 1; string next_page_token = 2; uint64 revision =
 * 3}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_rules.h"
#include "control/ceph_storage.h"
#include "control/filter.h"
#include "control/power_devices.h"
#include "holdfast/v1/network.pb-c.h"

#define PAGE_DEFAULT   100
#define PAGE_MAX       1000
#define PAGE_BYTES_MAX (3 << 20) /* below the 4 MiB that clients accept by default */
#define SCAN_MAX       20000     /* objects a filter looks at before a (short) page ends */

#define TOKEN_MAX (2 * (sizeof(uint32_t) + HF_NAME_MAX) + 1)

struct page {
    struct hf_bytes **objects;
    size_t n, size;
    size_t bytes;
    char token[TOKEN_MAX]; /* where the next page starts; "" at the end */
};

/* --- page tokens: hex of a mark of kind and filter, and the last name --- */

static uint32_t token_mark(uint32_t kind, const char *filter)
{
    uint32_t h = 2166136261u ^ kind;
    for (const char *p = filter; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * 16777619u;
    return h;
}

static void token_make(uint32_t mark, const char *name, char out[TOKEN_MAX])
{
    size_t n = (size_t)snprintf(out, TOKEN_MAX, "%08x", mark);
    for (const char *p = name; *p != '\0'; p++)
        n += (size_t)snprintf(out + n, TOKEN_MAX - n, "%02x", (uint8_t)*p);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Writes the name to start after. */
static bool token_read(uint32_t mark, const char *token, char name[HF_NAME_MAX + 1])
{
    char expected[9];
    size_t len = strlen(token);
    snprintf(expected, sizeof expected, "%08x", mark);
    if (len < 10 || len >= TOKEN_MAX || len % 2 != 0 || strncmp(token, expected, 8) != 0)
        return false;
    size_t n = 0;
    for (const char *p = token + 8; *p != '\0'; p += 2) {
        int hi = hex_digit(p[0]), lo = hex_digit(p[1]);
        if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
            return false;
        name[n++] = (char)(hi << 4 | lo);
    }
    name[n] = '\0';
    return true;
}

/* --- collecting --- */

static size_t varint_len(uint64_t v)
{
    size_t n = 1;
    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

static size_t field_len(size_t len)
{
    return 1 + varint_len(len) + len;
}

static bool matches(const struct hf_filter *f, const struct hf_object *o)
{
    if (f == NULL)
        return true;
    ProtobufCMessage *m = hf_object_decode(o);
    HF_ASSERT(m != NULL);
    if (o->kind == HOLDFAST__V1__KIND__HOST) /* a filter must not guess at secrets */
        hf_power_devices_hide((Holdfast__V1__Host *)m);
    if (o->kind == HOLDFAST__V1__KIND__PRIMARY_STORAGE)
        hf_ceph_keys_hide((Holdfast__V1__PrimaryStorage *)m);
    if (o->kind == HOLDFAST__V1__KIND__IMAGE_SERVER)
        hf_ceph_server_keys_hide((Holdfast__V1__ImageServer *)m);
    bool yes = hf_filter_matches(f, m);
    protobuf_c_message_free_unpacked(m, NULL);
    return yes;
}

static void page_add(struct page *p, const struct hf_store *s, const struct hf_object *o)
{
    struct hf_bytes *b = hf_object_for_reader(s, o->kind, o->bytes, o->revision);
    p->objects[p->n++] = b;
    p->bytes += field_len(b->len);
}

static void collect(struct page *p, const struct hf_store *s, uint32_t kind, const char *after, uint32_t mark,
                    const struct hf_filter *f)
{
    size_t scanned = 0;
    const struct hf_object *o = hf_store_next(s, kind, after);
    for (; o != NULL; o = hf_store_next(s, kind, o->name)) {
        if (matches(f, o))
            page_add(p, s, o);
        if (p->n < p->size && p->bytes < PAGE_BYTES_MAX && ++scanned < SCAN_MAX)
            continue;
        if (hf_store_next(s, kind, o->name) != NULL)
            token_make(mark, o->name, p->token);
        return;
    }
}

/* --- answering --- */

static struct hf_bytes *page_serialize(const struct page *p, uint64_t revision)
{
    size_t token_len = strlen(p->token);
    size_t len = p->bytes + (token_len > 0 ? field_len(token_len) : 0) + 1 + varint_len(revision);
    struct hf_bytes *b = hf_bytes_new(len);
    uint8_t *w = b->data;
    for (size_t i = 0; i < p->n; i++) {
        const struct hf_bytes *o = p->objects[i];
        *w++ = 1 << 3 | 2;
        w = put_varint(w, o->len);
        memcpy(w, o->data, o->len);
        w += o->len;
    }
    if (token_len > 0) {
        *w++ = 2 << 3 | 2;
        w = put_varint(w, token_len);
        memcpy(w, p->token, token_len);
        w += token_len;
    }
    *w++ = 3 << 3;
    w = put_varint(w, revision);
    HF_ASSERT(w == b->data + len);
    return b;
}

static hf_status list(struct hf_api_call *c, struct hf_bytes **ret)
{
    const Holdfast__V1__ListRequest *r = (const Holdfast__V1__ListRequest *)c->request;
    const struct hf_kind *k = hf_kind_of(c->rules->kind);
    const struct hf_store *s = hf_call_store(c);
    uint32_t mark = token_mark(k->kind, r->filter);
    char after[HF_NAME_MAX + 1] = "";
    if (r->page_size < 0)
        return hf_error(HF_INVALID, "page_size: %d is negative", r->page_size);
    if (r->page_token[0] != '\0' && !token_read(mark, r->page_token, after))
        return hf_error(HF_INVALID,
                        "page_token: not a token of this list and filter; start again without one");
    struct hf_filter *f;
    HF_TRY(hf_filter_parse(k->message, r->filter, &f));

    struct page p = {.size = r->page_size == 0 ? PAGE_DEFAULT : (size_t)r->page_size};
    if (p.size > PAGE_MAX)
        p.size = PAGE_MAX;
    p.objects = hf_alloc_array(p.size, sizeof(struct hf_bytes *));
    collect(&p, s, k->kind, after, mark, f);
    *ret = page_serialize(&p, hf_store_revision(s));
    for (size_t i = 0; i < p.n; i++)
        hf_bytes_unref(p.objects[i]);
    free(p.objects);
    hf_filter_free(f);
    return HF_STATUS_OK;
}

static void list_now(struct hf_api_call *c)
{
    struct hf_bytes *b = NULL;
    hf_status st = list(c, &b);
    if (hf_ok(st))
        hf_call_send_bytes(c, b);
    hf_bytes_unref(b);
    hf_call_end(c, hf_wrap(st, "list %s", hf_kind_of(c->rules->kind)->plural));
}

void hf_handle_list(struct hf_api_call *c)
{
    hf_call_read(c, ((const Holdfast__V1__ListRequest *)c->request)->stale, list_now);
}

/* --- what is filled in on reads --- */

static uint32_t addresses_used(const struct hf_store *s, const char *l3_uuid)
{
    char prefix[HF_UUID_STR + 1];
    snprintf(prefix, sizeof prefix, "%s/", l3_uuid);
    uint32_t used = 0;
    const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__IP_ADDRESS, prefix);
    for (; o != NULL && strncmp(o->name, prefix, strlen(prefix)) == 0; o = hf_store_next(s, o->kind, o->name))
        used++;
    return used;
}

static struct hf_bytes *l3_for_reader(const struct hf_store *s, const struct hf_bytes *bytes,
                                      uint64_t revision)
{
    Holdfast__V1__L3Network *l3 = holdfast__v1__l3_network__unpack(NULL, bytes->len, bytes->data);
    HF_ASSERT(l3 != NULL && l3->meta != NULL && l3->status != NULL);
    l3->meta->revision = revision;
    l3->status->used_ips = addresses_used(s, l3->meta->uuid);
    struct hf_bytes *b = hf_bytes_new(holdfast__v1__l3_network__get_packed_size(l3));
    holdfast__v1__l3_network__pack(l3, b->data);
    holdfast__v1__l3_network__free_unpacked(l3, NULL);
    return b;
}

/* Secrets are for the fence agents only. */
static struct hf_bytes *host_for_reader(const struct hf_bytes *bytes, uint64_t revision)
{
    Holdfast__V1__Host *h = holdfast__v1__host__unpack(NULL, bytes->len, bytes->data);
    HF_ASSERT(h != NULL && h->meta != NULL);
    h->meta->revision = revision;
    hf_power_devices_hide(h);
    struct hf_bytes *b = hf_bytes_new(holdfast__v1__host__get_packed_size(h));
    holdfast__v1__host__pack(h, b->data);
    holdfast__v1__host__free_unpacked(h, NULL);
    return b;
}

/* Keys are for the hosts and the control nodes only. */
static struct hf_bytes *storage_for_reader(const struct hf_bytes *bytes, uint64_t revision)
{
    Holdfast__V1__PrimaryStorage *ps = holdfast__v1__primary_storage__unpack(NULL, bytes->len, bytes->data);
    HF_ASSERT(ps != NULL && ps->meta != NULL);
    ps->meta->revision = revision;
    hf_ceph_keys_hide(ps);
    struct hf_bytes *b = hf_bytes_new(holdfast__v1__primary_storage__get_packed_size(ps));
    holdfast__v1__primary_storage__pack(ps, b->data);
    holdfast__v1__primary_storage__free_unpacked(ps, NULL);
    return b;
}

static struct hf_bytes *server_for_reader(const struct hf_bytes *bytes, uint64_t revision)
{
    Holdfast__V1__ImageServer *s = holdfast__v1__image_server__unpack(NULL, bytes->len, bytes->data);
    HF_ASSERT(s != NULL && s->meta != NULL);
    s->meta->revision = revision;
    hf_ceph_server_keys_hide(s);
    struct hf_bytes *b = hf_bytes_new(holdfast__v1__image_server__get_packed_size(s));
    holdfast__v1__image_server__pack(s, b->data);
    holdfast__v1__image_server__free_unpacked(s, NULL);
    return b;
}

struct hf_bytes *hf_object_for_reader(const struct hf_store *s, uint32_t kind, const struct hf_bytes *bytes,
                                      uint64_t revision)
{
    if (kind == HOLDFAST__V1__KIND__L3_NETWORK)
        return l3_for_reader(s, bytes, revision);
    if (kind == HOLDFAST__V1__KIND__HOST)
        return host_for_reader(bytes, revision);
    if (kind == HOLDFAST__V1__KIND__PRIMARY_STORAGE)
        return storage_for_reader(bytes, revision);
    if (kind == HOLDFAST__V1__KIND__IMAGE_SERVER)
        return server_for_reader(bytes, revision);
    return hf_object_with_revision(bytes, revision);
}
