/* The invariants, apart from the code under test: facts of a history go in, violations come out. Shared by
 * the simulator and the chaos runs on real processes. Nothing here looks into the system; who feeds it says
 * what it saw and when.
 *
 * Times are true time in nanoseconds; hosts, nodes and clients are numbers from 0. Pure.
 */
#ifndef HF_SIM_CHECKS_H
#define HF_SIM_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/uuid.h"
#include "ha/ha_timing.h"

#define SIM_HOSTS_MAX 64

enum sim_rule {
    SIM_RULE_TWO_COPIES,    /* two unfrozen copies of one instance at one instant */
    SIM_RULE_OLD_WRITE,     /* a write of an older run landed after the first of a newer one */
    SIM_RULE_NEVER_STOP,    /* did not run again in time, was given up, or placed again where it was killed */
    SIM_RULE_NEEDLESS_KILL, /* a guest was killed, or a host fenced, without need */
    SIM_RULE_LOST,          /* acknowledged, and not there any more; or nodes that applied different things */
    SIM_RULE_LINEARIZABLE,  /* the API's history has no order that explains it */
    SIM_RULE_GROWS,         /* an epoch or a run went back or was used twice */
    SIM_RULE_ADDRESSES,     /* one address, two NICs */
    SIM_RULE_OPERATIONS,    /* an operation did not end, or changed after its end */
    SIM_RULE_CONVERGES,     /* after the faults stopped: not what was asked for */
    SIM_RULE_PLACEMENT,     /* a placement that was left without proof, or a copy without a placement */
    SIM_RULE_ENDED_RUNS,    /* the store calls a run over, and it executes */
    SIM_RULE_GATE,          /* a keeper let a guest be born that must not be */
    SIM_RULE_APART,         /* a placement that puts two of a hard anti-affinity group on one host */
    SIM_RULE_PRIORITY,      /* a placement that takes the last room from who waits with a higher priority */
    SIM_RULE_BLOCKLIST,     /* a Ceph cluster refuses a client that it must not, or one no more that it must */
    SIM_RULES,
};
const char *sim_rule_name(enum sim_rule r); /* "two-copies" */

struct sim_violation {
    enum sim_rule rule;
    int64_t at_ns;
    char text[400]; /* one sentence that names the subject */
};

struct sim_checks;

/* One violation per rule and subject. At most SIM_VIOLATIONS_MAX are kept, and on_violation (may be NULL)
 * hears of each of these; what comes after is not looked at. timing: of every host, for ever valid. */
#define SIM_VIOLATIONS_MAX 16
struct sim_checks *sim_checks_create(const struct hf_ha_timing *timing,
                                     void (*on_violation)(void *arg, const struct sim_violation *v),
                                     void *arg);
void sim_checks_free(struct sim_checks *c);
size_t sim_checks_violations(const struct sim_checks *c, const struct sim_violation **ret);
/* Somebody who looks for himself (a client at its own answers) has seen a rule broken: one sentence. */
void sim_checks_found(struct sim_checks *c, int64_t now_ns, enum sim_rule rule, const char *fmt, ...)
    HF_PRINTF(4, 5);

/* --- copies and writes --- */
/* This host's copy of the instance's run began or ceased to execute (start, freeze, thaw, kill, pause,
 * power). Two beginnings of one copy without an end in between are two copies; an end of what does not
 * execute says nothing.
 *   two-copies  at every instant at most one copy of an instance executes, over all hosts and runs. One that is
 *               write-fenced, on Ceph storages alone, may have older ones as well whose run was left while it was
 *               that, for as long as each of its storages refuses all clients of their hosts
 *   placement   a copy executes only with a run that the store has placed, and on that host
 *   grows       a run belongs to one host, and none begins for the first time below one that had begun
 *   ended-runs  once a placement's end is committed, no copy of that run or an older one executes, but for
 *               those */
void sim_checks_copy(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                     uint64_t run, bool runs);
/* A guest's write landed. Once a write of run r has landed on a storage, none of an older run may: F
 * (guest_write_ms), for which a write may live behind the end of its copy, follows every proof (rule 13). */
void sim_checks_write(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *storage,
                      const struct hf_uuid *instance, uint64_t run, uint64_t counter, int64_t issued_ns);
/* SIGKILL or reset that ended a copy which had not been asked to stop: not what hostd asked the keeper to
 * end, and not a process that the keeper's record does not list. It is needless when
 *   - the store has wanted nothing but RUNNING since this run was placed here, in this open, unfenced epoch;
 *   - the host's keeper has been up for L (a starting keeper believes in no lease, rule 11);
 *   - every lease that the run needs was renewed less than L ago, from the start of the renewal on true
 *     time, and had never been older than L+K (less drift) in this epoch: then it is closed for ever;
 *   - and, for a reset, every lease of the host was, and nothing was wrong with the host for L+K+W. */
enum sim_killer { SIM_KILLED_BY_KEEPER, SIM_KILLED_BY_WATCHDOG };
void sim_checks_kill(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                     uint64_t run, enum sim_killer by);

/* The host's keeper has let a process through its gate, which becomes a guest. state: what the keeper's state
 * said just before of that run and of what it needs.
 *   gate  the run has a permit, nothing that it needs is closed, no end of it is committed, and every lease
 *         that it needs was renewed less than L ago, from the start of the renewal, on a clock as slow as the
 *         header allows */
enum sim_gate_state { SIM_GATE_PERMITTED, SIM_GATE_NO_PERMIT, SIM_GATE_CLOSED };
void sim_checks_let_in(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                       uint64_t run, enum sim_gate_state state);

/* --- hosts ---
 *
 * They say which bounds hold. For each instance that is NeverStop, wanted RUNNING and has executed since that
 * was wanted, a clock runs while none of its copies executes. It begins anew at every moment with an excuse,
 * so that only a whole, uninterrupted bound without one is a violation of never-stop. The excuses:
 *   - no quorum; a disturbance; a new leader; HA switched off in the settings;
 *   - more hosts not well at once than ha.massLossShare, and more than one (rule 18: hold and alarm);
 *   - an operation on the instance is under way, or its next start is bound to one host;
 *   - one of its storages is out for every host, or is not a shared one (it waits for its host, rule 5);
 *   - its host is lost, and a storage that a run placed there is on is out, or the host has not renewed its
 *     lease there once in its epoch: the fence holds for what nobody can see (rules 18, 19);
 *   - its migration is open and the host at the other end is not well: it needs proof for both (rule 6);
 *   - its host is faulty but not lost: it lives, and may be unable to say what became of the run (rule 18);
 *   - its host is lost and has no hardware watchdog: silence proves nothing (rule 14);
 *   - its host is not connected, though nothing is wrong with it any more: it is coming back;
 *   - no well host has room, and leases on its storages that are not closed.
 * A host is well when it is connected, enabled, not fenced, and nothing is wrong with it. The clock does not
 * begin before one has become well: it observes the lost one, and is the place to go to. After a start that
 * failed or a run that ended by itself it begins when the back-off of the next start is over.
 *
 * The bound of one whose host is lost is takeover_ms of ha_timing.h and SIM_PLACE_MS, until it is placed
 * elsewhere; of one that is write-fenced, on Ceph storages alone, whose host has its address there for itself and
 * is on no list for an earlier life, write_fenced_ms and SIM_BLOCK_MS and SIM_PLACE_MS; takeover_ms and SIM_START_MS in all until it executes, which is the bound of any other one too.
 */
/* Transactions of a take-over that lost against others are decided anew after a second each; one does. */
#define SIM_PLACE_MS 1000
/* From the fence of one that is write-fenced to its evidence: a question to the cluster, of which the answer is
 * committed, and the evidence behind it. */
#define SIM_BLOCK_MS 2000
/* From the order to start until the guest executes: an attempt that found no host is repeated after 5 s,
 * hostd's view of a storage is up to 18 s old, one transaction may lose (1 s), one start may fail (1 s), and
 * ticks, orders, disks, permit and QEMU take 5 s. */
#define SIM_START_MS (5000 + 18000 + 1000 + 1000 + 5000)

/* The host's keeper has renewed its lease on this storage: the renewal began at started_ns and ended well
 * now. */
void sim_checks_renewed(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *storage,
                        int64_t started_ns);
/* The host's keeper began to run (start, resume), or ceased to. Until told otherwise it runs. */
void sim_checks_keeper(struct sim_checks *c, int64_t now_ns, unsigned host, bool up);
/* The machine lost power or was reset (watchdog), or has booted again: its keeper starts. While lost, silence
 * will prove it, and the bound of NeverStop counts; a host that is faulty in any other way gives no bound. */
void sim_checks_host_lost(struct sim_checks *c, int64_t now_ns, unsigned host, bool lost);
/* A control node's agent is about to switch this host off, as the leader that it is or was. */
void sim_checks_power_cut(struct sim_checks *c, int64_t now_ns, unsigned host);
/* Something is wrong with this host (or is not any more): power, pause, a process, its ways to network or
 * storage. While false it is healthy. */
void sim_checks_host_faulty(struct sim_checks *c, int64_t now_ns, unsigned host, bool faulty);
/* Nothing of what this host asks of this shared storage is done, or some is again. */
void sim_checks_storage_unreached(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *storage,
                                  unsigned host, bool unreached);
/* No host reaches this shared storage, or some do again. */
void sim_checks_storage_out(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *storage, bool out);
/* A majority of the control nodes can work together, or not. */
void sim_checks_quorum(struct sim_checks *c, int64_t now_ns, bool quorum);
/* Another node leads: it counts contact anew, and bounds with it. */
void sim_checks_new_leader(struct sim_checks *c, int64_t now_ns);
/* Other faults are active anywhere (message loss, slow disks, skew beyond the header's drift …): bounds do
 * not hold. */
void sim_checks_disturbed(struct sim_checks *c, int64_t now_ns, bool disturbed);

/* --- the blocklists of Ceph clusters --- */
/* The host's address towards them: from its boot to its next one. */
void sim_checks_address(struct sim_checks *c, int64_t now_ns, unsigned host, const char *address);
/* Somebody who is no host has this address: a daemon of a cluster, a control node. */
void sim_checks_reserve(struct sim_checks *c, const char *address);
/* The cluster of this storage has an entry from now on (again), or no longer. "10.0.0.5:0/0" is a whole
 * address.
 *   blocklist  no whole address is listed that somebody else has, or a host none of whose fences wants that
 *              and has not taken it back; no entry of a fence goes before the log says so and the host lives a
 *              later epoch, or lapses while nothing proves its epoch over; what the log calls confirmed is so */
enum sim_listed { SIM_LISTED, SIM_TAKEN_OFF, SIM_LAPSED };
void sim_checks_listed(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *storage, const char *entry,
                       enum sim_listed what);

/* --- the store, as applied --- */
/* One change that a node applied: kind, object bytes (NULL: deleted). Called for every node, for each change
 * of a transaction; revisions rise per node and life of the node. An object counts as committed when the
 * first node tells of it. What a transaction breaks as a whole is told when the next one comes.
 *   lost        nodes apply the same changes at the same revision, leave none out, and do so again when they
 *               begin anew; a deleted instance does not come back
 *   grows       epochs of a host and runs of an instance only rise; fences and their evidence stay, and a
 *               fenced epoch is not granted again
 *   placement   a placement is in the host's present, unfenced epoch; it is left only when it has ended; it
 *               ends by its own host's word or by a fence of just this epoch with evidence for a storage of
 *               the instance (or the next epoch, or an operator's word), or, if it is write-fenced, for all of
 *               them that it cannot write there; by silence and power alone only when its Ceph storages refuse
 *               the host; its end is final; while it is open
 *               the instance is not deleted and keeps its storages. The next epoch needs evidence against
 *               the last. Silence is evidence only of a host with a watchdog, and after T
 *   needless-kill  a fence or evidence that names the silence of a storage that has been out for every host
 *               for L+K (with a quorum, undisturbed); a fence for silence of a host that holds all its
 *               leases, or one that a copy on it needs; or while too many hosts are without power (rule 18)
 *   never-stop  an instance that is to run again is still wanted when its run has ended
 *   apart       no placement, and no migration, puts two of a hard anti-affinity group on one host
 *   priority    nobody is placed where the last room is that one of a higher priority has waited for
 *   addresses   an address of a network, and a MAC, belong to one NIC, and to its instance if allocated
 *   operations  end once, are not changed after that, and not deleted before */
void sim_checks_applied(struct sim_checks *c, int64_t now_ns, unsigned node, uint64_t revision, uint32_t kind,
                        const struct hf_uuid *uuid, const uint8_t *bytes, size_t len);
/* The node began anew from its disk or a snapshot: what it applied before is forgotten. */
void sim_checks_node_reset(struct sim_checks *c, unsigned node);
/* Number of a host by its UUID, for what the store says. */
void sim_checks_name_host(struct sim_checks *c, unsigned host, const struct hf_uuid *uuid);

/* --- the API's history: each object is a register whose versions are revisions ---
 *
 *   linearizable  a read shows at least, a write makes more than, what anybody had been told of the object
 *                 (and what had been committed, if that is told) when it was invoked; a read shows a revision
 *                 that the object had; acknowledged writes have revisions of their own; a request id is
 *                 answered with one revision however often it is sent, and counts from its first time; what
 *                 was deleted is gone for every later call, and what nobody deleted is there
 *   lost          an acknowledged revision has been applied by a node; in the end, what was created and not
 *                 deleted is there
 */
enum sim_op_kind { SIM_OP_READ, SIM_OP_WRITE, SIM_OP_DELETE };
/* Returns the operation's number. request_id: "" for reads. */
uint64_t sim_checks_invoked(struct sim_checks *c, int64_t now_ns, unsigned client, enum sim_op_kind kind,
                            const struct hf_uuid *object, const char *request_id);
/* Answered well. revision: of the object as answered; 0: there is none (reads, deletes). Creates learn their
 * UUID here. */
void sim_checks_returned(struct sim_checks *c, int64_t now_ns, uint64_t op, const struct hf_uuid *object,
                         uint64_t revision);
/* Surely nothing happened / it may have happened. */
void sim_checks_failed(struct sim_checks *c, int64_t now_ns, uint64_t op, bool may_have_happened);

/* --- the end --- */
/* All faults have stopped at calm_since, and the world was left alone till now, for as long as everything may
 * take. What is wanted RUNNING executes once, where and as what it is placed (unless no well host has room);
 * what is not does not; nothing is being deleted; each host with which nothing is wrong is connected and not
 * fenced; no operation is under way; every node has applied what others had 5 s ago. */
void sim_checks_end(struct sim_checks *c, int64_t now_ns, int64_t calm_since_ns);
uint64_t sim_checks_failovers(const struct sim_checks *c); /* instances that ran elsewhere after a fence */
/* Runs that were left because they could not write, while nothing proved that they did not run. */
uint64_t sim_checks_unwriting(const struct sim_checks *c);

#endif
