/* The leader's side of the hosts' streams (api/holdfast/v1/host_link.proto), without gRPC: a stream is handed in as two
 * functions. It grants epochs, takes reports, and keeps each host's assignments in step with the store.
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
struct hf_host_stream *hf_host_link_opened(struct hf_host_link *l, const struct hf_host_stream_ops *ops, void *arg,
                                           const char *peer_address, const char *peer_name);
void hf_host_link_message(struct hf_host_stream *s, const Holdfast__V1__HostMessage *m);
void hf_host_link_closed(struct hf_host_stream *s);

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

#endif
