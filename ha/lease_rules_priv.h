/* Inside of the keeper's core, shared by lease_rules.c (time and leases), lease_runs.c (runs, tombstones,
 * processes), lease_freeze.c (who stands still), lease_births.c (permits, the gate), lease_requests.c (what
 * hostd asks) and lease_view.c (what others see). */
#ifndef HF_HA_LEASE_RULES_PRIV_H
#define HF_HA_LEASE_RULES_PRIV_H

#include "base/assert.h"
#include "base/buggify.h"
#include "base/mutant.h"
#include "ha/lease_rules.h"

struct hf_lease {
    /* fixed while in use */
    bool used;
    struct hf_uuid storage;
    char dir[HF_KEEPER_DIR_MAX];
    /* volatile */
    bool watched;  /* renewed; false: removed, kept until its last write has ended and for its age */
    bool known;    /* base_ms holds: a renewal of this epoch succeeded, or one has to be assumed (restart) */
    bool believed; /* this keeper has renewed it itself */
    bool closed;
    bool doubted;   /* said so in the log */
    bool suspended; /* the last write failed or hangs */
    bool in_flight;
    uint64_t session;       /* the log's number for this opening of the storage */
    uint64_t write_epoch;   /* of the write in flight */
    uint64_t write_session; /* likewise */
    int64_t base_ms;        /* start of the last good renewal */
    int64_t answers_ms;     /* the storage has answered every write since then; 0: the last one it has not */
    bool tried;             /* first_ms holds */
    int64_t first_ms;  /* start of the first write of this epoch: answered or not, it may have landed; in a
                          later session of the last that was good before */
    int64_t good_ms;   /* start of the last write of this epoch that was good, closed or not */
    int64_t write_ms;  /* start of the write in flight, or of the last one */
    int64_t next_ms;   /* next renewal */
    uint64_t sequence; /* of the last record; starts at the clock, so that a restarted keeper goes on above
                          the last */
};

/* What is known of a run's processes, beside it in the table. */
struct hf_lease_guest {
    int pid; /* from the last survey; 0: none seen */
    enum {
        HF_GUEST_FREE,
        HF_GUEST_FROZEN,  /* told to stand still */
        HF_GUEST_THAWING, /* told to go on; no survey has seen it do so yet */
    } order;
    bool stopped;    /* the last survey saw its processes stand still */
    bool killed;     /* the keeper has ordered it: whatever is said of its end, it was not an orderly one */
    int64_t gone_ms; /* no process of it is left, as seen at this time; 0: not seen gone */
    uint64_t survey; /* the first that must see the process which was let through the gate */
};

/* A request that waits for a look at the processes. */
struct hf_lease_waiting {
    uint64_t token;
    uint64_t survey; /* number of the first survey that counts */
    int64_t deadline_ms;
    struct hf_keeper_request q;
};

struct hf_lease_rules {
    /* fixed */
    const struct hf_ha_timing *wanted; /* from the next epoch on */
    char boot_id[HF_LEASE_BOOT_ID_MAX];
    /* persistent */
    const struct hf_ha_timing *timing; /* of the present one */
    struct hf_keeper_state state;
    /* volatile */
    struct hf_lease leases[HF_KEEPER_STORAGES_MAX];
    struct hf_lease_waiting waiting[HF_LEASE_WAITING_MAX];
    size_t n_waiting;
    struct hf_lease_guest guests[HF_KEEPER_RUNS_MAX]; /* of state.runs */
    bool unsaved;                                     /* the last save failed */
    uint32_t new_tombs;     /* tombstones, the last of the list, that no saved state holds */
    bool orphans;           /* started without a state: kill what there is, believe in nothing before */
    bool strays;            /* the last survey saw processes that no run accounts for */
    bool unseen;            /* no survey has succeeded yet */
    int64_t no_strays_ms;   /* since when there have been none, as far as this keeper knows */
    bool clean;             /* the last survey saw no process, no permit was given since, and F is over */
    uint64_t survey;        /* number of the last survey asked for */
    bool surveying;         /* its answer is not here yet */
    bool survey_now;        /* something wants a look */
    int64_t next_survey_ms; /* while something has to die or to be seen */
    int64_t next_look_ms;   /* in any case */
    int64_t next_pet_ms;
    enum {
        HF_PETTING_NOT_YET,
        HF_PETTING_YES,
        HF_PETTING_NO
    } petting; /* what was last said about it in the log */
    /* of the running step */
    int64_t now_ms;
    struct hf_lease_effects *out;
    size_t n_notes;
    bool persist, changed;
    bool closed; /* something was: the runs that need it are killed at the end of the step */
};

/* effects */
struct hf_lease_effect *hf_lease_emit(struct hf_lease_rules *r, enum hf_lease_effect_kind kind);
void hf_lease_note(struct hf_lease_rules *r, const char *fmt, ...) HF_PRINTF(2, 3);
void hf_lease_reply(struct hf_lease_rules *r, uint64_t token, enum hf_code code, const char *fmt, ...)
    HF_PRINTF(4, 5);
void hf_lease_kill(struct hf_lease_rules *r, const struct hf_uuid *instance);

/* leases */
const struct hf_lease *hf_lease_look(const struct hf_lease_rules *r, const struct hf_uuid *storage);
struct hf_lease *hf_lease_find(struct hf_lease_rules *r, const struct hf_uuid *storage);
bool hf_lease_is_fresh(const struct hf_lease_rules *r, const struct hf_lease *l);
void hf_lease_close(struct hf_lease_rules *r, struct hf_lease *l);
bool hf_lease_was_closed(const struct hf_lease_rules *r, const struct hf_uuid *storage);

/* runs */
struct hf_keeper_state_run *hf_lease_run_find(struct hf_lease_rules *r, const struct hf_uuid *instance);
bool hf_lease_run_is_doomed(const struct hf_lease_rules *r, const struct hf_keeper_state_run *run);
/* A run that needs the storage, or NULL. */
const struct hf_keeper_state_run *hf_lease_user_of(const struct hf_lease_rules *r,
                                                   const struct hf_uuid *storage);
/* Seen alive once, and then seen gone: nothing of it will ever execute again. */
bool hf_lease_run_is_gone(const struct hf_lease_rules *r, const struct hf_keeper_state_run *run);
/* Rule 13: F has passed since then: what ended by force may have left writes in kernel, network or server. */
bool hf_lease_writes_are_over(const struct hf_lease_rules *r, int64_t since_ms);
/* No process of this run is to be seen and none will come: may its end be told? Not before F, unless it
 * closed its files itself (orderly: says hostd) or has none on a leased storage. */
bool hf_lease_run_is_over(struct hf_lease_rules *r, const struct hf_keeper_state_run *run, bool orderly);
const struct hf_keeper_tomb *hf_lease_tomb_find(const struct hf_lease_rules *r,
                                                const struct hf_uuid *instance);
/* The run is over: out of the table, into the tombstones; handed_over: they say that its guest is whole
 * elsewhere. The instance is taken by value: it may stand in
 * that table. */
void hf_lease_bury(struct hf_lease_rules *r, struct hf_uuid instance, uint64_t run, bool handed_over);
void hf_lease_close_epoch(struct hf_lease_rules *r);

/* What a survey tells about the runs: births, deaths that were wanted, processes without a permit. */
void hf_lease_survey_runs(struct hf_lease_rules *r, const struct hf_lease_proc *procs, size_t n);
void hf_lease_kill_doomed(struct hf_lease_rules *r);
void hf_lease_kill_strays(struct hf_lease_rules *r, const struct hf_lease_proc *procs, size_t n);
/* What a survey saw of an instance's processes. */
struct hf_lease_seen {
    int pid; /* of one of them; 0: there is none */
    bool all_stopped, any_stopped;
};
struct hf_lease_seen hf_lease_seen(const struct hf_lease_proc *procs, size_t n,
                                   const struct hf_uuid *instance);

/* freeze and thaw */
/* The storage whose lease this run needs and does not have fresh, or NULL. */
const struct hf_uuid *hf_lease_run_doubt(struct hf_lease_rules *r, const struct hf_keeper_state_run *run);
/* Orders what each run's present doubt wants. */
void hf_lease_freeze_and_thaw(struct hf_lease_rules *r);
/* Asks again for what the survey has not seen obeyed. */
void hf_lease_survey_frozen(struct hf_lease_rules *r, const struct hf_lease_proc *procs, size_t n);

/* requests (lease_requests.c) */
void hf_lease_request(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q);
/* Answers the requests that this survey settles, and those whose time is over (procs NULL: only these). */
void hf_lease_answer_waiting(struct hf_lease_rules *r, uint64_t survey, const struct hf_lease_proc *procs,
                             size_t n);

/* births (lease_births.c) */
void hf_lease_ask_begin_run(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q);
void hf_lease_ask_gate(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q);
void hf_lease_ask_go_on(struct hf_lease_rules *r, uint64_t token, const struct hf_keeper_request *q);

/* A UUID as text for one sentence. */
struct hf_lease_name {
    char text[HF_UUID_STR];
};
struct hf_lease_name hf_lease_name(const struct hf_uuid *u);

#endif
