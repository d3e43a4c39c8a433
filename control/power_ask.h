/* Asks every power device of a host once: "status", or "on" and then the status. For an operator, not for
 * fencing. */
#ifndef HF_CONTROL_POWER_ASK_H
#define HF_CONTROL_POWER_ASK_H

#include "control/control.h"
#include "ha/power_fence.h"
#include "holdfast/v1/infra.pb-c.h"

struct hf_power_ask;

struct hf_power_said {
    enum hf_power_answer answer; /* to the status */
    char text[HF_POWER_TEXT_MAX];
};

/* said: of each device, in the order of h->spec->power_fencing as it was. Called once, not from within start;
 * the ask is gone then. */
typedef void (*hf_power_asked)(void *arg, const struct hf_power_said *said, size_t n);

/* verb: STATUS or ON. c->power is there. */
struct hf_power_ask *hf_power_ask_start(struct hf_control *c, const Holdfast__V1__Host *h,
                                        enum hf_power_verb verb, hf_power_asked done, void *arg);
void hf_power_ask_cancel(struct hf_power_ask *a);

#endif
