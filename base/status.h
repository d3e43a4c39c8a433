/* The error type of Holdfast. A fallible function returns hf_status, a struct, so that the integers of other
 * libraries cannot leak into it; a driver translates at its border. Context is wrapped outward into one sentence:
 * "start instance 'web1': map volume 'a3…': pool 'vms' is full".
 *
 * Ownership: a status that is not OK owns its message. Return it, wrap it, or hf_status_drop() it.
 */
#ifndef HF_BASE_STATUS_H
#define HF_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

/* What a caller can do about an error. */
enum hf_class {
    HF_CLASS_OK,
    HF_CLASS_INPUT,    /* the request is wrong: do not repeat it */
    HF_CLASS_CONFLICT, /* the world has changed: read again, then repeat */
    HF_CLASS_RETRY,    /* repeat later, or elsewhere */
    HF_CLASS_UNKNOWN,  /* it may have happened: never read this as failed */
    HF_CLASS_GONE,     /* the subject does not exist */
    HF_CLASS_BUG,
};

/*  code                 class     gRPC  text  */
#define HF_CODES(X)                                                                                          \
    X(OK, OK, 0, "ok")                                                                                       \
    X(CANCELLED, RETRY, 1, "cancelled")                                                                      \
    X(UNKNOWN_OUTCOME, UNKNOWN, 2, "outcome unknown: it may have happened")                                  \
    X(INVALID, INPUT, 3, "invalid argument")                                                                 \
    X(TIMEOUT, UNKNOWN, 4, "deadline exceeded: it may have happened")                                        \
    X(NOT_FOUND, GONE, 5, "not found")                                                                       \
    X(EXISTS, INPUT, 6, "already exists")                                                                    \
    X(DENIED, INPUT, 7, "permission denied")                                                                 \
    X(EXHAUSTED, RETRY, 8, "no room")                                                                        \
    X(PRECONDITION, INPUT, 9, "not possible in this state")                                                  \
    X(CONFLICT, CONFLICT, 10, "changed meanwhile")                                                           \
    X(OUT_OF_RANGE, INPUT, 11, "out of range")                                                               \
    X(UNIMPLEMENTED, INPUT, 12, "not implemented")                                                           \
    X(INTERNAL, BUG, 13, "internal error")                                                                   \
    X(UNAVAILABLE, RETRY, 14, "not available now")                                                           \
    X(NOT_LEADER, RETRY, 14, "this node does not lead")                                                      \
    X(IO, RETRY, 14, "input/output error")                                                                   \
    X(CORRUPT, INPUT, 15, "data is damaged")                                                                 \
    X(UNAUTHENTICATED, INPUT, 16, "not authenticated")

enum hf_code {
#define X(name, cls, grpc, text) HF_##name,
    HF_CODES(X)
#undef X
};

struct hf_error;

/* Not to be looked into: use the functions below. */
typedef struct {
    struct hf_error *error;
} hf_status;

#define HF_MUST_USE __attribute__((warn_unused_result))
#define HF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define HF_STATUS_OK ((hf_status){NULL})

/* A new error with a sentence (no full stop, no newline). Never returns OK. */
hf_status hf_error(enum hf_code code, const char *fmt, ...) HF_PRINTF(2, 3) HF_MUST_USE;

/* "context: message"; takes st and keeps its code. OK stays OK. */
hf_status hf_wrap(hf_status st, const char *fmt, ...) HF_PRINTF(2, 3) HF_MUST_USE;

/* An error from errno-style values: picks the code (ENOSPC → EXHAUSTED, ENOENT → NOT_FOUND, …). */
hf_status hf_errno(int err, const char *fmt, ...) HF_PRINTF(2, 3) HF_MUST_USE;

/* A second owner of the same error. */
hf_status hf_status_copy(hf_status st) HF_MUST_USE;

static inline bool hf_ok(hf_status st)
{
    return st.error == NULL;
}

enum hf_code hf_status_code(hf_status st);
enum hf_class hf_status_class(hf_status st);

/* The sentence, or "ok". Valid as long as st. */
const char *hf_status_message(hf_status st);

/* Ends an error that nobody needs to hear of. OK is fine too. */
void hf_status_drop(hf_status st);

int hf_code_grpc(enum hf_code code);
enum hf_code hf_code_from_grpc(int grpc);
const char *hf_code_text(enum hf_code code);
enum hf_class hf_code_class(enum hf_code code);

#define HF_TRY(expr)                                                                                         \
    do {                                                                                                     \
        hf_status hf_try_ = (expr);                                                                          \
        if (!hf_ok(hf_try_))                                                                                 \
            return hf_try_;                                                                                  \
    } while (0)

#endif
