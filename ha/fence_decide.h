/* Which hosts are fenced, and on what proof (DESIGN.md section 5, rules 7, 12-14, 17-19). A host is up,
 * proven down, or unknown; only proof makes it down, and waiting is always safe. Pure: a view of all hosts
 * goes in, actions come out, each with the sentence that says why; run it again after every change and every
 * tick.
 *
 * The story of a lost host: contact is lost; its records stand still for L+K → the fence of (host, epoch) is
 * committed; observers write the mark of (host, epoch) on each of its storages and read on; the records stand
 * still for T, and the host has a watchdog → evidence for each storage is committed; restart_plan.h takes
 * over.
 *
 * A life that is fenced goes on the blocklist of the storages that have one (Ceph), beside all that, unless
 * its host or a person has said that nothing of it runs. That is evidence as well, of another kind: what is
 * listed cannot write, but may run. So a host that has runs for which this is enough is fenced earlier: once
 * contact is lost and its records stand still for write_fence_ms.
 *
 * A host with power devices has its power cut as soon as the fence is committed, beside all that. Its
 * devices' word "off" is believed when nothing of the host has stirred for a look behind it (timing:
 * power_look_ms), as far as anybody can read its records; where nobody can, the storage being out as well,
 * the word alone counts after a longer wait. A host that stirs makes them liars: no evidence, an alarm, and
 * they are asked again.
 */
#ifndef HF_HA_FENCE_DECIDE_H
#define HF_HA_FENCE_DECIDE_H

#include "ha/detector.h"

#define HF_FENCE_TEXT_MAX   320
#define HF_FENCE_MASS_SHARE 50 /* percent: default of the global setting */

enum hf_watchdog { HF_WATCHDOG_NONE, HF_WATCHDOG_STAND_IN, HF_WATCHDOG_HARDWARE };
/* "hardware" and "stand-in" as hosts report them; all else is none. */
enum hf_watchdog hf_watchdog_of_text(const char *text);

/* How far this life is on a storage's blocklist. */
enum hf_block_state {
    HF_BLOCK_NONE,
    HF_BLOCK_WANTED, /* the wish is committed */
    HF_BLOCK_ADDED,  /* the cluster's word that it is there is committed */
};

struct hf_fence_block {
    bool possible; /* the storage has a blocklist, and the host may have clients there */
    bool needless; /* committed evidence for this storage is the word of the host or of a person */
    enum hf_block_state state;
    bool confirmed;      /* WANTED: the cluster lists whole addresses of the host, all that are known */
    const char *entries; /* confirmed: "10.0.0.5:0/0" */
    const char
        *shared_with;    /* ADDED: who has one of its addresses, so that single clients are listed; or NULL */
    const char *trouble; /* why it is not there, or is not renewed; NULL: no reason is known */
};

struct hf_fence_storage {
    struct hf_uuid uuid;
    const char *name;
    bool in_use; /* a run placed on (host, epoch) has a disk there */
    bool proven; /* committed evidence that nothing of (host, epoch) runs covers it */
    struct hf_sign sign;
    struct hf_fence_block block;
};

/* What is known of cutting the host's power (power_fence.h). */
struct hf_fence_power {
    bool devices;      /* it has power devices */
    bool off;          /* every device of one level says so, behind the commit of the fence */
    int64_t off_ms;    /* off: since the last one did */
    bool trouble;      /* it fails, or the host stirred after its devices had said off */
    const char *state; /* not off: how it stands, or NULL before it has begun */
    const char *who;   /* off: "'bmc' (fence_ipmilan)" */
};

struct hf_fence_host {
    struct hf_uuid uuid;
    const char *name;
    uint64_t epoch;                    /* granted; 0: none, nothing ran */
    const struct hf_ha_timing *timing; /* of the profile that its keeper runs */
    enum hf_watchdog watchdog;
    bool at_rest; /* it may be silent and nothing is placed on it: not being heard of it is no incident */
    bool contact;
    bool heard; /* this leader itself was in contact with it: a lost contact is not the change of leaders */
    int64_t lost_ms;        /* without contact: since the last message */
    bool closed_and_killed; /* its stream said so of this epoch */
    bool write_fenced;      /* a run that never stops, on storages with blocklists alone, may leave it once it
                               cannot write */
    bool fenced;            /* the fence of (host, epoch) is committed */
    int64_t fenced_ms;      /* fenced: for how long */
    bool proven;            /* committed evidence that covers everything: closed and killed by stream,
                               next epoch, operator, power off */
    const char *operator_word;               /* recorded statement that (host, epoch) is down, or NULL */
    const struct hf_fence_storage *storages; /* shared storages on which it keeps leases */
    size_t n_storages;
    struct hf_fence_power power;
};

enum hf_fence_by_power {
    HF_FENCE_BY_POWER_NEVER,
    HF_FENCE_BY_POWER_WITHOUT_WATCHDOG, /* where silence proves nothing */
    HF_FENCE_BY_POWER_ALWAYS,           /* beside silence */
};

struct hf_fence_settings {
    bool ha_enabled;      /* off: silence fences nobody */
    bool accept_stand_in; /* a configured watchdog stand-in counts as a watchdog */
    enum hf_fence_by_power by_power;
    int64_t power_delay_ms; /* after the fence, before the power is cut */
    unsigned mass_share;    /* percent; more than one host and more than this share lost: hold and alarm */
};

struct hf_fence_view {
    struct hf_fence_settings settings;
    const struct hf_fence_host *hosts;
    size_t n_hosts;
};

enum hf_fence_action_kind {
    HF_FENCE_HOLD,      /* nothing may be done now: text says why */
    HF_FENCE_COMMIT,    /* commit the fence of (host, epoch) */
    HF_FENCE_EVIDENCE,  /* commit this evidence to the fence */
    HF_FENCE_BLOCKLIST, /* put it on the storage's blocklist: begin, go on, or renew */
    HF_FENCE_POWER,     /* have its power cut: begin, or go on; without this action leave it */
};

enum hf_evidence_kind {
    HF_EVIDENCE_CLOSED_AND_KILLED = 1,
    HF_EVIDENCE_SILENCE,
    HF_EVIDENCE_NEXT_EPOCH,
    HF_EVIDENCE_OPERATOR,
    HF_EVIDENCE_POWER_OFF,
    HF_EVIDENCE_BLOCKLIST /* it cannot write there; it may run */
};

struct hf_fence_action {
    enum hf_fence_action_kind kind;
    size_t host; /* index in the view */
    bool alarm;  /* HOLD: a person has to act or to know */
    bool block;  /* COMMIT: the host has not said that it has killed: it goes on blocklists at once */
    bool doubt;  /* POWER: the host stirred after its devices had said off: do not believe them, ask again */
    enum hf_evidence_kind evidence;
    bool everything; /* EVIDENCE: covers every storage, also local ones; else the one below */
    struct hf_uuid storage;
    struct hf_uuid observer; /* SILENCE */
    uint64_t session; /* CLOSED_AND_KILLED of one storage: what its record named; HF_LEASE_ALL_SESSIONS: the
                         epoch */
    int64_t silent_ms, required_ms; /* SILENCE; POWER_OFF: since its devices said off */
    bool marked; /* SILENCE: the last read began after the observer had written the fence mark */
    char text[HF_FENCE_TEXT_MAX];
};

/* Room for every action that a view can lead to. */
size_t hf_fence_room(const struct hf_fence_view *view);

/* At most max actions, in the order of the hosts; with less than hf_fence_room() what lasts of the first
 * hosts (a hold) may leave none for the last. Evidence is asked for only once its fence is in the view. */
size_t hf_fence_decide(const struct hf_fence_view *view, struct hf_fence_action *ret, size_t max);

#endif
