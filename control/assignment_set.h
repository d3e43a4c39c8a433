/* The set of messages that one host must have been sent, each under the UUID (or storage) that it is about:
 * built anew from the world, then compared with the set that its stream has had. Pure.
 */
#ifndef HF_CONTROL_ASSIGNMENT_SET_H
#define HF_CONTROL_ASSIGNMENT_SET_H

#include "control/world.h"
#include "holdfast/v1/host_link.pb-c.h"

struct hf_assignment {
    bool observe;  /* an Observe; else an Assignment */
    uint32_t kind; /* of the object, for Unassign */
    char uuid[HF_UUID_STR];
    uint8_t *bytes; /* the Assignment or Observe, packed: most are only compared */
    size_t len;
};

struct hf_assignment_set {
    struct hf_assignment *items; /* in the order in which they are to be sent */
    size_t n;
};

void hf_assignment_set_done(struct hf_assignment_set *s);

/* What (host, epoch) must know now. The host exists in the world, else the set is empty. */
void hf_assignment_set_build(struct hf_assignment_set *s, const struct hf_world *w,
                             const struct hf_store *store, const char *host_uuid, uint64_t epoch);

const struct hf_assignment *hf_assignment_set_find(const struct hf_assignment_set *s, bool observe,
                                                   const char *uuid);
/* Taken apart again, to be freed as an unpacked message. */
ProtobufCMessage *hf_assignment_message(const struct hf_assignment *a);
bool hf_assignment_same(const struct hf_assignment *a, const struct hf_assignment *b);

#endif
