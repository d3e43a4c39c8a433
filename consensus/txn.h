/* A transaction: checks, puts and deletes that apply whole or not at all, with the request it answers.
 *
 * The request id makes it exactly once: a replica that has seen the id gives the first result again and
 * changes nothing; the same id with another request_hash is refused (INVALID). An empty id is not remembered.
 */
#ifndef HF_CONSENSUS_TXN_H
#define HF_CONSENSUS_TXN_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "base/uuid.h"

#define HF_REQUEST_ID_MAX 64
#define HF_TXN_OPS_MAX    4096      /* checks + puts + deletes */
#define HF_TXN_BYTES_MAX  (4 << 20) /* encoded */

struct hf_txn;

/* request_id may be NULL or "". */
struct hf_txn *hf_txn_create(const char *request_id, uint64_t request_hash);
void hf_txn_free(struct hf_txn *t);

/* The object must be at this revision; revision 0: it must not exist. Else the result is CONFLICT. */
void hf_txn_check(struct hf_txn *t, const struct hf_uuid *uuid, uint64_t revision);

/* Creates or replaces the object. The name must be free within its kind (or its own): else the result is
 * EXISTS. A put does not check by itself that the object is (not) there: add a check. meta.revision must be 0
 * in msg. */
void hf_txn_put(struct hf_txn *t, uint32_t kind, const struct hf_uuid *uuid, const char *name,
                const ProtobufCMessage *msg);
/* The same with serialized bytes (a reference is taken). */
void hf_txn_put_bytes(struct hf_txn *t, uint32_t kind, const struct hf_uuid *uuid, const char *name,
                      struct hf_bytes *bytes);
/* Deleting what does not exist is fine. */
void hf_txn_delete(struct hf_txn *t, const struct hf_uuid *uuid);

/* The object last put becomes the answer (result.answer); by default there is none. */
void hf_txn_answer_last_put(struct hf_txn *t);

bool hf_txn_empty(const struct hf_txn *t);

struct hf_txn_result {
    enum hf_code code;      /* OK, CONFLICT, EXISTS, INVALID, PRECONDITION (a guard refused) */
    bool repeated;          /* answered from memory: this request was applied before */
    uint64_t revision;      /* of the transaction (first time), or of the store when refused */
    struct hf_uuid subject; /* the object that a check, name or guard refused; zero if none */
    struct hf_bytes
        *answer; /* the answer object's bytes at `revision`; NULL if none. Borrowed: valid in the callback */
    const char *message; /* a sentence when code is not OK. Borrowed */
};

#endif
