/* libraft's I/O in a simulated process: its clock and timer, a disk that takes its time, messages as copies.
 * One per life of the process.
 *
 * Term and vote are written at once; where the disk hangs, the process stands still after it.
 */
#ifndef HF_SIM_RAFT_IO_H
#define HF_SIM_RAFT_IO_H

#include "sim/node.h"
#include "sim/raft_disk.h"
#include "sim/raft_message.h"

struct sim_raft_io;

struct sim_raft_io_options {
    struct sim_proc *proc;
    struct sim_raft_disk *disk;
    const struct sim_node_disk *faults;
    struct sim_rng *rng; /* of the disk */
    /* An act: brings m, whose body names its receiver, on its way. */
    void (*transmit)(void *arg, struct sim_raft_message *take_m);
    void *arg;
};

struct sim_raft_io *sim_raft_io_create(const struct sim_raft_io_options *o);
/* When raft has closed. raft_close() ends within its call, at a crash too. */
void sim_raft_io_free(struct sim_raft_io *io);
/* For raft_init(). */
struct raft_io *sim_raft_io_of(struct sim_raft_io *io);

/* A message has come; inside the process. Its body's server_id and server_address are the sender's. */
void sim_raft_io_receive(struct sim_raft_io *io, struct sim_raft_message *take_m);
/* In every turn, before the replica's: libraft's requests that have ended are told, as its own driver does.
 */
void sim_raft_io_turn(struct sim_raft_io *io);
/* There are such requests. */
bool sim_raft_io_completed(const struct sim_raft_io *io);

#endif
