/* What the log knows of a host's drain, as verbs on the decoded Host: what is wanted (spec.drain), how far it
 * is (status.drain) and who is leaving. Pure. */
#ifndef HF_CONTROL_DRAIN_RECORD_H
#define HF_CONTROL_DRAIN_RECORD_H

#include <stdbool.h>

#include "holdfast/v1/infra.pb-c.h"

typedef Holdfast__V1__HostSpec__Drain__Purpose hf_drain_purpose;
#define HF_DRAIN_FOR(name) HOLDFAST__V1__HOST_SPEC__DRAIN__PURPOSE__##name
#define HF_DRAIN_BY(name)  HOLDFAST__V1__HOST_SPEC__DRAIN__POLICY__##name
#define HF_DUTY(name)      HOLDFAST__V1__HOST_STATUS__DUTY__##name

/* Replaces what is wanted. operation_uuid: "" for none. */
void hf_drain_want(Holdfast__V1__Host *h, hf_drain_purpose purpose,
                   Holdfast__V1__HostSpec__Drain__Policy policy, const char *operation_uuid, int64_t wall_ms);
/* The host itself asks to be emptied, for its machine is switched off. An administrator's order before that
 * stays known, and with it that the host does not serve when it is back. False: it is wanted already. */
bool hf_drain_want_by_host(Holdfast__V1__Host *h, int64_t wall_ms);
/* It serves again, and says so at once; who is leaving goes on. */
void hf_drain_withdraw(Holdfast__V1__Host *h);

/* Nothing is placed on the host any more once it is empty, and its silence is no incident then. */
bool hf_drain_may_be_silent(const Holdfast__V1__Host *h);
/* Why no instance starts on it ("in maintenance"), or NULL. */
const char *hf_drain_objection(const Holdfast__V1__Host *h);

/* The entry of this run, or NULL. */
Holdfast__V1__HostStatus__Leaving *hf_drain_leaving(const Holdfast__V1__Host *h, const char *instance_uuid,
                                                    uint64_t run);
/* The drain stops this run. */
bool hf_drain_stops(const Holdfast__V1__Host *h, const char *instance_uuid, uint64_t run);
/* The record of progress, made if need be. */
Holdfast__V1__HostStatus__DrainProgress *hf_drain_progress(Holdfast__V1__Host *h);
Holdfast__V1__HostStatus__Leaving *hf_drain_add_leaving(Holdfast__V1__Host *h, const char *instance_uuid,
                                                        uint64_t run,
                                                        Holdfast__V1__HostStatus__Leaving__How how);
/* Takes the i-th entry away. */
void hf_drain_remove_leaving(Holdfast__V1__Host *h, size_t i);
void hf_drain_note_stopped(Holdfast__V1__Host *h, const char *instance_uuid);
void hf_drain_forget_progress(Holdfast__V1__Host *h);

#endif
