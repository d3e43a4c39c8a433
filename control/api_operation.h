/* Operations as the API makes them (AIP-151); the controllers end them. */
#ifndef HF_CONTROL_API_OPERATION_H
#define HF_CONTROL_API_OPERATION_H

#include "control/api_rules.h"
#include "holdfast/v1/operation.pb-c.h"

struct hf_operation_target {
    uint32_t kind;
    const char *uuid, *name;
    uint64_t run; /* the run or generation that ends it; 0: none */
};

/* Puts a new operation with the UUID number `made` of the call and makes it the answer. done: it has nothing
 * to wait for and is stored as ended. */
void hf_draft_operation(struct hf_draft *d, unsigned made, const char *verb,
                        const struct hf_operation_target *target, const char *step, bool done);

#endif
