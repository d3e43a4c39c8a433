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
    SIM_RULE_TWO_COPIES, /* two unfrozen copies of one instance at one instant */
    SIM_RULE_OLD_WRITE, /* a write of an older run landed after the first of a newer one, beyond what F allows
                         */
    SIM_RULE_NEVER_STOP,    /* a NeverStop instance did not run again within the bound */
    SIM_RULE_NEEDLESS_KILL, /* killed although its host kept its leases, or a host fenced in a storage-wide
                               outage */
    SIM_RULE_LOST,          /* acknowledged, and not there any more; or nodes that applied different things */
    SIM_RULE_LINEARIZABLE,  /* the API's history has no order that explains it */
    SIM_RULE_GROWS,         /* an epoch or a run went back or was used twice */
    SIM_RULE_ADDRESSES,     /* one address, two NICs */
    SIM_RULE_OPERATIONS,    /* an operation did not end, or changed after its end */
    SIM_RULE_CONVERGES,     /* after the faults stopped: not what was asked for */
    SIM_RULE_PLACEMENT,     /* a placement that was left without proof, or a copy without a placement */
    SIM_RULE_ENDED_RUNS,    /* the store calls a run over, and it executes */
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
 * execute says nothing. Rules two-copies  at every instant at most one copy of an instance executes, over all
 * hosts and runs; placement   a copy executes only with a run that the store has placed, and on that host;
 *   grows       one run belongs to one host, and no run begins for the first time below a run that had begun;
 *   ended-runs  from the commit of a placement's end on, no copy of that run or an older one executes. */
void sim_checks_copy(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                     uint64_t run, bool runs);
/* A guest's write landed. Once a write of run r has landed on a storage, none of an older run may, with one
 * allowance (SIM_LATE_WRITE): a write that was under way when its copy ceased to execute may land within F
 * (guest_write_ms) of that moment, when the end of its run was proven by the host itself or its next epoch:
 * these proofs do not wait for F. Silence does (T includes F, rule 13): a run that was ended by nothing but
 * silence has no allowance. What an older copy writes while it executes is never allowed. */
void sim_checks_write(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *storage,
                      const struct hf_uuid *instance, uint64_t run, uint64_t counter, int64_t issued_ns);
/* Writes that landed under that allowance. */
uint64_t sim_checks_late_writes(const struct sim_checks *c);
/* SIGKILL or reset that ended a copy which had not been asked to stop: not what hostd asked the keeper to
 * end, and not a process that the keeper's record does not list. It is needless when
 *   - the store has wanted nothing but RUNNING since this run was placed here, in this open, unfenced epoch;
 *   - the host's keeper has been up for L (a starting keeper believes in no lease, rule 11);
 *   - every lease that the run needs was renewed less than L ago, from the start of the renewal on true time,
 * and had not once been older than L+K (less drift) in this epoch, for then it is closed for ever;
 *   - and, for a reset, that holds for every lease of the host, and nothing was wrong with the host for
 * L+K+W. */
enum sim_killer { SIM_KILLED_BY_KEEPER, SIM_KILLED_BY_WATCHDOG };
void sim_checks_kill(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *instance,
                     uint64_t run, enum sim_killer by);

/* --- hosts --- */
/* The host's keeper has renewed its lease on this storage: the renewal began at started_ns and ended well
 * now. */
void sim_checks_renewed(struct sim_checks *c, int64_t now_ns, unsigned host, const struct hf_uuid *storage,
                        int64_t started_ns);
/* The host's keeper began to run (start, resume), or ceased to. Until told otherwise it runs. */
void sim_checks_keeper(struct sim_checks *c, int64_t now_ns, unsigned host, bool up);
/* The machine lost power or was reset (watchdog), or has booted again: its keeper starts. While lost, silence
 * will prove it, and the bound of NeverStop counts; a host that is faulty in any other way gives no bound. */
void sim_checks_host_lost(struct sim_checks *c, int64_t now_ns, unsigned host, bool lost);
/* Something is wrong with this host (or is not any more): power, pause, a process, its ways to network or
 * storage. While false it is healthy. */
void sim_checks_host_faulty(struct sim_checks *c, int64_t now_ns, unsigned host, bool faulty);
/* No host reaches this shared storage, or some do again. */
void sim_checks_storage_out(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *storage, bool out);
/* A majority of the control nodes can work together, or not. */
void sim_checks_quorum(struct sim_checks *c, int64_t now_ns, bool quorum);
/* Another node leads: it counts contact anew, and bounds with it. */
void sim_checks_new_leader(struct sim_checks *c, int64_t now_ns);
/* Other faults are active anywhere (message loss, slow disks, skew beyond the header's drift …): bounds do
 * not hold. */
void sim_checks_disturbed(struct sim_checks *c, int64_t now_ns, bool disturbed);

/* --- the store, as applied --- */
/* One change that a node applied: kind, object bytes (NULL: deleted). Called for every node; revisions rise
 * per node and life of the node. Decodes hosts, fences, instances, NICs, operations. */
void sim_checks_applied(struct sim_checks *c, int64_t now_ns, unsigned node, uint64_t revision, uint32_t kind,
                        const struct hf_uuid *uuid, const uint8_t *bytes, size_t len);
/* The node began anew from its disk or a snapshot: what it applied before is forgotten. */
void sim_checks_node_reset(struct sim_checks *c, unsigned node);
/* Number of a host by its UUID, for what the store says. */
void sim_checks_name_host(struct sim_checks *c, unsigned host, const struct hf_uuid *uuid);

/* --- the API's history: each object is a register whose versions are revisions --- */
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
/* All faults have stopped at `since`, and the world was left alone till now: everything must be as asked for.
 * Judges history, operations, instances, addresses once more as a whole. */
void sim_checks_end(struct sim_checks *c, int64_t now_ns, int64_t calm_since_ns);
uint64_t sim_checks_failovers(const struct sim_checks *c); /* instances that ran elsewhere after a fence */

#endif
