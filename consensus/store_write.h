/* The side of the store that changes it: for the state machine and the snapshot only. */
#ifndef HF_CONSENSUS_STORE_WRITE_H
#define HF_CONSENSUS_STORE_WRITE_H

#include "consensus/store.h"

struct hf_store *hf_store_create(void);
void hf_store_free(struct hf_store *s);

/* Takes the object's name out of the index, so that another may have it; the object must be put or removed
 * next. */
void hf_store_unname(struct hf_store *s, const struct hf_object *o);
/* Creates or replaces; takes the reference on bytes. The name must be free or its own. */
const struct hf_object *hf_store_put(struct hf_store *s, uint32_t kind, const struct hf_uuid *uuid,
                                     const char *name, struct hf_bytes *bytes, uint64_t revision);
void hf_store_remove(struct hf_store *s, const struct hf_object *o);
void hf_store_set_revision(struct hf_store *s, uint64_t revision);

/* The name as shared bytes with their end mark: the history keeps it after the object has gone. */
struct hf_bytes *hf_object_name_bytes(const struct hf_object *o);

/* Every object, by kind and name, faster than one hf_store_next() after another. */
void hf_store_each(const struct hf_store *s, void (*fn)(void *arg, const struct hf_object *o), void *arg);

size_t hf_store_total(const struct hf_store *s);       /* objects of all kinds */
size_t hf_store_name_bytes(const struct hf_store *s);  /* of their names, with end marks */
size_t hf_store_total_bytes(const struct hf_store *s); /* names and content */

#endif
