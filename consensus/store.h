/* The replicated object store as one replica sees it: objects by UUID and by (kind, name), a revision that
 * grows by one with every transaction that applied, and the recent history for watchers. Names are unique
 * within a kind.
 *
 * Pure: no clock, no I/O. Only replica.c changes a store; everybody else reads. Loop thread only.
 */
#ifndef HF_CONSENSUS_STORE_H
#define HF_CONSENSUS_STORE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "base/uuid.h"

#define HF_KIND_MAX   64        /* kinds are below this */
#define HF_NAME_MAX   255       /* bytes of an object's name */
#define HF_OBJECT_MAX (1 << 20) /* bytes of one object */

struct hf_store;

/* An object at one revision. Owned by the store; valid until the next transaction applies (hold a reference
 * on bytes to keep the content). `bytes` is the serialized message without meta.revision;
 * hf_object_append_revision() adds it. */
struct hf_object {
    struct hf_uuid uuid;
    uint32_t kind;
    const char *name;
    uint64_t revision; /* of its last change */
    struct hf_bytes *bytes;
};

const struct hf_object *hf_store_get(const struct hf_store *s, const struct hf_uuid *uuid);
/* The object if it is of that kind, else NULL. */
const struct hf_object *hf_store_get_kind(const struct hf_store *s, uint32_t kind,
                                          const struct hf_uuid *uuid);
const struct hf_object *hf_store_by_name(const struct hf_store *s, uint32_t kind, const char *name);

/* Objects of one kind in the order of their names (bytewise): the first whose name is greater than `after`
 * ("" or NULL: the first of all), or NULL. */
const struct hf_object *hf_store_next(const struct hf_store *s, uint32_t kind, const char *after);
size_t hf_store_count(const struct hf_store *s, uint32_t kind);

uint64_t hf_store_revision(const struct hf_store *s);

/* The object's bytes with meta.revision in them, as readers get them: a copy with the field spliced into meta
 * (field 1, which comes first), nothing decoded. Appending a second meta would be shorter and legal (protobuf
 * merges), but protobuf-c loses the numbers of the first one when it merges. The caller owns the result. */
struct hf_bytes *hf_object_with_revision(const struct hf_bytes *bytes, uint64_t revision);

#endif
