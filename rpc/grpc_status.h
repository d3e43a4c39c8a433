/* How a status, a deadline and a text travel in gRPC's headers and trailers: grpc-status, grpc-message
 * (percent-encoded), grpc-status-details-bin (google.rpc.Status with an ErrorInfo that names the hf_code),
 * grpc-timeout. Pure.
 */
#ifndef HF_RPC_GRPC_STATUS_H
#define HF_RPC_GRPC_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define HF_GRPC_ERROR_DOMAIN "holdfast.v1"
/* Longer messages are cut: a client refuses trailers above 8 KiB, and this one goes twice, encoded. */
#define HF_GRPC_MESSAGE_MAX 1024

/* Printable ASCII but '%' as it is, other bytes as %XX. Both own their result; both stop at len. */
char *hf_grpc_percent_encode(const char *text, size_t len);
char *hf_grpc_percent_decode(const char *text, size_t len);

/* Milliseconds (rounded up) of "100m", "5S", …; -1 if it is not a time-out. */
int64_t hf_grpc_timeout_parse(const char *text, size_t len);
#define HF_GRPC_TIMEOUT_STR 12
char *hf_grpc_timeout_format(uint64_t ms, char out[HF_GRPC_TIMEOUT_STR]);

/* A status that is not OK, as trailers. */
struct hf_grpc_status_text {
    char code[4];
    char *message; /* percent-encoded */
    char *details; /* base64 without padding */
};
void hf_grpc_status_text_init(struct hf_grpc_status_text *t, hf_status st);
void hf_grpc_status_text_done(struct hf_grpc_status_text *t);

/* The status that trailers tell: code as text, the other two as on the wire or NULL. The code is the hf_code
 * that details name, if it fits grpc_code. */
hf_status hf_grpc_status_read(const char *grpc_code, const char *message, const char *details) HF_MUST_USE;

#endif
