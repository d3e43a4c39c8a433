/* What happens to the instances of a fenced (host, epoch): which may leave it and start elsewhere, which end
 * as stopped with their host, which wait and for what (rules 5, 7, 19). Pure. Where they start is the
 * scheduler's question.
 *
 * An instance may leave only when evidence for exactly its (host, epoch) covers one of its storages, or
 * everything. Where that is what others saw (silence, power off), it also waits until its host is on the
 * blocklists of its storages that have one.
 *
 * Evidence that nothing can be written (rule 15) is no proof that nothing runs. Only what never stops, and
 * was said to be content with that (write-fenced), leaves by it, and only when there is such evidence for
 * every one of its storages.
 */
#ifndef HF_HA_RESTART_PLAN_H
#define HF_HA_RESTART_PLAN_H

#include <stddef.h>

#include "base/uuid.h"

#define HF_RESTART_TEXT_MAX 320

/* Committed evidence of one fence; several of one (host, epoch) are several entries. */
struct hf_restart_evidence {
    struct hf_uuid host;
    uint64_t epoch;
    const char *kind; /* "silence", "closed and killed", "next epoch", "operator's word" */
    bool everything;  /* covers every storage, local ones too */
    bool by_word;     /* the host or a person says so: it has no clients left */
    bool writes_only; /* it cannot write there, but may run */
    const struct hf_uuid *storages;
    size_t n_storages;
};

/* An instance whose placement has not ended. */
struct hf_restart_instance {
    struct hf_uuid uuid;
    const char *name;
    struct hf_uuid host; /* placement */
    uint64_t epoch, run;
    bool fenced; /* the fence of (host, epoch) is committed */
    const char *host_name;
    bool never_stop;
    bool wanted_running;          /* false: it was to be stopped or deleted */
    bool write_fenced;            /* its takeover; false: strict */
    const char *not_write_fenced; /* write_fenced: why it is treated as strict this time, or NULL */
    const char *not_blocked; /* its host is not on the blocklist of one of its storages: which, and why; NULL:
                                it is on all that there are */
    int priority;            /* the higher goes first */
    int64_t waiting_ms;      /* since its host was counted as lost */
    const struct hf_uuid *storages; /* every storage that a disk of it lies on */
    size_t n_storages;
};

enum hf_restart_kind {
    HF_RESTART_GO,   /* end the run as fenced, then start it elsewhere */
    HF_RESTART_STOP, /* end the run as fenced: stopped with its host */
    HF_RESTART_WAIT, /* no proof covers it yet */
};

struct hf_restart_step {
    enum hf_restart_kind kind;
    size_t instance; /* index */
    size_t evidence; /* index; GO and STOP */
    char text[HF_RESTART_TEXT_MAX];
};

/* One step per instance on a fenced (host, epoch): first those that go, the highest priority first and of
 * these the longest waiting, then those that stop, then those that wait. ret has room for n_instances. */
size_t hf_restart_plan(bool ha_enabled, const struct hf_restart_evidence *evidence, size_t n_evidence,
                       const struct hf_restart_instance *instances, size_t n_instances,
                       struct hf_restart_step *ret);

#endif
