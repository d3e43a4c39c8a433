/* What the decisions about the instances of lost hosts (ha/restart_plan.h) need to know of one, taken from
 * the world: for a failover, and for the question what one would bring.
 */
#ifndef HF_CONTROL_RESTART_INPUT_H
#define HF_CONTROL_RESTART_INPUT_H

#include "control/world.h"
#include "ha/restart_plan.h"
#include "holdfast/v1/instance.pb-c.h"

/* As if the instance were placed there. Borrows its names; the storages are freed by done. */
struct hf_restart_instance hf_restart_input(const struct hf_world *w, const Holdfast__V1__Instance *i,
                                            const char *host_uuid, uint64_t epoch, uint64_t run);
void hf_restart_input_done(struct hf_restart_instance *r);

/* A list of UUIDs, zero where a text is none; the caller frees. */
struct hf_uuid *hf_uuids_of_texts(char *const *texts, size_t n);

/* LOWEST … HIGHEST; none given is MEDIUM. */
int hf_instance_priority(const Holdfast__V1__Instance *i);

#endif
