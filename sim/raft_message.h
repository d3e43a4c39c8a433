/* Raft's messages between simulated nodes: whole copies, owned by the network until they arrive. What libraft
 * will free is in libraft's memory.
 */
#ifndef HF_SIM_RAFT_MESSAGE_H
#define HF_SIM_RAFT_MESSAGE_H

#include <raft.h>

struct sim_raft_message {
    struct raft_message body;
    void *receiver; /* for who sends it */
};

/* What the message points to is copied, except for server_address. */
struct sim_raft_message *sim_raft_message_copy(const struct raft_message *m);
void sim_raft_message_free(struct sim_raft_message *m);
/* Frees the copy, but not what its body points to: libraft has that now. */
void sim_raft_message_given(struct sim_raft_message *m);

/* raft_calloc that does not fail. */
void *sim_raft_calloc(size_t n, size_t size);
/* Copies the entries' data into one new batch, as libraft wants those that it did not make itself. */
void sim_raft_own_batch(struct raft_entry *entries, unsigned n);

#endif
