#include "control/refs.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/pb_path.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"

#define K(name) HOLDFAST__V1__KIND__##name

/* INTERNAL: written by the control plane, not checked on create. */
enum given { OPTIONAL, REQUIRED, INTERNAL };

struct ref {
    uint32_t from;
    const char *path;
    uint32_t to;
    enum given given;
    bool (*counts)(const ProtobufCMessage *m); /* NULL: always a use */
};

/* A network's own DHCP address goes with the network. */
static bool address_of_instance(const ProtobufCMessage *m)
{
    return ((const Holdfast__V1__IpAddress *)m)->instance_uuid[0] != '\0';
}

/* What needs its image is its root volume, until that was flattened. */
static bool has_no_root_volume(const ProtobufCMessage *m)
{
    return ((const Holdfast__V1__Instance *)m)->spec->root_volume_uuid[0] == '\0';
}

/* A run that is over holds no host. */
static bool placement_is_open(const ProtobufCMessage *m)
{
    const Holdfast__V1__Placement *p = ((const Holdfast__V1__Instance *)m)->placement;
    return p != NULL && p->end == NULL;
}

static const struct ref refs[] = {
    {K(CLUSTER), "spec.zone_uuid", K(ZONE), REQUIRED, NULL},
    {K(CLUSTER), "spec.primary_storage_uuids", K(PRIMARY_STORAGE), OPTIONAL, NULL},
    {K(CLUSTER), "spec.l2_network_uuids", K(L2_NETWORK), OPTIONAL, NULL},
    {K(HOST), "spec.cluster_uuid", K(CLUSTER), REQUIRED, NULL},
    {K(PRIMARY_STORAGE), "spec.zone_uuid", K(ZONE), REQUIRED, NULL},
    {K(L2_NETWORK), "spec.zone_uuid", K(ZONE), REQUIRED, NULL},
    {K(L3_NETWORK), "spec.l2_network_uuid", K(L2_NETWORK), REQUIRED, NULL},
    {K(IMAGE_SERVER), "spec.zone_uuid", K(ZONE), REQUIRED, NULL},
    {K(IMAGE), "spec.image_server_uuid", K(IMAGE_SERVER), OPTIONAL, NULL},
    {K(VOLUME), "spec.primary_storage_uuid", K(PRIMARY_STORAGE), OPTIONAL, NULL},
    {K(VOLUME), "spec.image_uuid", K(IMAGE), OPTIONAL, NULL},
    {K(VOLUME), "status.host_uuid", K(HOST), INTERNAL, NULL},
    {K(INSTANCE), "spec.instance_offering_uuid", K(INSTANCE_OFFERING), REQUIRED, NULL},
    {K(INSTANCE), "spec.image_uuid", K(IMAGE), REQUIRED, has_no_root_volume},
    {K(INSTANCE), "spec.l3_network_uuids", K(L3_NETWORK), REQUIRED, NULL},
    {K(INSTANCE), "spec.primary_storage_uuid", K(PRIMARY_STORAGE), OPTIONAL, NULL},
    {K(INSTANCE), "spec.host_uuid", K(HOST), OPTIONAL, NULL},
    {K(INSTANCE), "spec.affinity_group_uuids", K(AFFINITY_GROUP), OPTIONAL, NULL},
    {K(IP_ADDRESS), "l3_network_uuid", K(L3_NETWORK), INTERNAL, address_of_instance},
    {K(INSTANCE), "placement.host_uuid", K(HOST), INTERNAL, placement_is_open},
};

#define REFS_N (sizeof refs / sizeof refs[0])

static struct hf_pb_path path_of(const struct ref *r)
{
    struct hf_pb_path p;
    bool found = hf_pb_path_resolve(hf_kind_of(r->from)->message, r->path, strlen(r->path), &p);
    HF_ASSERT(found && hf_pb_path_last(&p)->type == PROTOBUF_C_TYPE_STRING);
    return p;
}

struct check {
    const struct hf_store *store;
    const struct ref *ref;
    size_t seen;
    hf_status st;
};

static bool check_value(void *arg, const ProtobufCFieldDescriptor *f, void *value)
{
    (void)f;
    struct check *c = arg;
    char **text = value;
    const char *singular = hf_kind_of(c->ref->to)->singular;
    struct hf_uuid uuid;
    if ((*text)[0] == '\0')
        return false;
    c->seen++;
    if (!hf_uuid_parse(*text, &uuid)) {
        c->st = hf_error(HF_INVALID, "%s: '%s' is not a UUID", c->ref->path, *text);
        return true;
    }
    if (hf_store_get_kind(c->store, c->ref->to, &uuid) == NULL) {
        c->st = hf_error(HF_NOT_FOUND, "%s: there is no %s %s", c->ref->path, singular, *text);
        return true;
    }
    char canonical[HF_UUID_STR];
    if (strcmp(hf_uuid_format(&uuid, canonical), *text) != 0)
        hf_pb_set(text, canonical);
    return false;
}

hf_status hf_refs_check(const struct hf_store *s, ProtobufCMessage *m)
{
    const struct hf_kind *k = hf_kind_of_message(m->descriptor);
    for (size_t i = 0; i < REFS_N; i++) {
        if (refs[i].from != k->kind || refs[i].given == INTERNAL)
            continue;
        struct check c = {.store = s, .ref = &refs[i], .st = HF_STATUS_OK};
        struct hf_pb_path p = path_of(&refs[i]);
        if (hf_pb_path_any(&p, m, check_value, &c))
            return c.st;
        if (refs[i].given == REQUIRED && c.seen == 0)
            return hf_error(HF_INVALID, "%s is missing", refs[i].path);
    }
    return HF_STATUS_OK;
}

/* --- users --- */

#define NAMED_MAX 3

struct users {
    const struct hf_kind *kind;
    size_t n;
    char *text; /* "'a', 'b'" */
};

static bool value_is(void *arg, const ProtobufCFieldDescriptor *f, void *value)
{
    (void)f;
    return strcmp(*(char **)value, arg) == 0;
}

static bool refers(const struct hf_object *o, const struct ref *r, const struct hf_pb_path *p,
                   const char *uuid)
{
    /* The text must be somewhere in the bytes: most objects need no decoding. */
    if (memmem(o->bytes->data, o->bytes->len, uuid, strlen(uuid)) == NULL)
        return false;
    ProtobufCMessage *m = hf_object_decode(o);
    HF_ASSERT(m != NULL);
    bool yes = hf_pb_path_any(p, m, value_is, (void *)uuid) && (r->counts == NULL || r->counts(m));
    protobuf_c_message_free_unpacked(m, NULL);
    return yes;
}

static void add_user(struct users *u, const char *name)
{
    if (u->n++ >= NAMED_MAX)
        return;
    char *text = u->text == NULL ? hf_printf("'%s'", name) : hf_printf("%s, '%s'", u->text, name);
    free(u->text);
    u->text = text;
}

static char *users_sentence(struct users *u)
{
    if (u->n == 0)
        return NULL;
    const char *what = u->n == 1 ? u->kind->singular : u->kind->plural;
    char *s = u->n <= NAMED_MAX ? hf_printf("%s %s", what, u->text)
                                : hf_printf("%s %s and %zu more", what, u->text, u->n - NAMED_MAX);
    free(u->text);
    return s;
}

char *hf_refs_users(const struct hf_store *s, uint32_t kind, const char *uuid)
{
    for (size_t i = 0; i < REFS_N; i++) {
        /* An offering is copied into the instance: it may go. */
        if (refs[i].to != kind || kind == K(INSTANCE_OFFERING))
            continue;
        struct users u = {.kind = hf_kind_of(refs[i].from)};
        struct hf_pb_path p = path_of(&refs[i]);
        for (const struct hf_object *o = hf_store_next(s, refs[i].from, ""); o != NULL;
             o = hf_store_next(s, refs[i].from, o->name))
            if (refers(o, &refs[i], &p, uuid))
                add_user(&u, o->name);
        if (u.n > 0)
            return users_sentence(&u);
    }
    return NULL;
}
