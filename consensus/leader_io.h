/* Puts a leader's I/O into the order that answers soonest. Works on any raft_io, so that the tests run it on the fixture.
 *
 * - An entry goes out to the other members before it goes to the own disk: libraft begins with the disk, and the members,
 *   whose disks the answer waits for, would begin later by the time that a write takes to be submitted. An entry counts
 *   as stored here when its write is done, as ever. (Section 10.2.1 of Ongaro's dissertation.)
 * - A message without entries, which only tells how far the log is committed, waits a moment for one with entries to the
 *   same member: that one tells it too. Under load this is half of all messages.
 */
#ifndef HF_CONSENSUS_LEADER_IO_H
#define HF_CONSENSUS_LEADER_IO_H

#include "consensus/replica.h"

struct hf_leader_io;

/* After raft_init(), before raft_start(). */
struct hf_leader_io *hf_leader_io_create(struct hf_replica *r, struct raft *raft);
/* When raft has closed. */
void hf_leader_io_free(struct hf_leader_io *l);

/* The end of a turn: now the disk gets what waits for it. */
void hf_leader_io_flush(struct hf_leader_io *l);

#endif
