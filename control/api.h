/* The API of a control node without its wire: every unary and server-streaming method of api/holdfast/v1 (but
 * the hosts' own stream, host_link.h) goes through one table of handlers. A carrier (api_grpc.c, a test)
 * hands in a decoded request and takes the answer through a sink.
 *
 * Writes run on the leader as commands (command.h). Reads wait for a barrier unless they ask for `stale`. A
 * node that does not lead answers NOT_LEADER with the leader's API address in the trailer HF_LEADER_TRAILER
 * ("holdfast-leader").
 *
 * Loop thread only.
 */
#ifndef HF_CONTROL_API_H
#define HF_CONTROL_API_H

#include "control/control.h"

struct hf_api;
struct hf_api_call;

#define HF_API_LEADER_TRAILER "holdfast-leader"

/* How the control plane knows and changes its own members; plugged in by holdfastd.c. */
struct hf_api_members_ops {
    /* Calls back once per member of the Raft configuration. */
    void (*each)(void *arg, void (*cb)(void *cb_arg, uint64_t id, const char *raft_address), void *cb_arg);
    /* API address of a member as this node's command line names it, or NULL. */
    const char *(*api_address)(void *arg, uint64_t id);
    /* One change at a time; done's status is borrowed. */
    void (*add)(void *arg, uint64_t id, const char *raft_address, void (*done)(void *done_arg, hf_status st),
                void *done_arg);
    void (*remove)(void *arg, uint64_t id, void (*done)(void *done_arg, hf_status st), void *done_arg);
};

/* How the API sees the hosts' streams; plugged in by holdfastd.c (host_link.h, fence_confirm.h), in tests by
 * fakes. */
struct hf_pending_host;
struct Holdfast__V1__Instance;
struct Holdfast__V1__PlanHostLossResponse;
struct hf_api_hosts_ops {
    /* The i-th daemon that waits to be added; false past the last. */
    bool (*pending)(void *arg, size_t i, struct hf_pending_host *ret);
    /* By UUID, else by management address ("" means not given). */
    bool (*find_pending)(void *arg, const char *uuid, const char *management_ip, struct hf_pending_host *ret);
    /* Adds an administrator's word that a host is off to t, with the fence as its answer. */
    hf_status (*confirm_down)(void *arg, const struct hf_store *s, struct hf_txn *t, const char *host_uuid,
                              uint64_t epoch, const char *statement);
    /* Whether a NeverStop instance may be started, by ha.admission.policy; else a sentence. i is as it would
     * be stored. */
    hf_status (*admit)(void *arg, const struct hf_store *s, const struct Holdfast__V1__Instance *i);
    /* What the loss of these hosts would bring: fills in ret, whose parts the caller frees with
     * protobuf_c_message_free_unpacked(). */
    hf_status (*plan_loss)(void *arg, char *const *host_uuids, size_t n,
                           struct Holdfast__V1__PlanHostLossResponse **ret);
    /* It has a stream that said something lately. */
    bool (*contact)(void *arg, const char *host_uuid);
    /* Adds the fence of a drill and the drill to t, which is its answer. */
    hf_status (*drill)(void *arg, const struct hf_store *s, struct hf_txn *t, const char *host_uuid,
                       bool force);
    /* Opens the migration of this instance, to that host ("": to any), by changing it. The room there is kept
     * for the call, which may ask again, until migrate_over: told once the fate of its write is known. */
    hf_status (*migrate)(void *arg, struct Holdfast__V1__Instance *i, const char *host_uuid,
                         const void *call);
    void (*migrate_over)(void *arg, const void *call);
};

/* All live as long as the API. */
struct hf_api_plugs {
    const struct hf_api_members_ops *members;
    void *members_arg;
    const struct hf_api_hosts_ops *hosts;
    void *hosts_arg;
};

struct hf_api *hf_api_create(struct hf_control *c, const struct hf_api_plugs *plugs);
/* On a new leader: stores the API addresses that its command line knows, so that a node which joined later
 * and has no such list can point to any leader too. Repeated by the next leader if it fails. */
void hf_api_store_addresses(struct hf_api *api);
/* Calls that wait for others to finish end with UNAVAILABLE instead of touching the replica, which is about
 * to go. */
void hf_api_shut(struct hf_api *api);
/* No call may be under way: after the replica has gone and the loop has turned. */
void hf_api_free(struct hf_api *api);

/* One row of the table. */
struct hf_api_method;

/* Every method of every service in `services` has exactly one handler that fits it, and every row names a
 * method. INTERNAL names the first that does not. Called before a node serves. */
hf_status hf_api_check(void) HF_MUST_USE;
/* The rows one after the other; NULL past the last. */
const struct hf_api_method *hf_api_method(size_t i);
const struct hf_api_method *hf_api_method_find(const char *service, const char *method);
const ProtobufCServiceDescriptor *hf_api_method_service(const struct hf_api_method *m);
const char *hf_api_method_name(const struct hf_api_method *m);

/* Where an answer goes. None is called after hf_api_call_cancel(); end is the last. */
struct hf_api_sink {
    /* false: the carrier's queue is full; streams wait for hf_api_call_writable(). Borrowed */
    bool (*message)(void *arg, const ProtobufCMessage *m);
    /* A message in serialized form (a reference is taken where it is kept). */
    bool (*bytes)(void *arg, struct hf_bytes *b);
    void (*trailer)(void *arg, const char *key, const char *value);
    void (*end)(void *arg, hf_status take_st);
};

/* Takes the request. remaining_ms: until the caller's deadline, or -1. The call may end before this returns:
 * the answer is then NULL; otherwise the carrier may cancel it until `end`. */
struct hf_api_call *hf_api_call_start(struct hf_api *api, const struct hf_api_method *m,
                                      ProtobufCMessage *take_request, int64_t remaining_ms,
                                      const struct hf_api_sink *sink, void *arg);
/* The caller has gone. What was submitted may still happen. */
void hf_api_call_cancel(struct hf_api_call *call);
void hf_api_call_writable(struct hf_api_call *call);

#endif
