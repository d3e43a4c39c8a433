/* What becomes of the instances of a host that is drained: who leaves now and how, whether the drain is over,
 * refused or goes on, and the sentence that says how far it is. Pure: a view goes in, a plan comes out; run
 * it again after every change.
 *
 * What can be migrated live is migrated. What cannot is stopped, waited for, or makes the drain fail, by
 * policy; a drain that fails is found out before anything is touched, unless the reason came up on the way.
 * At most parallel_max of those that run on elsewhere are under way at once; those that stay down stop all at
 * once, for nobody waits for them. A drain that was taken back begins nothing more, and sees what it has
 * begun to its end.
 */
#ifndef HF_CONTROL_DRAIN_PLAN_H
#define HF_CONTROL_DRAIN_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#define HF_DRAIN_TEXT_MAX  900
#define HF_DRAIN_NAMED_MAX 8 /* instances that a sentence names; the rest is counted */
#define HF_DRAIN_FAILURES_MAX                                                                                \
    3 /* failed migrations of an instance after which it counts as one that cannot move */

enum hf_drain_place {
    HF_DRAIN_RUNS,
    HF_DRAIN_STARTS,  /* its guest does not run yet */
    HF_DRAIN_ARRIVES, /* a migration to this host is not over: it leaves when it is here */
    HF_DRAIN_ENDS,    /* somebody else stops or deletes it */
    HF_DRAIN_LOST,    /* its host has no contact, or lives another life: HA decides about it */
};

enum hf_drain_step { HF_DRAIN_STAY, HF_DRAIN_MIGRATE, HF_DRAIN_STOP };

/* One that is placed on the host, its end not proven. Strings are borrowed. */
struct hf_drain_instance {
    const char *name;
    enum hf_drain_place place;
    bool restarts;       /* when it is stopped here it starts elsewhere by itself */
    const char *problem; /* why it cannot be migrated live now, or does not come to run; NULL: nothing */
    bool pauses; /* not to be judged yet: its last migration failed a moment ago, or the problem is that young
                  */
    enum hf_drain_step leaving; /* begun; STAY: nothing is */
    const char *target;         /* MIGRATE: name of the host that it moves to */
};

enum hf_drain_policy { HF_DRAIN_POLICY_REFUSE, HF_DRAIN_POLICY_STOP, HF_DRAIN_POLICY_WAIT };

struct hf_drain_view {
    enum hf_drain_policy policy;
    bool withdrawn; /* taken back: nothing more is begun */
    unsigned parallel_max;
    size_t total, stopped; /* that were to leave; of these stopped by the drain for good */
    const struct hf_drain_instance *instances;
    size_t n;
};

enum hf_drain_verdict {
    HF_DRAIN_GOES_ON, /* text: how far it is */
    HF_DRAIN_OVER,    /* the host is empty, or what was begun before the drain was taken back has ended */
    HF_DRAIN_REFUSED, /* text: who cannot leave, and why */
};

/* ret_steps: one per instance, what is to be begun now (STAY: nothing). */
enum hf_drain_verdict hf_drain_plan(const struct hf_drain_view *v, enum hf_drain_step *ret_steps,
                                    char ret_text[HF_DRAIN_TEXT_MAX]);

#endif
