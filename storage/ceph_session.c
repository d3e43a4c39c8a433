#include "storage/ceph_session.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

/* One connection, and who works on it. */
struct conn {
    struct conn *next;
    rados_t cluster;
    unsigned users;
    bool over;
};

struct hf_ceph_session {
    struct hf_rados_access access;
    struct hf_rados_limits limits;
    pthread_mutex_t lock; /* for all below */
    struct conn *conns;   /* at most one is not over */
    bool connecting;
};

struct hf_ceph_session *hf_ceph_session_create(const struct hf_rados_access *access,
                                               const struct hf_rados_limits *limits)
{
    struct hf_ceph_session *s = HF_NEW(struct hf_ceph_session);
    s->access = (struct hf_rados_access){.mon_host = hf_strdup(access->mon_host),
                                         .user = hf_strdup(access->user),
                                         .key = hf_strdup(access->key),
                                         .fsid = hf_strdup(access->fsid)};
    s->limits = *limits;
    HF_ASSERT(pthread_mutex_init(&s->lock, NULL) == 0);
    return s;
}

static void close_conn(struct conn *c)
{
    rados_shutdown(c->cluster);
    free(c);
}

static void *close_all(void *arg)
{
    struct hf_ceph_session *s = arg;
    while (s->conns) {
        struct conn *c = s->conns;
        HF_ASSERT(c->users == 0);
        s->conns = c->next;
        close_conn(c);
    }
    pthread_mutex_destroy(&s->lock);
    free((char *)s->access.mon_host);
    free((char *)s->access.user);
    free((char *)s->access.key);
    free((char *)s->access.fsid);
    free(s);
    return NULL;
}

void hf_ceph_session_free(struct hf_ceph_session *s)
{
    pthread_t thread;
    if (!s->conns) {
        close_all(s);
        return;
    }
    HF_ASSERT(pthread_create(&thread, NULL, close_all, s) == 0);
    pthread_detach(thread);
}

/* The one that may be used; connecting: somebody is to make one. */
static struct conn *join(struct hf_ceph_session *s, bool *ret_busy)
{
    pthread_mutex_lock(&s->lock);
    struct conn *c = s->conns;
    while (c && c->over)
        c = c->next;
    *ret_busy = !c && s->connecting;
    if (c)
        c->users++;
    else
        s->connecting = true;
    pthread_mutex_unlock(&s->lock);
    return c;
}

static void connected(struct hf_ceph_session *s, struct conn *c)
{
    pthread_mutex_lock(&s->lock);
    s->connecting = false;
    if (c) {
        c->next = s->conns;
        s->conns = c;
    }
    pthread_mutex_unlock(&s->lock);
}

hf_status hf_ceph_session_take(struct hf_ceph_session *s, rados_t *ret)
{
    bool busy;
    struct conn *c = join(s, &busy);
    if (busy)
        return hf_error(HF_UNAVAILABLE, "the Ceph cluster at %s has not answered yet", s->access.mon_host);
    if (!c) {
        rados_t cluster;
        hf_status st = hf_rados_connect(&s->access, &s->limits, &cluster);
        if (hf_ok(st)) {
            c = HF_NEW(struct conn);
            *c = (struct conn){.cluster = cluster, .users = 1};
        }
        connected(s, c);
        if (!hf_ok(st))
            return st;
    }
    *ret = c->cluster;
    return HF_STATUS_OK;
}

void hf_ceph_session_give(struct hf_ceph_session *s, rados_t cluster, bool over)
{
    pthread_mutex_lock(&s->lock);
    struct conn **at = &s->conns, *c;
    while ((*at)->cluster != cluster)
        at = &(*at)->next;
    c = *at;
    c->over |= over;
    bool last = --c->users == 0 && c->over;
    if (last)
        *at = c->next;
    pthread_mutex_unlock(&s->lock);
    if (last)
        close_conn(c);
}
