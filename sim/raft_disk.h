/* What a control node's disk holds of Raft: term, vote, the last snapshot and the entries after it (and some
 * before). It outlives the node's process; when a write has landed is raft_io.h's matter.
 */
#ifndef HF_SIM_RAFT_DISK_H
#define HF_SIM_RAFT_DISK_H

#include <raft.h>

#include "base/bytes.h"

struct sim_raft_entry {
    raft_term term;
    enum raft_entry_type type;
    struct hf_bytes *data;
};

struct sim_raft_disk {
    raft_term term; /* 0: nothing was ever written */
    raft_id vote;
    struct { /* index 0: there is none */
        raft_index index, configuration_index;
        raft_term term;
        struct hf_bytes *configuration, *data;
    } snapshot;
    raft_index first; /* index of entries[0], or of the next one */
    struct sim_raft_entry *entries;
    size_t n, cap;
};

void sim_raft_disk_init(struct sim_raft_disk *d); /* empty */
void sim_raft_disk_done(struct sim_raft_disk *d);

/* The first configuration as entry 1. False: the disk is not empty. */
bool sim_raft_disk_bootstrap(struct sim_raft_disk *d, const struct raft_configuration *c);
/* Of the last entry or the snapshot; 0: there is none. */
raft_index sim_raft_disk_last(const struct sim_raft_disk *d);
void sim_raft_disk_append(struct sim_raft_disk *d, const struct raft_entry *entries, unsigned n);
/* Drops the entries from this index on. */
void sim_raft_disk_truncate(struct sim_raft_disk *d, raft_index index);
/* Keeps so many entries up to the snapshot's index; with trailing 0 the snapshot replaces the whole log. */
void sim_raft_disk_put_snapshot(struct sim_raft_disk *d, const struct raft_snapshot *s, unsigned trailing);

/* Copies in libraft's memory, as raft_io's load and snapshot_get hand them over. NULL: there is no snapshot.
 */
struct raft_snapshot *sim_raft_disk_snapshot(const struct sim_raft_disk *d);
/* All in one batch; NULL when there are none. */
struct raft_entry *sim_raft_disk_entries(const struct sim_raft_disk *d, size_t *ret_n);

#endif
