#include "hostd/lease_store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/fence_mark_file.h"
#include "storage/ceph_access.h"
#include "storage/ceph_session.h"
#include "storage/rados_lease.h"

#define CONNECT_MS 3000
#define OP_MS      2000

struct hf_lease_store {
    char *dir;
    atomic_uint refs;
    pthread_mutex_t lock;
    struct hf_ceph_session *session; /* under the lock; made at first use */
    char pool[HF_CEPH_NAME_MAX];     /* with it */
};

struct hf_lease_store *hf_lease_store_create(const char *dir)
{
    struct hf_lease_store *s = HF_NEW(struct hf_lease_store);
    s->dir = hf_strdup(dir);
    atomic_init(&s->refs, 1);
    HF_ASSERT(pthread_mutex_init(&s->lock, NULL) == 0);
    return s;
}

struct hf_lease_store *hf_lease_store_ref(struct hf_lease_store *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void hf_lease_store_unref(struct hf_lease_store *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    if (s->session)
        hf_ceph_session_free(s->session);
    pthread_mutex_destroy(&s->lock);
    free(s->dir);
    free(s);
}

/* --- files --- */

/* A new open each time: network file systems look at the server then. */
static hf_status read_file(const char *dir, const char *name, uint8_t *buf, size_t *ret_len)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_DIRECT | O_NOFOLLOW | O_CLOEXEC);
    *ret_len = 0;
    if (fd < 0)
        return errno == ENOENT ? HF_STATUS_OK : hf_errno(errno, "read %s", name);
    size_t len = 0;
    ssize_t n = 1;
    while (n > 0 && len < HF_LEASE_FILE_BYTES) {
        n = pread(fd, buf + len, HF_LEASE_FILE_BYTES - len, (off_t)len);
        len += n > 0 ? (size_t)n : 0;
    }
    int err = errno;
    close(fd);
    *ret_len = len;
    return n < 0 ? hf_errno(err, "read %s", name) : HF_STATUS_OK;
}

/* --- RADOS --- */

static hf_status session_of(struct hf_lease_store *s, struct hf_ceph_session **ret)
{
    static const struct hf_rados_limits limits = {.connect_ms = CONNECT_MS, .op_ms = OP_MS};
    struct hf_ceph_access a;
    hf_status st = HF_STATUS_OK;
    pthread_mutex_lock(&s->lock);
    if (!s->session)
        st = hf_ceph_access_read(s->dir, &a);
    if (hf_ok(st) && !s->session) {
        struct hf_rados_access access = {
            .mon_host = a.mon_host, .user = a.user, .key = a.key, .fsid = a.fsid};
        s->session = hf_ceph_session_create(&access, &limits);
        snprintf(s->pool, sizeof s->pool, "%s", a.pool);
    }
    *ret = s->session;
    pthread_mutex_unlock(&s->lock);
    return st;
}

/* One call in the pool of the records. */
struct call {
    const struct hf_uuid *host;
    uint64_t epoch; /* mark it; 0: read */
    uint8_t *buf;
    size_t *ret_len;
};

static hf_status call_pool(rados_ioctx_t pool, const struct call *c)
{
    char name[HF_LEASE_FILE_NAME_MAX];
    hf_lease_file_name(c->host, name);
    if (c->epoch > 0)
        return hf_rados_lease_mark(pool, name, c->epoch);
    return hf_rados_lease_read(pool, name, c->buf, HF_LEASE_FILE_BYTES, c->ret_len);
}

static hf_status call_rados(struct hf_lease_store *s, const struct call *c)
{
    struct hf_ceph_session *session;
    rados_t cluster;
    rados_ioctx_t pool;
    HF_TRY(session_of(s, &session));
    HF_TRY(hf_ceph_session_take(session, &cluster));
    int rc = rados_ioctx_create(cluster, s->pool, &pool);
    hf_status st = rc < 0 ? hf_rados_error(rc, "open the pool '%s'", s->pool) : call_pool(pool, c);
    if (rc >= 0)
        rados_ioctx_destroy(pool);
    hf_ceph_session_give(session, cluster, hf_status_code(st) == HF_PRECONDITION); /* on the blocklist */
    return st;
}

/* --- either --- */

hf_status hf_lease_store_read(struct hf_lease_store *s, const struct hf_uuid *host, uint8_t *buf,
                              size_t *ret_len)
{
    char name[HF_LEASE_FILE_NAME_MAX];
    if (hf_ceph_access_is(s->dir))
        return call_rados(s, &(struct call){.host = host, .buf = buf, .ret_len = ret_len});
    return read_file(s->dir, hf_lease_file_name(host, name), buf, ret_len);
}

hf_status hf_lease_store_mark(struct hf_lease_store *s, const struct hf_uuid *host, uint64_t epoch)
{
    if (hf_ceph_access_is(s->dir))
        return call_rados(s, &(struct call){.host = host, .epoch = epoch});
    return hf_fence_mark_write(s->dir, host, epoch);
}
