#include "sim/request.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/kinds.h"
#include "google/protobuf/field_mask.pb-c.h"

ProtobufCMessage *sim_request_new(const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *m = hf_alloc(d->sizeof_message);
    protobuf_c_message_init(d, m);
    return m;
}

static void *member(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (char *)m + f->offset;
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessage *m, const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
}

void sim_request_set(ProtobufCMessage *m, const char *field, const char *value)
{
    const ProtobufCFieldDescriptor *f = field_of(m, field);
    HF_ASSERT(f != NULL && f->type == PROTOBUF_C_TYPE_STRING && f->label != PROTOBUF_C_LABEL_REPEATED);
    if (value[0] != '\0')
        hf_pb_set(member(m, f), value);
}

/* The message in field f, made when it is not there yet. */
static ProtobufCMessage *sub(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    HF_ASSERT(f != NULL && f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED);
    ProtobufCMessage **at = member(m, f);
    if (*at == NULL)
        *at = sim_request_new(f->descriptor);
    return *at;
}

ProtobufCMessage *sim_request_sub(ProtobufCMessage *m, const char *field)
{
    return sub(m, field_of(m, field));
}

const char *sim_request_text(const ProtobufCMessage *m, const char *field)
{
    const ProtobufCFieldDescriptor *f = field_of(m, field);
    return f != NULL && f->type == PROTOBUF_C_TYPE_STRING ? *(char **)member(m, f) : "";
}

ProtobufCMessage *sim_request_get(const char *uuid, const char *name, bool stale)
{
    ProtobufCMessage *m = sim_request_new(&holdfast__v1__get_request__descriptor);
    sim_request_set(m, "uuid", uuid);
    sim_request_set(m, "name", name);
    ((Holdfast__V1__GetRequest *)(void *)m)->stale = stale;
    return m;
}

ProtobufCMessage *sim_request_delete(const char *request_id, const char *uuid, uint64_t revision)
{
    ProtobufCMessage *m = sim_request_new(&holdfast__v1__delete_request__descriptor);
    sim_request_set(m, "request_id", request_id);
    sim_request_set(m, "uuid", uuid);
    ((Holdfast__V1__DeleteRequest *)(void *)m)->revision = revision;
    return m;
}

/* Create and update requests have the request_id first and the object second. */
static Holdfast__V1__Meta *begin(const ProtobufCMessageDescriptor *d, const char *request_id,
                                 ProtobufCMessage **ret_request, ProtobufCMessage **ret_object)
{
    ProtobufCMessage *m = sim_request_new(d);
    sim_request_set(m, "request_id", request_id);
    *ret_request = m;
    *ret_object = sub(m, &d->fields[1]);
    return (Holdfast__V1__Meta *)(void *)sim_request_sub(*ret_object, "meta");
}

ProtobufCMessage *sim_request_update(const ProtobufCMessageDescriptor *d, const char *request_id,
                                     const char *uuid, uint64_t revision, const char *path,
                                     ProtobufCMessage **ret_object)
{
    ProtobufCMessage *m;
    Holdfast__V1__Meta *meta = begin(d, request_id, &m, ret_object);
    hf_pb_set(&meta->uuid, uuid);
    meta->revision = revision;
    Google__Protobuf__FieldMask *mask =
        (Google__Protobuf__FieldMask *)(void *)sim_request_sub(m, "update_mask");
    mask->paths = hf_alloc(sizeof *mask->paths);
    mask->paths[0] = hf_strdup(path);
    mask->n_paths = 1;
    return m;
}

ProtobufCMessage *sim_request_create(const ProtobufCMessageDescriptor *d, const char *request_id,
                                     const char *name, ProtobufCMessage **ret_object)
{
    ProtobufCMessage *m;
    Holdfast__V1__Meta *meta = begin(d, request_id, &m, ret_object);
    hf_pb_set(&meta->name, name);
    return m;
}
