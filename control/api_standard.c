/* The standard methods, the same for every kind: Get, Create, Update, Delete. Lists are in api_list.c. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_rules.h"
#include "control/pb_path.h"
#include "control/refs.h"
#include "google/protobuf/field_mask.pb-c.h"

struct hf_draft hf_draft_begin(struct hf_api_call *c, const struct hf_store *s, struct hf_txn *t)
{
    return (struct hf_draft){.call = c, .store = s, .txn = t, .wall_ms = hf_env_wall_ms(hf_call_env(c))};
}

/* --- finding --- */

const struct hf_object *hf_lookup(const struct hf_store *s, uint32_t kind, const char *uuid, const char *name,
                                  hf_status *ret_st)
{
    const char *singular = hf_kind_of(kind)->singular;
    const struct hf_object *o = NULL;
    struct hf_uuid u;
    if (uuid[0] == '\0' && name[0] == '\0') {
        *ret_st = hf_error(HF_INVALID, "name the %s by uuid or name", singular);
    } else if (uuid[0] == '\0') {
        o = hf_store_by_name(s, kind, name);
        if (o == NULL)
            *ret_st = hf_error(HF_NOT_FOUND, "there is no %s '%s'", singular, name);
    } else if (!hf_uuid_parse(uuid, &u)) {
        *ret_st = hf_error(HF_INVALID, "'%s' is not the UUID of a %s (32 hex digits)", uuid, singular);
    } else {
        o = hf_store_get_kind(s, kind, &u);
        if (o == NULL)
            *ret_st = hf_error(HF_NOT_FOUND, "there is no %s with UUID %s", singular, uuid);
    }
    return o;
}

ProtobufCMessage *hf_lookup_message(const struct hf_store *s, uint32_t kind, const char *uuid,
                                    const char *name, hf_status *ret_st)
{
    const struct hf_object *o = hf_lookup(s, kind, uuid, name, ret_st);
    if (o == NULL)
        return NULL;
    ProtobufCMessage *m = hf_object_decode(o);
    HF_ASSERT(m != NULL);
    return m;
}

ProtobufCMessage *hf_request_object(const ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *f = &request->descriptor->fields[1];
    HF_ASSERT(f->id == 2 && f->type == PROTOBUF_C_TYPE_MESSAGE);
    return *(ProtobufCMessage *const *)(const void *)((const char *)request + f->offset);
}

/* --- Get --- */

static void get_now(struct hf_api_call *c)
{
    const Holdfast__V1__GetRequest *r = (const Holdfast__V1__GetRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    const struct hf_object *o = hf_lookup(hf_call_store(c), c->rules->kind, r->uuid, r->name, &st);
    if (o == NULL)
        hf_call_end(c, st);
    else
        hf_call_answer_object(c, o->kind, o->bytes, o->revision);
}

void hf_handle_get(struct hf_api_call *c)
{
    hf_call_read(c, ((const Holdfast__V1__GetRequest *)c->request)->stale, get_now);
}

/* --- Create --- */

/* Strings of messages must be valid UTF-8: bytes that are not would make answers that clients refuse. */

/* Bytes that follow a first one; -1 for none that may be first. */
static int utf8_follow(uint8_t first)
{
    if (first < 0x80)
        return 0;
    if (first < 0xc2 || first > 0xf4)
        return -1;
    return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

/* Longer forms than needed, surrogates, and what lies beyond U+10FFFF (RFC 3629). */
static bool utf8_forbidden(const uint8_t *p)
{
    return (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
           (p[0] == 0xf4 && p[1] > 0x8f);
}

static bool utf8_valid(const char *s)
{
    const uint8_t *p = (const uint8_t *)s;
    while (*p != 0) {
        int follow = utf8_follow(*p);
        if (follow < 0 || utf8_forbidden(p))
            return false;
        for (p++; follow > 0; follow--, p++)
            if ((*p & 0xc0) != 0x80)
                return false;
    }
    return true;
}

hf_status hf_name_check(const char *name)
{
    if (name[0] == '\0')
        return hf_error(HF_INVALID, "the name is empty");
    if (strlen(name) > HF_NAME_MAX)
        return hf_error(HF_INVALID, "the name is longer than %d bytes", HF_NAME_MAX);
    if (!utf8_valid(name))
        return hf_error(HF_INVALID, "the name is not valid UTF-8");
    for (const char *p = name; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '/')
            return hf_error(HF_INVALID, "the name contains %s, which names may not",
                            *p == '/' ? "'/'" : "a control character");
    return HF_STATUS_OK;
}

static hf_status name_free(const struct hf_store *s, const struct hf_kind *k, const char *name,
                           const char *own_uuid)
{
    const struct hf_object *o = hf_store_by_name(s, k->kind, name);
    char holder[HF_UUID_STR];
    if (o == NULL || strcmp(hf_uuid_format(&o->uuid, holder), own_uuid) == 0)
        return HF_STATUS_OK;
    return hf_error(HF_EXISTS, "the name is taken by %s %s", k->singular, holder);
}

/* What users may not set is empty, what every object has is there. */
static void normalize_new(ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        if (strcmp(f->name, "spec") == 0)
            hf_pb_submessage(m, f);
        if (strcmp(f->name, "status") != 0 && strcmp(f->name, "placement") != 0)
            continue;
        ProtobufCMessage **sub = (ProtobufCMessage **)(void *)((char *)m + f->offset);
        if (*sub != NULL)
            protobuf_c_message_free_unpacked(*sub, NULL);
        *sub = NULL;
        if (strcmp(f->name, "status") == 0)
            hf_pb_submessage(m, f);
    }
}

static hf_status create_checks(struct hf_draft *e, const struct hf_kind_rules *rules, ProtobufCMessage *m)
{
    const Holdfast__V1__Meta *meta = hf_message_meta(m);
    HF_TRY(hf_name_check(meta->name));
    HF_TRY(name_free(e->store, hf_kind_of(rules->kind), meta->name, meta->uuid));
    if (!utf8_valid(meta->description))
        return hf_error(HF_INVALID, "the description is not valid UTF-8");
    HF_TRY(hf_refs_check(e->store, m));
    return rules->create != NULL ? rules->create(e, m) : HF_STATUS_OK;
}

hf_status hf_draft_create(struct hf_draft *e, const struct hf_kind_rules *rules, const struct hf_uuid *uuid,
                          ProtobufCMessage *m)
{
    Holdfast__V1__Meta *meta = hf_message_meta(m);
    HF_ASSERT(meta != NULL);
    char text[HF_UUID_STR];
    if (strcmp(meta->uuid, hf_uuid_format(uuid, text)) != 0)
        hf_pb_set(&meta->uuid, text);
    meta->revision = 0;
    meta->created_at_ms = e->wall_ms;
    normalize_new(m);
    hf_status st = create_checks(e, rules, m);
    if (!hf_ok(st))
        return hf_wrap(st, "create %s '%s'", hf_kind_of(rules->kind)->singular, meta->name);
    hf_txn_put_message(e->txn, hf_call_env(e->call), m);
    return HF_STATUS_OK;
}

static hf_status build_create(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft e = hf_draft_begin(c, s, t);
    HF_TRY(hf_draft_create(&e, c->rules, hf_call_uuid(c, 0), hf_request_object(c->request)));
    hf_txn_answer_last_put(t);
    return HF_STATUS_OK;
}

/* The object of the request with its meta; false: the call has ended. */
static bool require_object(struct hf_api_call *c, const char *verb)
{
    const char *singular = hf_kind_of(c->rules->kind)->singular;
    ProtobufCMessage *m = hf_request_object(c->request);
    if (m != NULL && hf_message_meta(m) != NULL)
        return true;
    hf_call_end(c,
                hf_error(HF_INVALID, "%s %s: the request has no %s with a meta", verb, singular, singular));
    return false;
}

ProtobufCMessage *hf_request_new_object(struct hf_api_call *c)
{
    if (!require_object(c, "create"))
        return NULL;
    ProtobufCMessage *m = hf_request_object(c->request);
    const Holdfast__V1__Meta *meta = hf_message_meta(m);
    if (meta->uuid[0] == '\0')
        return m;
    hf_call_end(c,
                hf_error(HF_INVALID, "create %s '%s': meta.uuid is made by the control plane, leave it empty",
                         hf_kind_of(c->rules->kind)->singular, meta->name));
    return NULL;
}

void hf_handle_create_in(struct hf_api_call *c, enum hf_room room)
{
    if (hf_request_new_object(c) != NULL)
        hf_call_write(c, room, build_create);
}

void hf_handle_create(struct hf_api_call *c)
{
    hf_handle_create_in(c, HF_ROOM_ADD);
}

/* --- Update --- */

#define MASK_MAX 64

struct mask {
    struct hf_pb_path paths[MASK_MAX];
    size_t n;
};

static void mask_add(struct mask *mask, const struct hf_kind_rules *rules, const char *path)
{
    HF_ASSERT(mask->n < MASK_MAX);
    bool found =
        hf_pb_path_resolve(hf_kind_of(rules->kind)->message, path, strlen(path), &mask->paths[mask->n]);
    HF_ASSERT(found);
    mask->n++;
}

static const char *const meta_paths[] = {"meta.name", "meta.description", NULL};

static const char *mutable_path(const struct hf_kind_rules *rules, const char *path)
{
    const char *const *lists[] = {meta_paths, rules->mutable_paths};
    for (size_t l = 0; l < 2; l++)
        for (const char *const *p = lists[l]; p != NULL && *p != NULL; p++)
            if (strcmp(*p, path) == 0 || (l == 0 && strcmp(*p + strlen("meta."), path) == 0))
                return *p;
    return NULL;
}

/* Without a mask: everything that may change and is set in the request (AIP-134). */
static hf_status mask_of(const struct hf_kind_rules *rules, const Google__Protobuf__FieldMask *fm,
                         const ProtobufCMessage *m, struct mask *ret)
{
    ret->n = 0;
    if (fm == NULL || fm->n_paths == 0) {
        const char *const *lists[] = {meta_paths, rules->mutable_paths};
        for (size_t l = 0; l < 2; l++)
            for (const char *const *p = lists[l]; p != NULL && *p != NULL; p++) {
                mask_add(ret, rules, *p);
                if (!hf_pb_path_is_set(&ret->paths[ret->n - 1], m))
                    ret->n--;
            }
        return HF_STATUS_OK;
    }
    if (fm->n_paths > MASK_MAX)
        return hf_error(HF_INVALID, "update_mask: more than %d paths", MASK_MAX);
    for (size_t i = 0; i < fm->n_paths; i++) {
        const char *path = mutable_path(rules, fm->paths[i]);
        struct hf_pb_path any;
        const char *text = fm->paths[i];
        if (path == NULL)
            return hf_error(HF_INVALID, "update_mask: %s '%s'",
                            hf_pb_path_resolve(m->descriptor, text, strlen(text), &any)
                                ? "this method may not change"
                                : "there is no field",
                            text);
        bool repeated = false;
        for (size_t j = 0; j < i; j++)
            repeated |= mutable_path(rules, fm->paths[j]) == path;
        if (!repeated)
            mask_add(ret, rules, path);
    }
    return HF_STATUS_OK;
}

static const Google__Protobuf__FieldMask *request_mask(const ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *f = &request->descriptor->fields[2];
    HF_ASSERT(f->id == 3 && f->descriptor == &google__protobuf__field_mask__descriptor);
    return *(Google__Protobuf__FieldMask *const *)(const void *)((const char *)request + f->offset);
}

static hf_status update_checks(struct hf_draft *e, const struct hf_kind_rules *rules,
                               const ProtobufCMessage *before, ProtobufCMessage *m)
{
    const Holdfast__V1__Meta *meta = hf_message_meta(m);
    if (strcmp(meta->name, hf_message_meta(before)->name) != 0) {
        HF_TRY(hf_name_check(meta->name));
        HF_TRY(name_free(e->store, hf_kind_of(rules->kind), meta->name, meta->uuid));
    }
    if (!utf8_valid(meta->description))
        return hf_error(HF_INVALID, "the description is not valid UTF-8");
    return rules->update != NULL ? rules->update(e, before, m) : HF_STATUS_OK;
}

hf_status hf_revision_check(uint64_t wanted, uint64_t present)
{
    if (wanted == 0 || wanted == present)
        return HF_STATUS_OK;
    return hf_error(HF_CONFLICT, "changed meanwhile: it is at revision %llu, not %llu; read it again",
                    (unsigned long long)present, (unsigned long long)wanted);
}

static hf_status update_object(struct hf_draft *e, const struct hf_object *o, ProtobufCMessage *wanted)
{
    const struct hf_kind_rules *rules = e->call->rules;
    struct mask mask;
    HF_TRY(hf_revision_check(hf_message_meta(wanted)->revision, o->revision));
    HF_TRY(mask_of(rules, request_mask(e->call->request), wanted, &mask));

    ProtobufCMessage *before = hf_object_decode(o), *m = hf_object_decode(o);
    HF_ASSERT(before != NULL && m != NULL);
    for (size_t i = 0; i < mask.n; i++)
        hf_pb_path_swap(&mask.paths[i], m, wanted);
    hf_status st = update_checks(e, rules, before, m);
    if (hf_ok(st))
        hf_draft_put_answer(e, m);
    for (size_t i = 0; i < mask.n; i++) /* back: a build may be repeated */
        hf_pb_path_swap(&mask.paths[i], m, wanted);
    protobuf_c_message_free_unpacked(before, NULL);
    protobuf_c_message_free_unpacked(m, NULL);
    return st;
}

static hf_status build_update(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft e = hf_draft_begin(c, s, t);
    ProtobufCMessage *wanted = hf_request_object(c->request);
    const Holdfast__V1__Meta *meta = hf_message_meta(wanted);
    const char *singular = hf_kind_of(c->rules->kind)->singular;
    hf_status st = HF_STATUS_OK;
    /* Found by UUID; by name only when no UUID is given (a name next to a UUID is the new one). */
    const struct hf_object *o = hf_lookup(s, c->rules->kind, meta->uuid, meta->name, &st);
    if (o == NULL)
        return hf_wrap(st, "update %s", singular);
    return hf_wrap(update_object(&e, o, wanted), "update %s '%s'", singular, o->name);
}

void hf_handle_update(struct hf_api_call *c)
{
    if (require_object(c, "update"))
        hf_call_write(c, HF_ROOM_ADD, build_update);
}

void hf_draft_put_answer(struct hf_draft *e, ProtobufCMessage *m)
{
    hf_txn_put_message(e->txn, hf_call_env(e->call), m);
    hf_txn_answer_last_put(e->txn);
}

/* --- Delete --- */

hf_status hf_draft_check_unused(struct hf_draft *e, uint32_t kind, const char *uuid)
{
    char *users = hf_refs_users(e->store, kind, uuid);
    if (users == NULL)
        return HF_STATUS_OK;
    hf_status st = hf_error(HF_PRECONDITION, "it is in use by %s", users);
    free(users);
    return st;
}

static hf_status delete_checks(struct hf_draft *e, const struct hf_object *o, uint64_t revision)
{
    HF_TRY(hf_revision_check(revision, o->revision));
    char uuid[HF_UUID_STR];
    HF_TRY(hf_draft_check_unused(e, o->kind, hf_uuid_format(&o->uuid, uuid)));
    if (e->call->rules->remove == NULL)
        return HF_STATUS_OK;
    ProtobufCMessage *m = hf_object_decode(o);
    HF_ASSERT(m != NULL);
    hf_status st = e->call->rules->remove(e, m);
    protobuf_c_message_free_unpacked(m, NULL);
    return st;
}

static hf_status build_delete(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft e = hf_draft_begin(c, s, t);
    const Holdfast__V1__DeleteRequest *r = (const Holdfast__V1__DeleteRequest *)c->request;
    const char *singular = hf_kind_of(c->rules->kind)->singular;
    hf_status st = HF_STATUS_OK;
    const struct hf_object *o = hf_lookup(s, c->rules->kind, r->uuid, r->name, &st);
    if (o == NULL)
        return hf_wrap(st, "delete %s", singular);
    HF_TRY(hf_wrap(delete_checks(&e, o, r->revision), "delete %s '%s'", singular, o->name));
    hf_txn_check(t, &o->uuid, o->revision);
    hf_txn_delete(t, &o->uuid);
    return HF_STATUS_OK;
}

void hf_handle_delete(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_REMOVE, build_delete);
}
