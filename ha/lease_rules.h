/* The keeper's core (DESIGN.md section 5, rules 1, 4, 8-11): leases per storage, runs and tombstones, when to
 * pet the watchdog, when to freeze, to close and to kill. Pure: an event with its time goes in, effects come
 * out; hf_lease.c carries them out in their order.
 *
 * The story of a lease: a renewal is written every R, one at a time, and counts from its start. Past age L
 * the lease is in doubt: no permit, no petting while a run needs it, and every run with a disk there is
 * frozen: its processes stand still until they are thawed or killed. A good renewal whose answer is used
 * before L+K ends the doubt and thaws. At L+K (epoch, storage) is closed for ever and every run that needs it
 * is killed and verified gone; when then no run is left on the host, the epoch itself is closed, so that a
 * new one can be granted.
 *
 * That a run is over is not said before F (rule 13): a run that did not close its files itself stays in the
 * table for so long after its last process was seen gone, and with it "killed", "clean" and its end are not
 * told. The watchdog does not wait for that: what is gone cannot execute. And since a storage that is out may
 * keep such writes for as long as it is, no run starts on one that has not answered for F without a break.
 * A renewal writes the record and then reads the fence mark (ha/fence_mark.h). One that finds it set is none:
 * the control plane has fenced this life, so the epoch is closed and all its runs are killed.
 *
 * The gate (rule 2): a run whose permit says so (gated) is born only when its process has asked at exec and
 * heard yes; one yes per run, never while its end is asked for. So no process of it can come later than this
 * core knows, and a permit without a process is over as soon as a survey says so. Runs that are not gated are
 * looked for instead.
 *
 * Times are milliseconds of a clock that counts pauses. A keeper that starts with a state believes in no
 * lease: each counts as L old until it has renewed it itself, so its first step freezes the runs that need
 * one.
 */
#ifndef HF_HA_LEASE_RULES_H
#define HF_HA_LEASE_RULES_H

#include "base/status.h"
#include "ha/ha_timing.h"
#include "ha/keeper_state.h"
#include "ha/lease_record.h"

#define HF_LEASE_SURVEY_MS                                                                                   \
    200 /* between two looks at the processes while something has to die or to be seen */
#define HF_LEASE_LOOK_MS                                                                                     \
    2000 /* between two looks otherwise: a guest without a permit does not live longer                       \
          */
#define HF_LEASE_REQUEST_MS                                                                                  \
    10000 /* longest that a request waits for processes to be gone, and F to be over; then TIMEOUT */
#define HF_LEASE_WAITING_MAX 64  /* requests that wait for a look at the processes */
#define HF_LEASE_PROCS_MAX   512 /* processes of guests in one survey */
#define HF_LEASE_EFFECTS_MAX                                                                                 \
    2560 /* of one step: a kill per run and per process, a freeze or thaw per run, … */
#define HF_LEASE_NOTES_MAX   512 /* of one step: the log loses lines before anything else is lost */
#define HF_LEASE_EFFECT_TEXT 256

/* A process of a guest, as a survey saw it. */
struct hf_lease_proc {
    struct hf_uuid instance; /* zero: dying, cannot be told apart any more */
    int pid;
    bool stopped; /* none of its threads can run a guest's instruction: all are stopped or hang in the kernel
                   */
};

enum hf_lease_event_kind {
    HF_LEASE_TICK,
    HF_LEASE_RENEWED,   /* storage, ok, marked, text */
    HF_LEASE_SURVEYED,  /* survey, ok, procs */
    HF_LEASE_REQUESTED, /* token, request */
};

struct hf_lease_event {
    enum hf_lease_event_kind kind;
    struct hf_uuid storage;
    bool ok;          /* RENEWED: the record was written, and then the fence mark was read */
    bool marked;      /* RENEWED and ok: the mark was set */
    const char *text; /* RENEWED and not ok: why */
    uint64_t survey;  /* the number that the effect carried */
    const struct hf_lease_proc *procs;
    size_t n_procs;
    uint64_t token; /* the driver's name for who asked */
    const struct hf_keeper_request *request;
};

enum hf_lease_effect_kind {
    HF_LEASE_PERSIST, /* write the state; replies behind it may leave only when that worked */
    HF_LEASE_RENEW,   /* write the record of this storage (hf_lease_rules_record), then read the mark of its
                         epoch */
    HF_LEASE_KILL,    /* SIGKILL every process of this instance (zero: those that cannot be told apart) */
    /* Stop every thread of every process of this instance; those that hang in the kernel stop when they leave
     * it. Asked for again until a survey has seen it. Whatever the guest itself is in (paused by its user,
     * incoming) stays as it is. */
    HF_LEASE_FREEZE,
    /* Let them go on, if the clock still stands below number (a thaw that comes late must not happen: the
     * core has then gone on to freeze or to kill, or is about to). Not carried out after a later FREEZE or
     * KILL. */
    HF_LEASE_THAW,
    HF_LEASE_SURVEY, /* look for processes of guests, after the kills, freezes and thaws before it */
    /* From now on until it is gone process `number` is one of this instance, whatever can be read of it: it
     * was let through the gate and is about to become QEMU. Before any survey behind it. */
    HF_LEASE_WATCH,
    HF_LEASE_PET,
    HF_LEASE_REPLY,   /* token, code, text */
    HF_LEASE_CHANGED, /* tell all who listen that the view changed */
    HF_LEASE_NOTE,    /* a line for the log */
};

struct hf_lease_effect {
    enum hf_lease_effect_kind kind;
    struct hf_uuid subject; /* storage or instance */
    uint64_t number;        /* RENEW: sequence; THAW: time; WATCH: pid; SURVEY: its number; REPLY: token */
    enum hf_code code;
    char text[HF_LEASE_EFFECT_TEXT];
};

/* What one step wants; cleared at its start. */
struct hf_lease_effects {
    size_t n;
    int64_t wake_ms; /* step again by then, at the latest */
    struct hf_lease_effect list[HF_LEASE_EFFECTS_MAX];
};

struct hf_lease_rules;

/* state: what the last keeper of this boot left, or NULL (then everything of ours is killed first). Copied.
 * An epoch that is open, or of which runs are left, goes on by the profile that it began with, since the
 * leader judges it by that; timing counts from the next one, and an empty host closes its epoch for it. */
struct hf_lease_rules *hf_lease_rules_create(const struct hf_ha_timing *timing, const char *boot_id,
                                             const struct hf_keeper_state *state, int64_t now_ms);
void hf_lease_rules_free(struct hf_lease_rules *r);

void hf_lease_rules_step(struct hf_lease_rules *r, const struct hf_lease_event *e, int64_t now_ms,
                         struct hf_lease_effects *ret);

/* How HF_LEASE_PERSIST went, or its repetition, which is the driver's. Until it went well, record and view
 * tell of no end that the state file does not hold: the next keeper would not know of it. */
void hf_lease_rules_saved(struct hf_lease_rules *r, bool ok);
/* The durations by which it lives at this moment. */
const struct hf_ha_timing *hf_lease_rules_timing(const struct hf_lease_rules *r);
/* What HF_LEASE_PERSIST writes. */
const struct hf_keeper_state *hf_lease_rules_state(const struct hf_lease_rules *r);
/* What HF_LEASE_RENEW writes. */
void hf_lease_rules_record(const struct hf_lease_rules *r, const struct hf_uuid *storage, uint64_t sequence,
                           struct hf_lease_record *ret);
/* Directory of a storage that is or was renewed; NULL if unknown. */
const char *hf_lease_rules_dir(const struct hf_lease_rules *r, const struct hf_uuid *storage);
/* The lease on it is renewed: it was not removed. */
bool hf_lease_rules_renews(const struct hf_lease_rules *r, const struct hf_uuid *storage);
/* The packet that answers HF_KEEPER_VIEW, without its head and watchdog; returns its length (at most
 * HF_KEEPER_PACKET_MAX, to which buf must be aligned and long enough). */
size_t hf_lease_rules_view(const struct hf_lease_rules *r, int64_t now_ms, struct hf_keeper_wire_view *buf);
/* No guest runs or may be starting: the watchdog may be disarmed when the keeper is told to end. */
bool hf_lease_rules_idle(const struct hf_lease_rules *r);

#endif
