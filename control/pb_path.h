/* Dotted paths into protobuf messages by their descriptors ("spec.zone_uuid"): what filters, update masks and
 * the table of references are written in. Pure.
 */
#ifndef HF_CONTROL_PB_PATH_H
#define HF_CONTROL_PB_PATH_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#define HF_PB_PATH_MAX 8 /* fields in one path */

struct hf_pb_path {
    const ProtobufCFieldDescriptor *fields[HF_PB_PATH_MAX];
    size_t n;
};

/* False when the message has no such field. text need not end with a zero byte. */
bool hf_pb_path_resolve(const ProtobufCMessageDescriptor *d, const char *text, size_t len,
                        struct hf_pb_path *ret);

static inline const ProtobufCFieldDescriptor *hf_pb_path_last(const struct hf_pb_path *p)
{
    return p->fields[p->n - 1];
}

/* Calls back for every value at the path (several where it crosses repeated fields; a singular one that is
 * not set counts with its default when its parents are there) until one call returns true; returns whether
 * one did. value points to the C member: char *, uint32_t, ProtobufCMessage *, … */
bool hf_pb_path_any(const struct hf_pb_path *p, const ProtobufCMessage *m,
                    bool (*cb)(void *arg, const ProtobufCFieldDescriptor *f, void *value), void *arg);

/* Exchanges the field at the path between two messages of one type; parents that are missing are made. The
 * path must not cross a repeated field. */
void hf_pb_path_swap(const struct hf_pb_path *p, ProtobufCMessage *a, ProtobufCMessage *b);

/* The field has another value than its default (or any element). */
bool hf_pb_path_is_set(const struct hf_pb_path *p, const ProtobufCMessage *m);

/* The member for a singular sub-message, made if it is NULL. */
ProtobufCMessage *hf_pb_submessage(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

#endif
