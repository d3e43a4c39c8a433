/* The gate before a host's storage: every request passes it, and it does to the request what the rule for its
 * class says.
 *
 * A rule is an action per class. A request that comes to "hang" is held: it waits until its class has another
 * action and then does what that one says, so an "ok" lands it, late. A held request belongs to the storage:
 * it lands also when whoever sent it was killed, or its host has no power any more. With "killable" a held
 * caller that has a signal is let go (as of an NFS server that does not answer); without, it stays in the
 * kernel until the request is answered or the mount is cut.
 *
 * All calls are safe from any thread. hf_gate_pass may block for as long as a rule says.
 */
#ifndef HF_LAB_STORAGE_GATE_H
#define HF_LAB_STORAGE_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hf_gate_class { HF_GATE_READ, HF_GATE_WRITE, HF_GATE_SYNC, HF_GATE_META, HF_GATE_CLASSES };
enum hf_gate_action {
    HF_GATE_OK,
    HF_GATE_HANG,
    HF_GATE_EIO,
    HF_GATE_ENOSPC,
    HF_GATE_EROFS,
    HF_GATE_DELAY,
    HF_GATE_ACTIONS
};

#define HF_GATE_DELAY_MS_MAX 600000
#define HF_GATE_LET_GO       1 /* of hf_gate_pass: the caller goes, its request stays with the storage */

struct hf_gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum hf_gate_action action[HF_GATE_CLASSES];
    unsigned delay_ms[HF_GATE_CLASSES];
    bool killable;
    /* statistics */
    unsigned long passed[HF_GATE_CLASSES]; /* were let through */
    unsigned held[HF_GATE_CLASSES];        /* wait now */
    unsigned long landed_late;             /* writes that waited and were let through */
};

void hf_gate_init(struct hf_gate *g);

/* What becomes of a request: 0 it goes on, -errno it fails with that, HF_GATE_LET_GO (only with interrupted,
 * which tells whether the caller has a signal). ret_held: it waited for another rule. */
int hf_gate_pass(struct hf_gate *g, enum hf_gate_class c, bool (*interrupted)(void), bool *ret_held);

/* Takes an order and writes the answer, a line of JSON with rules and statistics:
 *   stat | ok | killable yes|no | CLASSES ACTION [MS]
 * CLASSES are letters of r(ead) w(rite) s(ync) m(etadata), ACTION ok, hang, eio, enospc, erofs or delay. "ok"
 * alone is "rwsm ok". False: no such order; the answer says so. */
bool hf_gate_order(struct hf_gate *g, const char *line, char *answer, size_t len);

#endif
