/* An administrator's recorded word that a host is off (rule 14). */
#ifndef HF_CONTROL_FENCE_CONFIRM_H
#define HF_CONTROL_FENCE_CONFIRM_H

#include "control/control.h"

/* For ConfirmHostDown: adds an administrator's word that this host is off (rule 14) to t, with the fence as
 * its answer. epoch 0: the present one. Refused when the host has contact, lives another epoch or never had
 * one, or without a statement. Repeating it adds nothing. */
hf_status hf_fence_confirm_down(struct hf_control *c, const struct hf_store *s, struct hf_txn *t,
                                const char *host_uuid, uint64_t epoch, const char *statement) HF_MUST_USE;

#endif
