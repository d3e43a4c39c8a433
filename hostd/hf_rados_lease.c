/* hf-rados-lease ACCESS: renews one host's lease on RADOS for the keeper, which starts and ends it. Orders
 * come on standard input, a socket; each is answered once. Ends with the keeper's end of the socket. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostd/keeper_rados.h"
#include "storage/ceph_access.h"
#include "storage/rados_lease.h"

#define CONNECT_MS 3000
#define OP_MS      2000 /* below the lease of the fastest profile: one that takes longer has failed anyway */

static hf_status open_pool(const char *path, rados_ioctx_t *ret)
{
    static const struct hf_rados_limits limits = {.connect_ms = CONNECT_MS, .op_ms = OP_MS};
    struct hf_ceph_access a;
    rados_t cluster;
    HF_TRY(hf_ceph_access_read(path, &a));
    struct hf_rados_access access = {.mon_host = a.mon_host, .user = a.user, .key = a.key, .fsid = a.fsid};
    hf_status st = hf_rados_connect(&access, &limits, &cluster);
    explicit_bzero(&a.key, sizeof a.key);
    if (!hf_ok(st))
        return st;
    int rc = rados_ioctx_create(cluster, a.pool, ret);
    return rc < 0 ? hf_rados_error(rc, "open the pool '%s'", a.pool) : HF_STATUS_OK;
}

static hf_status renew(rados_ioctx_t pool, const struct hf_keeper_rados_order *o, bool *ret_fenced)
{
    struct hf_rados_renewal r = {.object = o->object,
                                 .epoch = o->epoch,
                                 .closed = o->closed,
                                 .slot = o->slot,
                                 .len = sizeof o->slot,
                                 .offset = o->offset};
    return hf_rados_lease_renew(pool, &r, ret_fenced);
}

int main(int argc, char **argv)
{
    static struct hf_keeper_rados_order order;
    rados_ioctx_t pool = NULL;
    if (argc != 2 || argv[1][0] == '-') {
        printf("Usage: hf-rados-lease ACCESS\nRenews a lease on RADOS for hf-lease, which starts it; not for "
               "people.\n");
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    while (recv(0, &order, sizeof order, 0) == (ssize_t)sizeof order) {
        struct hf_keeper_rados_answer answer = {0};
        bool fenced = false;
        order.object[sizeof order.object - 1] = '\0';
        hf_status st = pool ? HF_STATUS_OK : open_pool(argv[1], &pool);
        if (hf_ok(st))
            st = renew(pool, &order, &fenced);
        (void)mlockall(MCL_CURRENT); /* best effort: a page that is out delays a renewal */
        answer.ok = hf_ok(st);
        answer.fenced = fenced;
        snprintf(answer.text, sizeof answer.text, "%s", hf_status_message(st));
        hf_status_drop(st);
        if (send(0, &answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t)sizeof answer)
            break;
    }
    _exit(0); /* librados would wait for what hangs */
}
