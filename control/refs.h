/* The table of references: which field of which kind holds the UUID of which other kind. From it follow two
 * rules: what an object refers to must exist when it is written, and what is referred to is not deleted.
 */
#ifndef HF_CONTROL_REFS_H
#define HF_CONTROL_REFS_H

#include "control/kinds.h"

/* Every reference of m that users set exists in the store; they are rewritten in the canonical form. INVALID
 * (missing, malformed) or NOT_FOUND, naming the field. */
hf_status hf_refs_check(const struct hf_store *s, ProtobufCMessage *m) HF_MUST_USE;

/* Who refers to this object: "clusters 'c1', 'c2' and 3 more", NULL for nobody. The caller frees it. */
char *hf_refs_users(const struct hf_store *s, uint32_t kind, const char *uuid);

#endif
