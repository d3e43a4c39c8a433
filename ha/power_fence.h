/* Cutting a host's power by its fence agents until they confirm it (DESIGN.md section 5, rule 14). Pure: it
 * says which agent to run for what, is told what that answered, and ends when every device of one level says
 * off.
 *
 *   ask     the status of every device of the level
 *             all off                   off: confirmed, nothing was sent
 *             some on                   cut
 *             one cannot tell           asked again, unless it hung, then the next level
 *   cut     "off" to those that are not off, all before anything is judged; then ask
 *             still on                  cut again, then the next level
 *   … all levels failed                 from the first again, after a growing pause, for ever
 *
 * What an agent says of its own "off" proves nothing and its time-out denies nothing: only the status that is
 * asked afterwards counts. So a host that is off already counts without a command, and a new leader that
 * knows nothing begins by asking. It never ends in a failure: other evidence may come first, and its user
 * stops it then.
 *
 * The agents' standard interface (their FenceAgentAPI): the status exits with 0 for on, 2 for off, anything
 * else is no answer.
 */
#ifndef HF_HA_POWER_FENCE_H
#define HF_HA_POWER_FENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HF_POWER_DEVICES_MAX 8 /* of one host, all levels together */
#define HF_POWER_NAME_MAX    64
#define HF_POWER_TEXT_MAX    200

#define HF_POWER_ASKS_MAX 2    /* rounds of asking a level that cannot tell */
#define HF_POWER_CUTS_MAX 2    /* rounds of cutting a level that stays on */
#define HF_POWER_RETRY_MS 1000 /* between two rounds of a level */
#define HF_POWER_PAUSE_MS                                                                                    \
    2000 /* after the first pass through all levels that failed; doubled from pass to pass */
#define HF_POWER_PAUSE_MAX_MS 60000

enum hf_power_verb { HF_POWER_STATUS, HF_POWER_OFF, HF_POWER_ON };

enum hf_power_answer {
    HF_POWER_NO_ANSWER, /* not asked yet */
    HF_POWER_IS_OFF,    /* to status */
    HF_POWER_IS_ON,     /* to status */
    HF_POWER_ACCEPTED,  /* to off and on: the agent ended well, which proves nothing */
    HF_POWER_REFUSED,   /* the agent says no: a wrong password, an unknown plug, nobody there */
    HF_POWER_UNKNOWN,   /* no answer by its deadline: what was asked may have happened */
};

/* What the end of an agent's run means. */
enum hf_power_answer hf_power_answer_of(enum hf_power_verb verb, int exit_code);
/* "status", "off", "on": the agents' own words. */
const char *hf_power_verb_text(enum hf_power_verb verb);

struct hf_power_device {
    char name[HF_POWER_NAME_MAX];
    unsigned level;
    /* volatile */
    bool running;                 /* an agent runs for it */
    bool due;                     /* this round still has to run its agent */
    bool cut;                     /* it was told "off" before now */
    enum hf_power_answer said;    /* in this round */
    int64_t asked_ms, said_ms;    /* of the last status */
    char text[HF_POWER_TEXT_MAX]; /* why it was refused or is unknown, last */
};

enum hf_power_phase { HF_POWER_PAUSED, HF_POWER_ASKING, HF_POWER_CUTTING, HF_POWER_IS_CUT };

struct hf_power_fence {
    struct hf_power_device devices[HF_POWER_DEVICES_MAX]; /* by level */
    size_t n_devices;
    enum hf_power_phase phase;
    unsigned level;                /* that is being tried */
    unsigned asks, cuts;           /* rounds of this level */
    unsigned passes;               /* through all levels, in vain */
    int64_t due_ms;                /* PAUSED: goes on then */
    int64_t off_ms;                /* IS_CUT: the last device said so */
    char doubt[HF_POWER_TEXT_MAX]; /* why the last confirmation was not believed, or "" */
};

struct hf_power_run {
    size_t device;
    enum hf_power_verb verb;
};

/* Begins; devices are taken in the order of their levels. At most HF_POWER_DEVICES_MAX, at least one. */
void hf_power_fence_init(struct hf_power_fence *f, int64_t now_ms);
void hf_power_fence_add(struct hf_power_fence *f, const char *name, unsigned level);

/* What to run now, one at a time; false: nothing, wait for an answer or for hf_power_fence_due(). Each run is
 * answered once. */
bool hf_power_fence_next(struct hf_power_fence *f, int64_t now_ms, struct hf_power_run *ret);
void hf_power_fence_answer(struct hf_power_fence *f, size_t device, enum hf_power_answer answer,
                           const char *text, int64_t now_ms);

/* Every device of level f->level says off, the last since off_ms. */
static inline bool hf_power_fence_is_off(const struct hf_power_fence *f)
{
    return f->phase == HF_POWER_IS_CUT;
}
/* The host showed life after its devices had said off: they are asked again, after a pause. */
void hf_power_fence_doubt(struct hf_power_fence *f, const char *why, int64_t now_ms);

/* When hf_power_fence_next() may have something although nobody answered; INT64_MAX: never. */
int64_t hf_power_fence_due(const struct hf_power_fence *f);
/* It fails or is doubted: a person should know. */
bool hf_power_fence_in_trouble(const struct hf_power_fence *f);
/* How it stands, a sentence without a full stop. */
void hf_power_fence_say(const struct hf_power_fence *f, int64_t now_ms, char *out, size_t len);

#endif
