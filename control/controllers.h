/* The leader's controllers: they compare what is wanted with what is seen and take the next step, each step
 * one transaction that may be repeated after a crash. They start when this node leads and is ready and forget
 * everything when it does not: all that must last is in the store.
 *
 * Pure core: the store, the hosts' streams (host_link.h) and the environment are all they touch.
 */
#ifndef HF_CONTROL_CONTROLLERS_H
#define HF_CONTROL_CONTROLLERS_H

#include "control/api.h"
#include "control/host_link.h"

/* c->host_link exists already and outlives the controllers. Sets c->controllers. */
struct hf_controllers *hf_controllers_create(struct hf_control *c);
void hf_controllers_free(struct hf_controllers *cs);

/* The hosts' streams for the API; its arg is the struct hf_control. */
extern const struct hf_api_hosts_ops hf_hosts_ops;

#endif
