#include "storage/rados_lease.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FENCED                                                                                               \
    "holdfast.fenced" /* the attribute: an epoch in 16 hex digits, so that text compares as numbers */
#define WRITTEN     "holdfast.epoch"  /* the same, of the last record */
#define CLIENT      "holdfast.client" /* who wrote it */
#define EPOCH_CHARS 16

/* A full cluster holds writes up, but not those that need no more room, if they say that they know: hosts
 * keep their leases then, and guests wait for room instead of being killed. */
#define NOT_HELD_UP LIBRADOS_OPERATION_FULL_TRY

/* A comparison needs something to compare with: the object is made with no epoch fenced, once. */
static int make(rados_ioctx_t pool, const char *object)
{
    char text[EPOCH_CHARS + 1];
    rados_write_op_t op = rados_create_write_op();
    snprintf(text, sizeof text, "%016d", 0);
    rados_write_op_create(op, LIBRADOS_CREATE_EXCLUSIVE, NULL);
    rados_write_op_setxattr(op, FENCED, text, EPOCH_CHARS);
    rados_write_op_setxattr(op, WRITTEN, text, EPOCH_CHARS);
    int rc = rados_write_op_operate(op, pool, object, NULL, NOT_HELD_UP);
    rados_release_write_op(op);
    return rc == -EEXIST ? 0 : rc;
}

/* Takes op. */
static int run(rados_write_op_t op, rados_ioctx_t pool, const char *object)
{
    int rc = rados_write_op_operate(op, pool, object, NULL, NOT_HELD_UP);
    if (rc == -ENOENT && (rc = make(pool, object)) >= 0)
        rc = rados_write_op_operate(op, pool, object, NULL, NOT_HELD_UP);
    rados_release_write_op(op);
    return rc;
}

hf_status hf_rados_lease_renew(rados_ioctx_t pool, const struct hf_rados_renewal *r, bool *ret_fenced)
{
    char text[EPOCH_CHARS + 1];
    rados_write_op_t op = rados_create_write_op();
    snprintf(text, sizeof text, "%016" PRIx64, r->epoch);
    if (!r->closed)
        rados_write_op_cmpxattr(op, FENCED, LIBRADOS_CMPXATTR_OP_GT, text, EPOCH_CHARS);
    rados_write_op_cmpxattr(op, WRITTEN, LIBRADOS_CMPXATTR_OP_GTE, text, EPOCH_CHARS);
    rados_write_op_setxattr(op, WRITTEN, text, EPOCH_CHARS);
    if (r->client && r->client[0] != '\0' && strlen(r->client) < HF_RADOS_LEASE_CLIENT_MAX)
        rados_write_op_setxattr(op, CLIENT, r->client, strlen(r->client));
    rados_write_op_write(op, r->slot, r->len, r->offset);
    int rc = run(op, pool, r->object);
    *ret_fenced = rc == -ECANCELED || hf_rados_is_blocklisted(rc);
    return rc < 0 && !*ret_fenced ? hf_rados_error(rc, "renew the lease '%s'", r->object) : HF_STATUS_OK;
}

hf_status hf_rados_lease_mark(rados_ioctx_t pool, const char *object, uint64_t epoch)
{
    char text[EPOCH_CHARS + 1];
    rados_write_op_t op = rados_create_write_op();
    snprintf(text, sizeof text, "%016" PRIx64, epoch);
    rados_write_op_cmpxattr(op, FENCED, LIBRADOS_CMPXATTR_OP_GT, text, EPOCH_CHARS);
    rados_write_op_setxattr(op, FENCED, text, EPOCH_CHARS);
    int rc = run(op, pool, object);
    return rc < 0 && rc != -ECANCELED ? hf_rados_error(rc, "mark '%s' as fenced", object) : HF_STATUS_OK;
}

hf_status hf_rados_lease_read(rados_ioctx_t pool, const char *object, void *buf, size_t len, size_t *ret_len)
{
    int rc = rados_read(pool, object, buf, len, 0);
    *ret_len = rc > 0 ? (size_t)rc : 0;
    return rc < 0 && rc != -ENOENT ? hf_rados_error(rc, "read '%s'", object) : HF_STATUS_OK;
}

hf_status hf_rados_lease_client(rados_ioctx_t pool, const char *object, char ret[HF_RADOS_LEASE_CLIENT_MAX])
{
    int rc = rados_getxattr(pool, object, CLIENT, ret, HF_RADOS_LEASE_CLIENT_MAX - 1);
    ret[rc > 0 ? rc : 0] = '\0';
    return rc < 0 && rc != -ENOENT && rc != -ENODATA ? hf_rados_error(rc, "read who writes '%s'", object)
                                                     : HF_STATUS_OK;
}
