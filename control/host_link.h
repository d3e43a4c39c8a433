/* The leader's side of the hosts' streams (api/holdfast/v1/host_link.proto), without gRPC: a stream is handed
 * in as two functions. It grants epochs, takes reports, and keeps each host's assignments in step with the
 * store.
 */
#ifndef HF_CONTROL_HOST_LINK_H
#define HF_CONTROL_HOST_LINK_H

#include "control/control.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"

struct hf_host_stream;

/* How to reach one host daemon. Called on the loop; the stream calls neither after hf_host_link_closed(). */
struct hf_host_stream_ops {
    void (*send)(void *arg, const Holdfast__V1__ControlMessage *m);
    void (*end)(void *arg, hf_status st); /* takes st */
};

struct hf_host_link *hf_host_link_create(struct hf_control *c);
void hf_host_link_free(struct hf_host_link *l);

/* A daemon dialled in. peer_address: "10.0.0.1:5000"; peer_name: of its certificate, or "". */
struct hf_host_stream *hf_host_link_opened(struct hf_host_link *l, const struct hf_host_stream_ops *ops,
                                           void *arg, const char *peer_address, const char *peer_name);
void hf_host_link_message(struct hf_host_stream *s, const Holdfast__V1__HostMessage *m);
void hf_host_link_closed(struct hf_host_stream *s);

/* For a stream that ended with NOT_LEADER: writes the API address of the node that leads to buf and returns it,
 * or NULL if this node knows none. */
const char *hf_host_link_leader(const struct hf_control *c, char *buf, size_t len);

/* Daemons that dialled in and are not added yet. */
struct hf_pending_host {
    const char *uuid, *management_ip, *hostname;
    const uint8_t *key_sha256; /* 32 bytes: hash of the secret it said hello with */
    int64_t since_ms;
};
size_t hf_host_link_pending_count(const struct hf_host_link *l);
bool hf_host_link_pending(const struct hf_host_link *l, size_t i, struct hf_pending_host *ret);
/* By UUID, else by management address (NULL or "" means not given). */
bool hf_host_link_find_pending(const struct hf_host_link *l, const char *uuid, const char *management_ip,
                               struct hf_pending_host *ret);

/* --- for the controllers --- */

#define HF_HOST_STREAMS_MAX 8192 /* streams at once, pending ones included; more are refused with EXHAUSTED  \
                                  */

struct hf_host_contact {
    bool attached; /* it has a stream, was welcomed and lives `epoch` */
    bool fresh;    /* and said something within the contact time-out of the timing profile */
    uint64_t epoch;
    int64_t silent_ms; /* since its last message */
};
/* False: it has no stream that was welcomed. host_uuid: canonical text. */
bool hf_host_link_contact(const struct hf_host_link *l, const char *host_uuid, struct hf_host_contact *ret);

/* What the streams tell the controllers. A report is about (host, epoch) of its stream: nothing else passes.
 */
struct hf_host_link_events {
    void (*attached)(void *arg, const char *host_uuid,
                     uint64_t epoch); /* welcomed: send it what is assigned */
    void (*detached)(void *arg, const char *host_uuid, int64_t silent_ms); /* since its last message */
    void (*report)(void *arg, const char *host_uuid, uint64_t epoch, const Holdfast__V1__HostMessage *m);
    /* That life of the host has shown itself lately by other means than its stream (its lease record moves).
     */
    bool (*lives)(void *arg, const char *host_uuid, uint64_t epoch);
    void *arg;
};
/* At most one listener; NULL: none. */
void hf_host_link_listen(struct hf_host_link *l, const struct hf_host_link_events *events);

/* Sends to a welcomed host; fills in term, host and epoch. False: it has no such stream. */
bool hf_host_link_send(struct hf_host_link *l, const char *host_uuid, Holdfast__V1__ControlMessage *m);

#endif
