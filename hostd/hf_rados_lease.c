/* hf-rados-lease FILE: renews one host's lease on RADOS for the keeper, which starts and ends it. FILE is
 * that of storage/ceph_access.h. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/helper.h"
#include "hostd/rados_order.h"
#include "storage/ceph_access.h"
#include "storage/rados_lease.h"

#define CONNECT_MS 3000
#define OP_MS      2000 /* below the lease of the fastest profile: one that takes longer has failed anyway */

static const char *file;
static rados_ioctx_t pool; /* NULL: not connected */

static hf_status open_pool(void)
{
    static const struct hf_rados_limits limits = {.connect_ms = CONNECT_MS, .op_ms = OP_MS};
    struct hf_ceph_access a;
    rados_t cluster;
    HF_TRY(hf_ceph_access_read(file, &a));
    struct hf_rados_access access = {.mon_host = a.mon_host, .user = a.user, .key = a.key, .fsid = a.fsid};
    hf_status st = hf_rados_connect(&access, &limits, &cluster);
    explicit_bzero(&a.key, sizeof a.key);
    if (!hf_ok(st))
        return st;
    int rc = rados_ioctx_create(cluster, a.pool, &pool);
    (void)mlockall(MCL_CURRENT); /* best effort: a page that is out delays a renewal */
    return rc < 0 ? hf_rados_error(rc, "open the pool '%s'", a.pool) : HF_STATUS_OK;
}

static hf_status renew(const void *order, bool *ret_fenced)
{
    const struct hf_rados_order *o = order;
    if (!pool)
        HF_TRY(open_pool());
    struct hf_rados_renewal r = {.object = o->name,
                                 .epoch = o->epoch,
                                 .closed = o->closed,
                                 .slot = o->slot,
                                 .len = sizeof o->slot,
                                 .offset = (uint64_t)o->offset};
    return hf_rados_lease_renew(pool, &r, ret_fenced);
}

int main(int argc, char **argv)
{
    static struct hf_rados_order order;
    if (argc != 2 || argv[1][0] == '-') {
        printf("Usage: hf-rados-lease FILE\nRenews a lease on RADOS for hf-lease, which starts it; not for "
               "people.\n");
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    file = argv[1];
    hf_helper_serve(&order, sizeof order, renew);
    _exit(0); /* librados would wait for what hangs */
}
