/* The writes of one life of a node's process to its disk: carried out one after the other, entries that wait
 * together in one go, as libraft's own driver does it. Each has its time; what has landed stays.
 */
#ifndef HF_SIM_RAFT_WRITER_H
#define HF_SIM_RAFT_WRITER_H

#include "sim/node.h"
#include "sim/raft_disk.h"

struct sim_raft_write;
struct sim_raft_work;

struct sim_raft_writes {
    struct sim_raft_write *first, **end;
};

struct sim_raft_writer {
    struct sim_proc *proc;
    struct sim_raft_disk *disk;
    const struct sim_node_disk *faults;
    struct sim_rng *rng;
    raft_index last;                /* of the log when all writes are done */
    struct sim_raft_writes waiting; /* not begun */
    struct sim_raft_writes running; /* what the disk works at */
    struct sim_raft_writes landed;  /* to be told */
    struct sim_raft_work *work;     /* NULL: the disk is idle */
};

void sim_raft_writer_init(struct sim_raft_writer *wr, struct sim_proc *p, struct sim_raft_disk *d,
                          const struct sim_node_disk *faults, struct sim_rng *rng);
/* The process ends. Of the write under way all, nothing or a first part has landed; what waited has not.
 * Every request is told RAFT_CANCELED. */
void sim_raft_writer_close(struct sim_raft_writer *wr);

/* Each is an act. The request's callback comes later, as a delivery; what is handed in must stay until then.
 */
void sim_raft_writer_append(struct sim_raft_writer *wr, struct raft_io_append *request,
                            const struct raft_entry *entries, unsigned n);
/* Drops the entries from this index on, if there are any. */
void sim_raft_writer_truncate(struct sim_raft_writer *wr, raft_index index);
/* trailing: as sim_raft_disk_put_snapshot(). */
void sim_raft_writer_put(struct sim_raft_writer *wr, struct raft_io_snapshot_put *request,
                         const struct raft_snapshot *snapshot, unsigned trailing);

#endif
