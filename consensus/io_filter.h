/* Between libraft and its I/O: what libraft 0.22 lacks or does badly. Works on any raft_io, so that the tests
 * run it on the fixture.
 *
 * - Leadership is confirmed without a log entry (ReadIndex, section 6.4 of Ongaro's dissertation): the leader
 * sends each member an AppendEntries that builds on an entry beyond any log. The member refuses it, in the
 * leader's term, and the refusal repeats the number: it answers exactly this question, and nothing was
 * written.
 * - One snapshot at a time to a member. While one is on its way libraft goes on with heartbeats; the member
 * refuses each, since what they build on is still to come, and each refusal makes the leader load and send
 * the snapshot anew. And the member's libraft never frees a copy that comes while it installs another.
 * - A snapshot is sent with the term of its own last entry. libraft may have that of an older snapshot: the member would
 * refuse what follows as if its committed entries were wrong, and libraft would free that message twice.
 * - Entries that a member has compacted away are cut off what it gets. libraft takes them for entries that it never had: a
 * member whose answers were lost for long is asked to go back further and further, and at the first entry it appends the
 * whole log to the one that it has.
 * - A refusal that an acknowledgement has overtaken takes nobody back behind what is acknowledged: libraft would never send that
 * member an entry again.
 * - A message that ends before what a member knows to be committed does not take its commit index back: a snapshot taken
 * then would hold more than its index says.
 */
#ifndef HF_CONSENSUS_IO_FILTER_H
#define HF_CONSENSUS_IO_FILTER_H

#include <raft.h>

#include "consensus/replica.h"

struct hf_io_filter;

/* After raft_init(), before raft_start(); r must be raft's state machine. Gives the replica its way to
 * confirm leadership.
 */
struct hf_io_filter *hf_io_filter_create(struct hf_replica *r, struct raft *raft);
/* When raft has closed. */
void hf_io_filter_free(struct hf_io_filter *f);

#endif
