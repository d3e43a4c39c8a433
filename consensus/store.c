#include "consensus/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/store_write.h"

#define BUCKETS_MIN 64

/* An object with its places in the two indexes: the hash table by UUID (chained) and the treap of its kind by
 * name. */
struct record {
    struct hf_object object;
    struct record *chain;        /* next in the bucket */
    struct record *left, *right; /* names below and above */
    uint64_t priority;           /* a parent's is not lower than its children's */
    struct hf_bytes *name;       /* owns object.name */
    bool named;                  /* is in the treap */
};

struct hf_store {
    struct record **buckets;
    size_t n_buckets, n_records;
    size_t name_bytes, content_bytes;
    struct record *names[HF_KIND_MAX]; /* treap roots */
    size_t counts[HF_KIND_MAX];
    uint64_t revision;
};

static struct record *record_of(const struct hf_object *o)
{
    return hf_container_of(o, struct record, object);
}

/* UUIDs are random or a hash already; the last step of SplitMix64 spreads those that a test counts up. The
 * same number is the treap's priority: every replica builds the same tree. */
static uint64_t hash(const struct hf_uuid *u)
{
    uint64_t a, b;
    memcpy(&a, u->b, sizeof a);
    memcpy(&b, u->b + sizeof a, sizeof b);
    uint64_t x = a ^ (b * 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct hf_store *hf_store_create(void)
{
    struct hf_store *s = HF_NEW(struct hf_store);
    s->n_buckets = BUCKETS_MIN;
    s->buckets = hf_alloc_array(s->n_buckets, sizeof(struct record *));
    return s;
}

static void record_free(struct record *r)
{
    hf_bytes_unref(r->object.bytes);
    hf_bytes_unref(r->name);
    free(r);
}

void hf_store_free(struct hf_store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_buckets; i++) {
        for (struct record *r = s->buckets[i], *next; r != NULL; r = next) {
            next = r->chain;
            record_free(r);
        }
    }
    free(s->buckets);
    free(s);
}

/* --- by UUID --- */

static struct record **bucket_of(const struct hf_store *s, const struct hf_uuid *uuid)
{
    return &s->buckets[hash(uuid) & (s->n_buckets - 1)];
}

static struct record *find(const struct hf_store *s, const struct hf_uuid *uuid)
{
    for (struct record *r = *bucket_of(s, uuid); r != NULL; r = r->chain)
        if (hf_uuid_equal(&r->object.uuid, uuid))
            return r;
    return NULL;
}

static void grow(struct hf_store *s)
{
    struct record **old = s->buckets;
    size_t n_old = s->n_buckets;
    s->n_buckets *= 2;
    s->buckets = hf_alloc_array(s->n_buckets, sizeof(struct record *));
    for (size_t i = 0; i < n_old; i++) {
        for (struct record *r = old[i], *next; r != NULL; r = next) {
            next = r->chain;
            struct record **b = bucket_of(s, &r->object.uuid);
            r->chain = *b;
            *b = r;
        }
    }
    free(old);
}

/* --- by name: a treap (Seidel and Aragon, 1996) --- */

static struct record *rotate_right(struct record *top)
{
    struct record *up = top->left;
    top->left = up->right;
    up->right = top;
    return up;
}

static struct record *rotate_left(struct record *top)
{
    struct record *up = top->right;
    top->right = up->left;
    up->left = top;
    return up;
}

static struct record *treap_insert(struct record *top, struct record *r)
{
    if (top == NULL)
        return r;
    int order = strcmp(r->object.name, top->object.name);
    HF_ASSERT(order != 0);
    if (order < 0) {
        top->left = treap_insert(top->left, r);
        return top->left->priority > top->priority ? rotate_right(top) : top;
    }
    top->right = treap_insert(top->right, r);
    return top->right->priority > top->priority ? rotate_left(top) : top;
}

/* All names of a are below those of b. */
static struct record *treap_join(struct record *a, struct record *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (a->priority > b->priority) {
        a->right = treap_join(a->right, b);
        return a;
    }
    b->left = treap_join(a, b->left);
    return b;
}

static void treap_remove(struct record **root, struct record *r)
{
    struct record **at = root;
    while (*at != r) {
        HF_ASSERT(*at != NULL);
        at = strcmp(r->object.name, (*at)->object.name) < 0 ? &(*at)->left : &(*at)->right;
    }
    *at = treap_join(r->left, r->right);
    r->left = r->right = NULL;
}

/* --- reading --- */

const struct hf_object *hf_store_get(const struct hf_store *s, const struct hf_uuid *uuid)
{
    struct record *r = find(s, uuid);
    return r == NULL ? NULL : &r->object;
}

const struct hf_object *hf_store_get_kind(const struct hf_store *s, uint32_t kind, const struct hf_uuid *uuid)
{
    struct record *r = find(s, uuid);
    return r == NULL || r->object.kind != kind ? NULL : &r->object;
}

const struct hf_object *hf_store_by_name(const struct hf_store *s, uint32_t kind, const char *name)
{
    HF_ASSERT(kind < HF_KIND_MAX);
    struct record *r = s->names[kind];
    while (r != NULL) {
        int order = strcmp(name, r->object.name);
        if (order == 0)
            return &r->object;
        r = order < 0 ? r->left : r->right;
    }
    return NULL;
}

const struct hf_object *hf_store_next(const struct hf_store *s, uint32_t kind, const char *after)
{
    HF_ASSERT(kind < HF_KIND_MAX);
    struct record *r = s->names[kind], *best = NULL;
    while (r != NULL) {
        if (after == NULL || strcmp(r->object.name, after) > 0) {
            best = r;
            r = r->left;
        } else {
            r = r->right;
        }
    }
    return best == NULL ? NULL : &best->object;
}

size_t hf_store_count(const struct hf_store *s, uint32_t kind)
{
    HF_ASSERT(kind < HF_KIND_MAX);
    return s->counts[kind];
}

uint64_t hf_store_revision(const struct hf_store *s)
{
    return s->revision;
}

size_t hf_store_total(const struct hf_store *s)
{
    return s->n_records;
}

size_t hf_store_name_bytes(const struct hf_store *s)
{
    return s->name_bytes;
}

size_t hf_store_total_bytes(const struct hf_store *s)
{
    return s->name_bytes + s->content_bytes;
}

static void each_below(const struct record *r, void (*fn)(void *arg, const struct hf_object *o), void *arg)
{
    if (r == NULL)
        return;
    each_below(r->left, fn, arg);
    fn(arg, &r->object);
    each_below(r->right, fn, arg);
}

void hf_store_each(const struct hf_store *s, void (*fn)(void *arg, const struct hf_object *o), void *arg)
{
    for (uint32_t kind = 0; kind < HF_KIND_MAX; kind++)
        each_below(s->names[kind], fn, arg);
}

struct hf_bytes *hf_object_name_bytes(const struct hf_object *o)
{
    return record_of(o)->name;
}

/* --- changing --- */

void hf_store_unname(struct hf_store *s, const struct hf_object *o)
{
    struct record *r = record_of(o);
    HF_ASSERT(r->named);
    treap_remove(&s->names[r->object.kind], r);
    r->named = false;
}

static void set_name(struct hf_store *s, struct record *r, const char *name)
{
    if (r->name == NULL || strcmp(r->object.name, name) != 0) {
        HF_ASSERT(!r->named);
        if (r->name != NULL)
            s->name_bytes -= r->name->len;
        hf_bytes_unref(r->name);
        r->name = hf_bytes_copy(name, strlen(name) + 1);
        r->object.name = (const char *)r->name->data;
        s->name_bytes += r->name->len;
    }
    if (!r->named) {
        s->names[r->object.kind] = treap_insert(s->names[r->object.kind], r);
        r->named = true;
    }
}

const struct hf_object *hf_store_put(struct hf_store *s, uint32_t kind, const struct hf_uuid *uuid,
                                     const char *name, struct hf_bytes *bytes, uint64_t revision)
{
    HF_ASSERT(kind < HF_KIND_MAX);
    struct record *r = find(s, uuid);
    if (r == NULL) {
        if (s->n_records >= s->n_buckets)
            grow(s);
        r = HF_NEW(struct record);
        r->object = (struct hf_object){.uuid = *uuid, .kind = kind};
        r->priority = hash(uuid);
        struct record **b = bucket_of(s, uuid);
        r->chain = *b;
        *b = r;
        s->n_records++;
        s->counts[kind]++;
    } else {
        HF_ASSERT(r->object.kind == kind);
        s->content_bytes -= r->object.bytes->len;
        hf_bytes_unref(r->object.bytes);
    }
    r->object.bytes = bytes;
    r->object.revision = revision;
    s->content_bytes += bytes->len;
    set_name(s, r, name);
    return &r->object;
}

void hf_store_remove(struct hf_store *s, const struct hf_object *o)
{
    struct record *r = record_of(o);
    if (r->named)
        hf_store_unname(s, o);
    struct record **at = bucket_of(s, &o->uuid);
    while (*at != r)
        at = &(*at)->chain;
    *at = r->chain;
    s->n_records--;
    s->counts[r->object.kind]--;
    s->content_bytes -= r->object.bytes->len;
    s->name_bytes -= r->name->len;
    record_free(r);
}

void hf_store_set_revision(struct hf_store *s, uint64_t revision)
{
    s->revision = revision;
}

/* Field 1 (meta) holding field 4 (revision): a reader merges it into the message before it. */
#define TAG_META     (1 << 3 | 2)
#define TAG_REVISION (4 << 3 | 0)
#define VARINT_MAX   10

static size_t put_varint(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v > 0x7f; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

/* Length of the varint at p, which lies whole in n bytes: the store's own objects are well formed. */
static size_t get_varint(const uint8_t *p, size_t n, uint64_t *ret)
{
    size_t i = 0;
    *ret = 0;
    do {
        HF_ASSERT(i < n && i < VARINT_MAX);
        *ret |= (uint64_t)(p[i] & 0x7f) << (7 * i);
    } while (p[i++] & 0x80);
    return i;
}

struct hf_bytes *hf_object_with_revision(const struct hf_bytes *bytes, uint64_t revision)
{
    const uint8_t *meta = bytes->data, *end = bytes->data + bytes->len;
    uint64_t meta_len = 0;
    if (bytes->len > 0 && bytes->data[0] == TAG_META)
        meta += 1 + get_varint(bytes->data + 1, bytes->len - 1, &meta_len);
    HF_ASSERT(meta_len <= (size_t)(end - meta));
    uint8_t field[1 + VARINT_MAX] = {TAG_REVISION}, head[1 + VARINT_MAX] = {TAG_META};
    size_t field_len = 1 + put_varint(field + 1, revision);
    size_t head_len = 1 + put_varint(head + 1, meta_len + field_len);
    size_t rest = (size_t)(end - meta) - meta_len;
    struct hf_bytes *b = hf_bytes_new(head_len + meta_len + field_len + rest);
    uint8_t *p = b->data;
    memcpy(p, head, head_len);
    memcpy(p += head_len, meta, meta_len);
    memcpy(p += meta_len, field, field_len);
    memcpy(p + field_len, meta + meta_len, rest);
    return b;
}
