/* Power devices as the store holds them: what may be in one, what readers see of it, and what is asked of its
 * agent. */
#ifndef HF_CONTROL_POWER_DEVICES_H
#define HF_CONTROL_POWER_DEVICES_H

#include "base/status.h"
#include "control/power_runner.h"
#include "holdfast/v1/infra.pb-c.h"

#define HF_POWER_SECRET_SHOWN "set" /* what readers see of a secret */

/* INVALID: a sentence. The agent's name is a bare fence_… word, so that only programs in the agents'
 * directory can be meant; options that would run or write something on the control node, or change what is
 * asked, are refused. */
hf_status hf_power_device_check(const Holdfast__V1__PowerDevice *d) HF_MUST_USE;

/* Replaces the values of all secrets by HF_POWER_SECRET_SHOWN. */
void hf_power_devices_hide(Holdfast__V1__Host *h);

/* Of one host's device; NULL: none of this name. */
const Holdfast__V1__PowerDevice *hf_power_device_find(const Holdfast__V1__Host *h, const char *name);

/* Has the agent of d asked. The options point into d and to `room`, which has HF_POWER_OPTIONS_MAX. */
struct hf_power_order hf_power_order_of(const Holdfast__V1__PowerDevice *d, enum hf_power_verb verb,
                                        struct hf_power_option *room);

#endif
