/* The inside of host_link.h, for its own files: host_link.c (streams and their Hellos), host_pending.c. */
#ifndef HF_CONTROL_HOST_STREAM_H
#define HF_CONTROL_HOST_STREAM_H

#include <openssl/sha.h>

#include "control/host_grant.h"
#include "control/host_link.h"

/* A stream's life: HELLO → (PENDING →) GRANTING → ATTACHED, back to HELLO when its epoch must end, ENDED from
 * anywhere. */
enum stream_state {
    STREAM_HELLO,    /* nothing is known of it yet, or it was told to end its epoch and say hello again */
    STREAM_PENDING,  /* its host is not added yet */
    STREAM_GRANTING, /* the transaction of its Hello is under way */
    STREAM_ATTACHED,
    STREAM_ENDED, /* ops->end was called */
};

struct hf_host_stream {
    struct hf_host_link *link;
    struct hf_host_stream *next;
    const struct hf_host_stream_ops *ops;
    void *arg;
    char *peer_address, *peer_name;
    enum stream_state state;
    Holdfast__V1__Hello *hello;  /* the last one; NULL before the first */
    char host_uuid[HF_UUID_STR]; /* canonical; "" before hello */
    char management_ip[64];      /* as it said, else the peer's */
    uint8_t key_sha256[SHA256_DIGEST_LENGTH];
    uint64_t epoch; /* welcomed with */
    bool leaves; /* it said that its machine is about to be switched off */
    int64_t heard_ns;
    int64_t since_ms;    /* Unix time of its first hello */
    struct grant *grant; /* GRANTING */
};

/* The transaction of one Hello; outlives its stream. */
struct grant {
    struct hf_host_link *link; /* NULL: gone */
    struct grant *next;
    struct hf_host_stream *stream; /* NULL: ended, or replaced by another Hello */
    struct hf_env *env;
    Holdfast__V1__Hello *hello;
    bool leaves;
    enum hf_grant outcome;
    uint64_t epoch;
};

struct hf_host_link {
    struct hf_control *control;
    struct hf_host_stream *streams; /* in the order of arrival */
    size_t n_streams;
    struct grant *grants; /* under way */
    struct hf_host_link_events events;
    bool listening;
    bool leading;
    struct hf_watch *watch; /* of hosts and fences, while leading */
};

#endif
