/* Short words for the tests of this folder. */
#ifndef HF_CONSENSUS_TESTING_H
#define HF_CONSENSUS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "consensus/machine.h"

/* The n-th UUID. */
static inline struct hf_uuid uuid_n(uint64_t n)
{
    struct hf_uuid u = {{1}};
    memcpy(u.b + 8, &n, sizeof n);
    return u;
}

static inline void put_text(struct hf_txn *t, uint32_t kind, uint64_t n, const char *name, const char *text)
{
    struct hf_uuid u = uuid_n(n);
    struct hf_bytes *b = hf_bytes_copy(text, strlen(text));
    hf_txn_put_bytes(t, kind, &u, name, b);
    hf_bytes_unref(b);
}

static inline void check_revision(struct hf_txn *t, uint64_t n, uint64_t revision)
{
    struct hf_uuid u = uuid_n(n);
    hf_txn_check(t, &u, revision);
}

static inline void delete_n(struct hf_txn *t, uint64_t n)
{
    struct hf_uuid u = uuid_n(n);
    hf_txn_delete(t, &u);
}

/* Applies and frees t. The caller ends the result by hf_result_done(). */
static inline struct hf_txn_result apply_txn(struct hf_machine *m, struct hf_txn *t)
{
    struct hf_txn_result res;
    size_t len, used;
    const uint8_t *p = hf_txn_encoded(t, &len);
    assert_true(hf_machine_apply(m, p, len, &used, &res));
    assert_int_equal(used, len);
    hf_txn_free(t);
    return res;
}

/* Applies a transaction for its code alone. */
static inline enum hf_code apply_code(struct hf_machine *m, struct hf_txn *t)
{
    struct hf_txn_result res = apply_txn(m, t);
    enum hf_code code = res.code;
    assert_true((code == HF_OK) == (res.message == NULL));
    hf_result_done(&res);
    return code;
}

static inline enum hf_code put_one(struct hf_machine *m, uint32_t kind, uint64_t n, const char *name,
                                   const char *text)
{
    struct hf_txn *t = hf_txn_create(NULL, 0);
    put_text(t, kind, n, name, text);
    return apply_code(m, t);
}

static inline bool object_is(const struct hf_store *s, uint64_t n, const char *text)
{
    struct hf_uuid u = uuid_n(n);
    const struct hf_object *o = hf_store_get(s, &u);
    if (text == NULL || o == NULL)
        return text == NULL && o == NULL;
    return o->bytes->len == strlen(text) && memcmp(o->bytes->data, text, o->bytes->len) == 0;
}

#endif
