/* One instance on this host: the run that lives or shall live here, brought step by step to where the leader
 * wants it.
 *
 *   assigned, RUNNING   storage, image, volumes, network → permit (keeper) → start (hypervisor) → registered
 *   assigned, STOPPED   ACPI until the grace is over, destroy → the keeper verifies and tombstones → STOPPED
 *   gone by itself      the keeper verifies and tombstones → STOPPED
 *   not assigned        adopted after a restart of the daemon: reported and left alone, the leader decides
 *
 * STOPPED is reported only for a run that the keeper has tombstoned (rule 4). An order that timed out is
 * neither done nor failed: the record looks until it knows (rule 17).
 */
#ifndef HF_HOSTD_INSTANCE_REC_H
#define HF_HOSTD_INSTANCE_REC_H

#include "hostd/host.h"

#define HF_INSTANCE_STOP_GRACE_MS 30000 /* when the assignment names none */
#define HF_INSTANCE_DISKS_MAX     64
#define HF_INSTANCE_NICS_MAX      32

struct hf_instance_rec;

hf_status hf_instance_rec_assign(struct hf_host *h, const Holdfast__V1__InstanceAssignment *a) HF_MUST_USE;
/* Forgets a run that is over or never began; one that lives is reported on. */
void hf_instance_rec_unassign(struct hf_host *h, const struct hf_uuid *uuid);

struct hf_instance_rec *hf_instance_rec_find(struct hf_host *h, const struct hf_uuid *uuid);
struct hf_instance_rec *hf_instance_rec_next(struct hf_instance_rec *r);
/* Something that it may wait for has changed. */
void hf_instance_rec_wake(struct hf_instance_rec *r);
/* The hypervisor says that its domain has ended. */
void hf_instance_rec_gone(struct hf_instance_rec *r, enum hf_vm_gone why);

/* The NICs of every run assigned here that is not over, and whether one of their disks is this volume. */
void hf_instance_recs_each_nic(struct hf_host *h,
                               void (*fn)(void *arg, const Holdfast__V1__InstanceAssignment__Nic *nic),
                               void *arg);
bool hf_instance_recs_use_volume(struct hf_host *h, const char *volume_uuid);

/* An order to start this run is under way, so that its tombstone is not yet a promise. */
bool hf_instance_recs_start_pending(struct hf_host *h, const struct hf_uuid *uuid, uint64_t run);

/* The epoch ends: orders to start whose outcome is unknown are made to have one. Counts those that still have
 * none. */
unsigned hf_instance_recs_clear_starts(struct hf_host *h);

/* All are stopped from now on (hf_leave_stops_all), and nothing of any is here any more. */
void hf_instance_recs_stop_all(struct hf_host *h);
bool hf_instance_recs_all_over(struct hf_host *h);

/* A new view of the keeper (h->view); runs that live there and are not known are adopted. */
void hf_instance_recs_see_runs(struct hf_host *h);
/* The list with this number (see hf_host_look()). */
void hf_instance_recs_see_domains(struct hf_host *h, uint64_t look, const struct hf_vm_seen *vms, size_t n);

void hf_instance_recs_sweep(struct hf_host *h, uint64_t sync);
void hf_instance_recs_report(struct hf_host *h);
void hf_instance_recs_drop(struct hf_host *h); /* their epoch is over */
void hf_instance_recs_stop(struct hf_host *h);
void hf_instance_recs_free(struct hf_host *h);

#endif
