/* A volume whose file shall be deleted, or to which something is done while it stays (snapshots, flattening).
 * It is not deleted, nor put back to a snapshot, while an instance of this host uses it, and nothing is done
 * before the set of assignments is whole (until then nobody knows who uses it). Forgotten when the leader
 * unassigns it.
 */
#ifndef HF_HOSTD_VOLUME_REC_H
#define HF_HOSTD_VOLUME_REC_H

#include "hostd/host.h"

#define HF_VOLUME_DEADLINE_MS 30000

struct hf_volume_rec;

hf_status hf_volume_rec_assign(struct hf_host *h, const Holdfast__V1__VolumeAssignment *a) HF_MUST_USE;
void hf_volume_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid);

/* A running guest has this volume at size_bytes, or (0) not yet, because of this. */
void hf_volume_report_grown(struct hf_host *h, const char *volume_uuid, uint64_t size_bytes,
                            const char *message);

void hf_volume_recs_sweep(struct hf_host *h, uint64_t sync);
void hf_volume_recs_report(struct hf_host *h);
void hf_volume_recs_tick(struct hf_host *h);
void hf_volume_recs_stop(struct hf_host *h);
void hf_volume_recs_free(struct hf_host *h);

#endif
