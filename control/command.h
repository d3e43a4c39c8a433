/* One change of the store, by a request or a controller: look at the state, fill a transaction, submit it, look again if the
 * world changed meanwhile. It is the only way that control/ writes.
 */
#ifndef HF_CONTROL_COMMAND_H
#define HF_CONTROL_COMMAND_H

#include "control/control.h"

#define HF_COMMAND_TRIES 8

/* Reads the store and fills t; may be called several times, each time with an empty t. An error ends the command: it is
 * given to `done` only after a barrier has shown that it still holds (so that a deposed leader cannot answer from an old
 * state); conflicts found in apply are tried again from here. An empty transaction ends the command with OK. */
typedef hf_status (*hf_command_build)(void *arg, const struct hf_store *s, struct hf_txn *t);

/* st borrowed; res is NULL unless a transaction applied (now, or earlier for the same request_id: res->repeated). */
typedef void (*hf_command_done)(void *arg, hf_status st, const struct hf_txn_result *res);

struct hf_command {
    const char *request_id; /* NULL or "": none. Copied */
    uint64_t request_hash;  /* of method and request, so that a reused id is noticed */
    hf_command_build build;
    hf_command_done done;   /* exactly once, never inside hf_command_run */
    void *arg;
};

void hf_command_run(struct hf_control *c, const struct hf_command *cmd);

#endif
