/* A primary storage that is assigned to this host: it is checked every ten seconds, its capacity is reported,
 * and when it carries heartbeats the keeper renews a lease on it and a reader watches the records of the
 * peers that the leader names. A storage that hangs costs one thread and its own checks, nothing else.
 */
#ifndef HF_HOSTD_STORAGE_REC_H
#define HF_HOSTD_STORAGE_REC_H

#include "hostd/host.h"

#define HF_STORAGE_CHECK_MS          10000
#define HF_STORAGE_CHECK_DEADLINE_MS 8000

struct hf_storage_rec;

hf_status hf_storage_rec_assign(struct hf_host *h, const Holdfast__V1__StorageAssignment *a) HF_MUST_USE;
void hf_storage_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid);
hf_status hf_storage_rec_observe(struct hf_host *h, const Holdfast__V1__Observe *o) HF_MUST_USE;

/* NULL: not assigned. */
struct hf_storage_rec *hf_storage_rec_find(struct hf_host *h, const struct hf_uuid *uuid);
struct hf_primary *hf_storage_rec_primary(struct hf_storage_rec *r);
/* The last check was good. message: why not; valid until the next check. */
bool hf_storage_rec_ok(const struct hf_storage_rec *r, const char **message);
/* The keeper has closed it: nothing starts there before its next session. */
#define HF_STORAGE_CLOSED                                                                                    \
    "its lease was lost: it takes no start on this host before the leader opens it again"
bool hf_storage_rec_closed(const struct hf_storage_rec *r);
bool hf_storage_rec_heartbeat(const struct hf_storage_rec *r);

void hf_storage_recs_sweep(struct hf_host *h, uint64_t sync);
void hf_storage_recs_report(struct hf_host *h);
void hf_storage_recs_report_leases(struct hf_host *h);
void hf_storage_recs_see_closed(struct hf_host *h);
void hf_storage_recs_tick(struct hf_host *h);
void hf_storage_recs_stop(struct hf_host *h);
void hf_storage_recs_free(struct hf_host *h);

#endif
