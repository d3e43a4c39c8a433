/* The blocklists of fenced lives on the leader (rule 15): what the plan hears of them, who is asked, what is
 * committed of the answers. All calls are on the loop.
 *
 *   NONE      what is wanted is logged with the fence, or when the plan asks for it
 *   WANTED    the cluster is asked until it lists the host; a barrier before each question shows that this
 *             node still leads
 *   ADDED     with evidence, where whole addresses are listed; asked again every minute until the life is
 *             proven over otherwise
 *   REMOVING  the host lives a later epoch (ha_unblock.c)
 *   REMOVED   the cluster has confirmed it, the storage is the host's again
 *
 * A question whose end nobody knows (no answer, an error, one of an earlier leader) may act until its process
 * is ended and the monitors have forgotten its commands: until then nothing is asked that it would undo. That
 * a node which stands still for longer than that and goes on asks late cannot be ruled out: removals name
 * what they remove, and entries are asked for again every minute.
 */
#ifndef HF_CONTROL_HA_BLOCKLIST_H
#define HF_CONTROL_HA_BLOCKLIST_H

#include "control/block_question.h"
#include "control/blocklist.h"
#include "control/ha_controller.h"

#define HF_BLOCK_ASK_MS       15000 /* deadline of one question: its process is ended then */
#define HF_BLOCK_LATE_MS      35000 /* behind that, a monitor may still carry out what it was sent */
#define HF_BLOCK_BARRIER_MS   5000  /* a barrier that takes longer proves too little: another one */
#define HF_BLOCK_RENEW_MS     60000
#define HF_BLOCK_RETRY_MS     1000 /* after the first error; doubled with each */
#define HF_BLOCK_RETRY_MAX_MS 30000

/* What this leader remembers of one blocklist. */
struct hf_ha_block {
    struct hf_ha_block *next;
    struct hf_controllers *c; /* NULL: forgotten while a question was under way */
    struct hf_uuid fence, storage;
    enum { HF_BLOCK_IDLE, HF_BLOCK_BARRIER, HF_BLOCK_ASKED } phase;
    bool unfence;             /* what is asked, or was last */
    int64_t begun_ms;         /* of the barrier */
    int64_t due_ms;           /* no question before */
    int64_t unknown_until_ms; /* what was asked may act until then */
    unsigned failures;        /* in a row */
    bool confirmed;           /* answer holds one to "fence" that may not be committed yet */
    struct hf_block_answer answer;
    uint64_t unfenced_epoch; /* of an answer to "unfence" that is not committed yet; 0: none */
    char trouble[HF_FENCE_TEXT_MAX];
    char entries[128]; /* confirmed: as text */
};

/* The memory of it; made when there is none: then nobody knows what earlier leaders have asked. */
struct hf_ha_block *hf_ha_block_of(struct hf_controllers *c, const struct hf_uuid *fence,
                                   const struct hf_uuid *storage);
/* The same, or NULL when there is none. */
struct hf_ha_block *hf_ha_block_find(const struct hf_controllers *c, const struct hf_uuid *fence,
                                     const struct hf_uuid *storage);
/* Asks when that is due and nothing stands against it. */
void hf_ha_block_ask(struct hf_ha_block *b, bool unfence);
void hf_ha_blocks_stop(struct hf_ha_controller *ha);

/* --- for the plan (ha_fencing.c) --- */

/* As the world has it, or NULL. */
const Holdfast__V1__PrimaryStorage *hf_ha_storage_of(const struct hf_controllers *c,
                                                     const struct hf_uuid *uuid);

/* Fills in s->block; f may be NULL. The texts live until the next look. */
void hf_ha_block_view(struct hf_controllers *c, const Holdfast__V1__Fence *f,
                      const Holdfast__V1__PrimaryStorage *ps, struct hf_fence_storage *s);
/* Logs the wish, on copies that are about to be committed together. */
void hf_ha_block_want(struct hf_controllers *c, Holdfast__V1__Fence *f, Holdfast__V1__Host *h,
                      const Holdfast__V1__PrimaryStorage *ps);
/* Logs what the cluster has confirmed, on a copy; ret: the evidence that follows from it, to be filled, or
 * NULL. */
void hf_ha_block_confirm(struct hf_controllers *c, Holdfast__V1__Fence *f, const struct hf_uuid *storage,
                         Holdfast__V1__Evidence *ret);

/* Why an instance that was placed in the life of that fence is not held off from all of its storages, or
 * NULL: which of its storages are of Ceph, and whether the fence's blocklists hold there. */
const char *hf_ha_not_blocked(const struct hf_controllers *c, const Holdfast__V1__Fence *f,
                              const Holdfast__V1__Instance *i, char *out, size_t len);
/* Why a write-fenced instance is treated as strict this time, or NULL. f: NULL, when nothing is fenced yet.
 */
const char *hf_ha_not_write_fenced(const struct hf_world *w, const Holdfast__V1__Fence *f,
                                   const Holdfast__V1__Instance *i, char *out, size_t len);

/* --- ha_unblock.c --- */

/* Takes hosts that live again off the blocklists, and commits what was only confirmed by clients. True:
 * something is being committed. */
bool hf_ha_unblock(struct hf_controllers *c);
/* Why a question may not be asked now, or NULL. */
const char *hf_ha_block_conflict(struct hf_controllers *c, const Holdfast__V1__Fence *f,
                                 const Holdfast__V1__PrimaryStorage *ps, bool unfence, char *out, size_t len);
/* What keeps this host from the storage, for people; NULL: nothing. */
const char *hf_ha_unblock_text(const struct hf_controllers *c, const Holdfast__V1__Host *h, char *out,
                               size_t len);

#endif
