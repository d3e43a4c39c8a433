/* The record of one instance's way from a lost host, from a host that lost the lease on one of its storages,
 * or from a run whose client a cluster refused: "<instance uuid>/<run>". It is written with the end of that
 * run; ha_restart.c follows it from there. */
#ifndef HF_CONTROL_FAILOVER_H
#define HF_CONTROL_FAILOVER_H

#include "control/controllers_state.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/host_link.pb-c.h"

/* The evidence is the host's own word, nothing was fenced: */
#define HF_FAILOVER_STORAGE_LOST   "storage lost"
#define HF_FAILOVER_CLIENT_REFUSED "client refused"

/* Of the run that the instance has now. The caller's, to be given to an edit. */
Holdfast__V1__Failover *hf_failover_create(struct hf_controllers *c, const Holdfast__V1__Instance *i,
                                           const char *evidence);

/* What the leader has done now, for its timeline. */
void hf_failover_note(struct hf_controllers *c, Holdfast__V1__Failover *f, const char *fmt, ...)
    HF_PRINTF(3, 4);

/* Adds the record of a run that its keeper killed for a lost lease (report->lost_lease). i: with the
 * placement that ends; restarts: it is to run elsewhere. */
void hf_failover_add_storage_lost(struct hf_controllers *c, struct hf_edit *e,
                                  const Holdfast__V1__Instance *i, const Holdfast__V1__InstanceReport *report,
                                  bool restarts);

/* The same of a run that its host killed as a cluster refuses its client (report->client_refused). */
void hf_failover_add_client_refused(struct hf_controllers *c, struct hf_edit *e,
                                    const Holdfast__V1__Instance *i,
                                    const Holdfast__V1__InstanceReport *report, bool restarts);

#endif
