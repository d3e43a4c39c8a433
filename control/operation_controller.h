/* Ends operations when their target is where it should be (operation_verdict.h says when), and forgets old
 * ones. */
#ifndef HF_CONTROL_OPERATION_CONTROLLER_H
#define HF_CONTROL_OPERATION_CONTROLLER_H

#include "control/controllers_state.h"

#define HF_OPERATIONS_KEPT_MAX   1000 /* ended ones; above, the oldest are deleted */
#define HF_OPERATIONS_FORGET_MAX 64   /* in one transaction */

/* Deletes ended operations that are too many or too old; called now and then. */
void hf_operations_forget(struct hf_controllers *c);

#endif
