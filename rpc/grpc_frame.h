/* gRPC's length-prefixed messages (the "Length-Prefixed-Message" of the gRPC over HTTP/2 protocol document):
 * a decoder that is fed as bytes arrive, and the queue of messages that wait to be sent. Pure: no session, no
 * socket.
 */
#ifndef HF_RPC_GRPC_FRAME_H
#define HF_RPC_GRPC_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "base/status.h"

#define HF_GRPC_PREFIX 5 /* one byte of flags, four of length */

struct hf_grpc_slice {
    const uint8_t *data;
    size_t len;
};

/* All zero but for message_max (and gzip) is a decoder that waits for its first message. */
struct hf_grpc_decoder {
    size_t message_max; /* bytes of one message, also after decompression */
    bool gzip;          /* the peer announced "grpc-encoding: gzip" */
    bool compressed;    /* the message being received is */
    uint8_t prefix_len; /* of these bytes are here: */
    uint8_t prefix[HF_GRPC_PREFIX];
    size_t need; /* length of the message being received */
    size_t have; /* bytes of it in partial */
    size_t partial_cap;
    uint8_t *partial; /* a message that came in pieces, or was decompressed */
};

/* Takes bytes from the front of *input up to the end of one message. *ret_found: *ret_message is a whole one,
 * valid until the next call or until the input's bytes go. Errors: EXHAUSTED names the limit, UNIMPLEMENTED
 * and INTERNAL the wrong compression. After an error the decoder must not be fed again. */
hf_status hf_grpc_decoder_next(struct hf_grpc_decoder *d, struct hf_grpc_slice *input,
                               struct hf_grpc_slice *ret_message, bool *ret_found) HF_MUST_USE;
/* True between messages: nothing of a further one has come. */
bool hf_grpc_decoder_idle(const struct hf_grpc_decoder *d);
void hf_grpc_decoder_done(struct hf_grpc_decoder *d);

struct hf_grpc_out;

struct hf_grpc_outbox {
    STAILQ_HEAD(, hf_grpc_out) messages;
    size_t bytes; /* waiting, prefixes included */
    size_t sent;  /* of the first message */
};

void hf_grpc_outbox_init(struct hf_grpc_outbox *o);
void hf_grpc_outbox_put(struct hf_grpc_outbox *o, const ProtobufCMessage *m);
/* One message made of bytes (a reference is taken; may be NULL) and then suffix (copied). */
void hf_grpc_outbox_put_bytes(struct hf_grpc_outbox *o, struct hf_bytes *bytes, const void *suffix,
                              size_t suffix_len);
/* Moves the next len bytes to `to`; len is at most o->bytes. */
void hf_grpc_outbox_take(struct hf_grpc_outbox *o, uint8_t *to, size_t len);
/* Drops every message of which nothing has been taken. */
void hf_grpc_outbox_drop_unsent(struct hf_grpc_outbox *o);
void hf_grpc_outbox_done(struct hf_grpc_outbox *o);

#endif
