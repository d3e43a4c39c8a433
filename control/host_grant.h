/* The grant of epochs: what to do with a host daemon's Hello, and the transaction that does it (DESIGN.md
 * section 5).
 *
 *   the keeper lives the host's present epoch, in the same boot, unfenced and not closed   adopt: nothing is
 * lost else, nothing of an earlier life runs (clean)                                          grant the next
 * epoch else                                                                                   end: kill all,
 * say hello again. A host that is switched off (it says so, or was told to shut down and has closed the
 * epoch) is granted none: it rests.
 *
 * The grant fences the epoch before with the proof "next epoch" in the same transaction. A Hello that says
 * "closed and killed" about the present epoch is evidence by itself. Pure.
 */
#ifndef HF_CONTROL_HOST_GRANT_H
#define HF_CONTROL_HOST_GRANT_H

#include "base/env.h"
#include "consensus/store.h"
#include "consensus/txn.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"

#define HF_EPOCH_MAX (UINT64_MAX / 2) /* a keeper that says more is not believed */

enum hf_grant {
    HF_GRANT_ADOPT,
    HF_GRANT_NEXT,
    HF_GRANT_END,
    HF_GRANT_DENY, /* the keeper lives an epoch that this control plane never granted */
    HF_GRANT_REST, /* it is about to be switched off, and clean: it may end */
};

/* The keeper names the host's present epoch and boot: only the machine that was granted it can. */
bool hf_grant_same_life(const Holdfast__V1__Host *h, const Holdfast__V1__Hello *hello);

/* fenced: the host's present epoch has a fence. leaves: the host says that it is about to be switched off. */
enum hf_grant hf_grant_decide(const Holdfast__V1__Host *h, bool fenced, bool leaves,
                              const Holdfast__V1__Hello *hello);

/* Decides from the store and fills t (nothing when all is known already). ret_epoch is the epoch to welcome
 * with (ADOPT, NEXT). NOT_FOUND: the host does not exist; DENIED: with a sentence. */
hf_status hf_grant_build(struct hf_env *env, const struct hf_store *s, struct hf_txn *t,
                         const Holdfast__V1__Hello *hello, bool leaves, enum hf_grant *ret,
                         uint64_t *ret_epoch) HF_MUST_USE;

/* The profile that the host is judged by from this Hello on. A life is judged by the longest silence of those
 * that it was reported with: a keeper goes on by the one that its epoch began with, and nobody ends it sooner
 * for a word that says otherwise. Borrowed from one of the two. */
const char *hf_grant_profile(const Holdfast__V1__HostStatus *st, const Holdfast__V1__Hello *hello,
                             bool same_life);

#endif
