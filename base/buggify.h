/* Rare but legal paths, taken more often: a call that is refused once, a small batch, an answer that is taken
 * for lost. What is rare in life is where bugs live long; the idea is FoundationDB's.
 *
 * HF_BUGGIFY(NAME) stands where the code may go either way. It is a constant 0 in everything that is shipped.
 * With HF_SIM (the preset "sim") it is true when the point is switched on and the simulator's draw says so. A
 * point must never stand in what every replica does alike (apply, guards, snapshots' content): replicas would
 * differ.
 */
#ifndef HF_BASE_BUGGIFY_H
#define HF_BASE_BUGGIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Name and what happens there. */
/* clang-format off */
#define HF_BUGGIFY_POINTS(X) \
    /* consensus/ */ \
    X(ENTRY_OF_ONE,         "a proposal takes one transaction only") \
    X(WRITES_FULL,          "the queue of writes is full") \
    X(READ_BY_BARRIER,      "the others' answer that this replica leads takes too long: a read takes a barrier") \
    X(QUESTION_LOST,        "a member does not hear the leader's question") \
    X(EARLY_SNAPSHOT,       "the log is compacted although it is short") \
    X(SHORT_TRAIL,          "a snapshot leaves no entries for followers that lag") \
    X(SNAPSHOT_BUSY,        "a snapshot is not sent now") \
    X(NOTICE_WAITS,         "a message without entries waits for a next one") \
    X(SLOW_WATCH,           "a watch delivers one change in a turn") \
    /* control/ */ \
    X(COMMAND_CONFLICTS,    "a command finds the store changed and is built anew") \
    X(EDIT_OUTDATED,        "what a controller decided rests on objects that have changed") \
    X(RECONCILE_LATER,      "an object is looked at with a later tick") \
    X(FENCING_LATER,        "fences are looked at with a later tick") \
    X(STREAM_REPLACED,      "a host's stream ends and is dialled again") \
    X(ASSIGN_AGAIN,         "an order is sent that was sent before") \
    /* ha/ */ \
    X(SAMPLE_FAILS,         "an observer's sample is not good") \
    X(OBSERVATION_LOST,     "an observation does not reach the detector") \
    X(SURVEY_FAILS,         "the keeper cannot look at the processes") \
    X(KEEPER_BUSY,          "too many requests wait for the keeper's next look") \
    /* hostd/ */ \
    X(BACKOFF_MAX,          "a wait is as long as it can get") \
    X(VIEW_FAILS,           "the keeper's view does not come") \
    X(LIST_FAILS,           "the hypervisor does not list its domains") \
    X(PERMIT_ANSWER_LOST,   "a permit was given, but its answer is lost") \
    X(START_ANSWER_LOST,    "a start succeeded, but its answer is lost") \
    X(REPORT_TWICE,         "a report is sent twice") \
    X(INBOX_FULL,           "the inbox of the leader's messages is full")
/* clang-format on */

enum hf_buggify_point {
#define HF_BUGGIFY_ENUM(name, what) HF_BUGGIFY_##name,
    HF_BUGGIFY_POINTS(HF_BUGGIFY_ENUM)
#undef HF_BUGGIFY_ENUM
        HF_BUGGIFY_POINTS_END,
};

#ifdef HF_SIM

#define HF_BUGGIFY(name) (hf_buggify_on[HF_BUGGIFY_##name] && hf_buggify_draw(HF_BUGGIFY_##name))

extern bool hf_buggify_on[HF_BUGGIFY_POINTS_END];

struct hf_buggify_info {
    const char *name, *what;
};
/* NULL past the last. */
const struct hf_buggify_info *hf_buggify_at(size_t i);
bool hf_buggify_find(const char *name, enum hf_buggify_point *ret);

void hf_buggify_set(enum hf_buggify_point p, bool on);
/* draw is asked at every point that is on; NULL: no point is ever taken. */
void hf_buggify_hook(bool (*draw)(void *arg, enum hf_buggify_point p), void *arg);
/* All points off, no hook, all counts zero: as at the start of the program. */
void hf_buggify_reset(void);
/* How often a point was taken. */
uint64_t hf_buggify_taken(enum hf_buggify_point p);

bool hf_buggify_draw(enum hf_buggify_point p); /* for the macro alone */

#else

#define HF_BUGGIFY(name) (HF_BUGGIFY_##name == HF_BUGGIFY_POINTS_END) /* a constant 0 that knows the names */

#endif

#endif
