/* The inside of a volume's record, shared by volume_rec.c (its life, and the deletion of its file) and
 * volume_rec_work.c (what is done to one that stays). */
#ifndef HF_HOSTD_VOLUME_INT_H
#define HF_HOSTD_VOLUME_INT_H

#include "hostd/volume_rec.h"

struct hf_volume_work {
    int32_t kind;      /* VolumeSpec.Work.Kind */
    uint64_t sequence; /* 0: there is none, the volume is to be deleted */
    struct hf_uuid snapshot;
    uint64_t size_bytes;
    enum { HF_WORK_OPEN, HF_WORK_DONE, HF_WORK_FAILED } end;
    enum hf_code code;       /* FAILED */
    uint64_t size_now_bytes; /* DONE */
    unsigned percent;
};

struct hf_volume_rec {
    struct hf_volume_rec *next;
    struct hf_host *host;
    struct hf_uuid uuid, storage;
    char id[HF_UUID_STR];
    char *install_path;
    uint64_t sync;
    bool busy, dead, deleted;
    struct hf_volume_work work, trying; /* trying: what the call under way is about */
    char *message;                      /* why not yet, or NULL */
    struct hf_timer timer;
    struct hf_backoff backoff;
};

/* --- volume_rec.c --- */
/* Every driver call of a record stands between these. end: false when the record was dropped meanwhile (and
 * is freed). */
void hf_volume_call_begin(struct hf_volume_rec *r);
bool hf_volume_call_end(struct hf_volume_rec *r);
void hf_volume_step(void *arg);
/* Reports a new reason only once. */
void hf_volume_wait_for(struct hf_volume_rec *r, const char *why);
/* The call failed: says so, and steps again after a while. */
void hf_volume_try_later(struct hf_volume_rec *r, const char *verb, hf_status st);
/* work: NULL in a report about the deletion. */
void hf_volume_send(struct hf_volume_rec *r, Holdfast__V1__VolumeReport__Work *work);

/* --- volume_rec_work.c --- */
hf_status hf_volume_rec_work_read(const Holdfast__V1__VolumeAssignment *a,
                                  struct hf_volume_work *ret) HF_MUST_USE;
void hf_volume_rec_work_assign(struct hf_volume_rec *r, const struct hf_volume_work *w);
/* Its storage answers, and nothing of the record is under way. */
void hf_volume_rec_work_step(struct hf_volume_rec *r, struct hf_primary *p);
bool hf_volume_rec_work_has_news(const struct hf_volume_rec *r);
void hf_volume_rec_work_report(struct hf_volume_rec *r);

#endif
