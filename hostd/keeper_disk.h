/* Renews leases: writes the record past all caches (O_DIRECT, O_DSYNC), then reads the fence mark; on RADOS both
 * are one write, in a process of its own (hf_rados_lease.c). One
 * renewal at a time, on a thread of its own, answered by a letter. The keeper has one per storage, so that a
 * storage that hangs holds up nothing else. */
#ifndef HF_HOSTD_KEEPER_DISK_H
#define HF_HOSTD_KEEPER_DISK_H

#include "hostd/keeper_inbox.h"

struct hf_keeper_disk;

/* Lives as long as the process: its thread may hang. */
struct hf_keeper_disk *hf_keeper_disk_create(struct hf_keeper_inbox *inbox);

/* Starts one renewal with dir's record file and mark of this host; no other one of this disk may be in
 * flight. */
void hf_keeper_disk_write(struct hf_keeper_disk *d, const struct hf_uuid *storage, const char *dir,
                          const struct hf_lease_record *record);

/* The lease is given up: its file is closed, once no renewal is in flight, so that the storage can be
 * unmounted. */
void hf_keeper_disk_let_go(struct hf_keeper_disk *d);

#endif
