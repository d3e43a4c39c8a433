/* What the leader knows of each host: contact through its stream, and signs of life that observers read from
 * the storages (rules 13, 18). It collects and weighs, it decides nothing. Pure: every call carries its time,
 * in milliseconds of the leader's clock that counts pauses.
 *
 * A sign belongs to (host, epoch, storage): a record of another epoch says nothing about this one. Of several
 * observers those count that see the newest value; of these the one that has seen it stand still longest. For
 * proof only those count that have written the fence mark before their last read (rule 12).
 */
#ifndef HF_HA_DETECTOR_H
#define HF_HA_DETECTOR_H

#include "ha/ha_timing.h"
#include "ha/observation.h"

#define HF_DETECTOR_OBSERVERS_MAX 64 /* per host and storage; the one heard of longest ago makes room */

enum hf_sign_state {
    HF_SIGN_NONE,      /* no observer has reported lately */
    HF_SIGN_OUT,       /* every observer's own I/O fails there: the storage is out */
    HF_SIGN_NO_RECORD, /* there is no record of this epoch (yet) */
    HF_SIGN_STILL,     /* the record stands still */
    HF_SIGN_MOVING,    /* it has moved after contact was lost: the host lives */
};

struct hf_sign {
    enum hf_sign_state state;
    int64_t unchanged_ms; /* STILL: on the observer's clock, in good samples only; MOVING: since it moved */
    struct hf_uuid observer; /* STILL, MOVING, OUT: who says so */
    int64_t marked_ms; /* STILL: as unchanged_ms, of those whose last read began after their mark; -1: none */
    struct hf_uuid mark_observer;              /* marked_ms >= 0: who says so */
    char mark_error[HF_OBSERVATION_ERROR_MAX]; /* STILL, marked_ms < 0, and not "": why one could not mark */
    bool closed_and_killed;  /* the record said so of this epoch and session at some time: for ever true */
    uint64_t closed_session; /* closed_and_killed: the session that it named */
    char error[HF_OBSERVATION_ERROR_MAX]; /* OUT: of that observer */
};

struct hf_detector;

/* A leader begins: hosts that it has not heard of count as in contact at now_ms for the last time. */
struct hf_detector *hf_detector_create(int64_t now_ms);
void hf_detector_free(struct hf_detector *d);

/* Its stream was opened, or brought a message. */
void hf_detector_contact(struct hf_detector *d, const struct hf_uuid *host, int64_t now_ms);
/* Its stream has ended: no contact from here on. */
void hf_detector_stream_closed(struct hf_detector *d, const struct hf_uuid *host, int64_t now_ms);
/* The host was deleted. */
void hf_detector_forget(struct hf_detector *d, const struct hf_uuid *host);
/* One observation of a report; observations by a host of itself are ignored. */
void hf_detector_observe(struct hf_detector *d, const struct hf_uuid *observer,
                         const struct hf_observation *o, int64_t now_ms);

/* Whether the host is in contact; ret_lost_ms: how long ago the last message came, if not. */
bool hf_detector_in_contact(const struct hf_detector *d, const struct hf_uuid *host,
                            const struct hf_ha_timing *timing, int64_t now_ms, int64_t *ret_lost_ms);
/* This leader itself has been in contact with it. */
bool hf_detector_has_heard(const struct hf_detector *d, const struct hf_uuid *host);
/* The sign of one host's life on one storage, whose present session there is this one; timing is the host's
 * own. */
struct hf_sign hf_detector_sign(const struct hf_detector *d, const struct hf_uuid *host, uint64_t epoch,
                                const struct hf_uuid *storage, uint64_t session,
                                const struct hf_ha_timing *timing, int64_t now_ms);
/* The run list of the newest record of this epoch that anyone has read, or NULL: the host's own report, also
 * when only the storage can carry it. Valid until the next observation. */
const struct hf_lease_run *hf_detector_record_runs(const struct hf_detector *d, const struct hf_uuid *host,
                                                   uint64_t epoch, size_t *ret_n);

#endif
