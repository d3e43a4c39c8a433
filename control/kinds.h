/* The table of kinds: how an object of the store becomes a message and back. */
#ifndef HF_CONTROL_KINDS_H
#define HF_CONTROL_KINDS_H

#include <protobuf-c/protobuf-c.h>

#include "base/env.h"
#include "consensus/store.h"
#include "consensus/txn.h"
#include "holdfast/v1/common.pb-c.h"

struct hf_kind {
    Holdfast__V1__Kind kind;
    const char *singular;   /* "instance offering": for sentences */
    const char *plural;
    const ProtobufCMessageDescriptor *message;
};

/* NULL for an unknown kind. */
const struct hf_kind *hf_kind_of(uint32_t kind);
const struct hf_kind *hf_kind_of_message(const ProtobufCMessageDescriptor *d);

/* The object as a message with meta.revision filled in; NULL when its bytes are damaged (a bug: asserted by callers).
 * Free with protobuf_c_message_free_unpacked(&m->base, NULL). */
ProtobufCMessage *hf_object_decode(const struct hf_object *o);

/* Decoded object of a kind by the text of its UUID, or NULL. ret (may be NULL) gets the stored object. */
ProtobufCMessage *hf_object_find(const struct hf_store *s, uint32_t kind, const char *uuid_text,
                                 const struct hf_object **ret);

/* Puts a decoded and changed message back under its own meta.uuid and meta.name: clears meta.revision in the stored bytes,
 * sets meta.updated_at_ms, and checks the revision that it was decoded at (0: must be absent). */
void hf_txn_put_message(struct hf_txn *t, struct hf_env *env, ProtobufCMessage *m);

/* The Meta of any object message. */
Holdfast__V1__Meta *hf_message_meta(const ProtobufCMessage *m);

#endif
