/* When an operation has ended, and what it waits for until then: a pure look at its target. */
#ifndef HF_CONTROL_OPERATION_VERDICT_H
#define HF_CONTROL_OPERATION_VERDICT_H

#include "base/status.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

#define HF_STEP_MAX 1024 /* bytes of a step's sentence */

enum hf_verdict_kind { HF_VERDICT_RUNNING, HF_VERDICT_SUCCEEDED, HF_VERDICT_FAILED, HF_VERDICT_CANCELLED };

struct hf_verdict {
    enum hf_verdict_kind kind;
    enum hf_code code;      /* FAILED */
    char text[HF_STEP_MAX]; /* RUNNING: the step; FAILED: the sentence */
    bool stop_target;       /* CANCELLED: what was started is to be stopped again */
};

/* target: the decoded Host, Image, Instance or Volume; NULL: it does not exist (any more). place: the name of
 * the host of the instance's placement, or "". */
void hf_verdict_of(const Holdfast__V1__Operation *op, const ProtobufCMessage *target, const char *place,
                   struct hf_verdict *ret);

#endif
