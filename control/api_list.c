/* List of any kind: a page of objects in the order of their names, copied from the store as they are serialized there.
 * Every List answer is {repeated X xs = 1; string next_page_token = 2; uint64 revision = 3}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_rules.h"
#include "control/filter.h"
#include "holdfast/v1/network.pb-c.h"

#define PAGE_DEFAULT   100
#define PAGE_MAX       1000
#define PAGE_BYTES_MAX (3 << 20) /* below the 4 MiB that clients accept by default */
#define SCAN_MAX       20000     /* objects a filter looks at before a (short) page ends */

#define TOKEN_MAX (2 * (sizeof(uint32_t) + HF_NAME_MAX) + 1)

struct entry {
    const struct hf_object *object;
    uint8_t suffix[HF_OBJECT_SUFFIX_MAX];
    size_t suffix_len;
};

struct page {
    struct entry *entries;
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
    bool yes = hf_filter_matches(f, m);
    protobuf_c_message_free_unpacked(m, NULL);
    return yes;
}

static void page_add(struct page *p, const struct hf_store *s, const struct hf_object *o)
{
    struct entry *e = &p->entries[p->n++];
    e->object = o;
    e->suffix_len = hf_object_suffix(s, o->kind, o->bytes, o->revision, e->suffix);
    p->bytes += field_len(o->bytes->len + e->suffix_len);
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
        const struct entry *e = &p->entries[i];
        *w++ = 1 << 3 | 2;
        w = put_varint(w, e->object->bytes->len + e->suffix_len);
        memcpy(w, e->object->bytes->data, e->object->bytes->len);
        w += e->object->bytes->len;
        memcpy(w, e->suffix, e->suffix_len);
        w += e->suffix_len;
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
        return hf_error(HF_INVALID, "page_token: not a token of this list and filter; start again without one");
    struct hf_filter *f;
    HF_TRY(hf_filter_parse(k->message, r->filter, &f));

    struct page p = {.size = r->page_size == 0 ? PAGE_DEFAULT : (size_t)r->page_size};
    if (p.size > PAGE_MAX)
        p.size = PAGE_MAX;
    p.entries = hf_alloc_array(p.size, sizeof *p.entries);
    collect(&p, s, k->kind, after, mark, f);
    *ret = page_serialize(&p, hf_store_revision(s));
    free(p.entries);
    hf_filter_free(f);
    return HF_STATUS_OK;
}

static void list_now(struct hf_api_call *c)
{
    struct hf_bytes *b = NULL;
    hf_status st = list(c, &b);
    if (hf_ok(st))
        hf_call_send_bytes(c, b, NULL, 0);
    hf_bytes_unref(b);
    hf_call_end(c, hf_wrap(st, "list %s", hf_kind_of(c->rules->kind)->plural));
}

void hf_handle_list(struct hf_api_call *c)
{
    hf_call_read(c, ((const Holdfast__V1__ListRequest *)c->request)->stale, list_now);
}

/* --- what is filled in on reads --- */

/* status.used_ips of an L3 network: messages merge when they are concatenated. */
static size_t l3_suffix(const struct hf_store *s, const struct hf_bytes *bytes, uint8_t *out)
{
    uint8_t *p = out;
    char prefix[HF_UUID_STR + 1];
    Holdfast__V1__L3Network *l3 = holdfast__v1__l3_network__unpack(NULL, bytes->len, bytes->data);
    HF_ASSERT(l3 != NULL && l3->meta != NULL);
    snprintf(prefix, sizeof prefix, "%s/", l3->meta->uuid);
    holdfast__v1__l3_network__free_unpacked(l3, NULL);
    uint64_t used = 0;
    const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__IP_ADDRESS, prefix);
    for (; o != NULL && strncmp(o->name, prefix, strlen(prefix)) == 0; o = hf_store_next(s, o->kind, o->name))
        used++;
    *p++ = 3 << 3 | 2; /* status */
    *p++ = (uint8_t)(1 + varint_len(used));
    *p++ = 3 << 3; /* used_ips */
    return (size_t)(put_varint(p, used) - out);
}

size_t hf_object_suffix(const struct hf_store *s, uint32_t kind, const struct hf_bytes *bytes, uint64_t revision,
                        uint8_t out[HF_OBJECT_SUFFIX_MAX])
{
    size_t n = hf_object_revision_suffix(revision, out);
    if (kind == HOLDFAST__V1__KIND__L3_NETWORK)
        n += l3_suffix(s, bytes, out + n);
    HF_ASSERT(n <= HF_OBJECT_SUFFIX_MAX);
    return n;
}
