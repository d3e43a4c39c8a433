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
static rados_t cluster;
static rados_ioctx_t pool; /* NULL: not connected */
static char client[HF_RADOS_LEASE_CLIENT_MAX];

/* Kept beside each record: a fence must know every address that this host is seen at. */
static void see_client(void)
{
    char *text = NULL;
    client[0] = '\0';
    if (rados_getaddrs(cluster, &text) >= 0)
        snprintf(client, sizeof client, "%s", text);
    rados_buffer_free(text);
}

/* After a refusal: this client would be of no use even when the cluster lets the host in again. What hangs is
 * the keeper's to end. */
static void close_pool(void)
{
    rados_ioctx_destroy(pool);
    rados_shutdown(cluster);
    pool = NULL;
}

static hf_status open_pool(void)
{
    static const struct hf_rados_limits limits = {.connect_ms = CONNECT_MS, .op_ms = OP_MS};
    struct hf_ceph_access a;
    HF_TRY(hf_ceph_access_read(file, &a));
    struct hf_rados_access access = {.mon_host = a.mon_host, .user = a.user, .key = a.key, .fsid = a.fsid};
    hf_status st = hf_rados_connect(&access, &limits, &cluster);
    explicit_bzero(&a.key, sizeof a.key);
    if (!hf_ok(st))
        return st;
    see_client();
    int rc = rados_ioctx_create(cluster, a.pool, &pool);
    (void)mlockall(MCL_CURRENT); /* best effort: a page that is out delays a renewal */
    return rc < 0 ? hf_rados_error(rc, "open the pool '%s'", a.pool) : HF_STATUS_OK;
}

static hf_status renew(const void *order, bool *ret_fenced)
{
    static bool refused; /* the last time */
    const struct hf_rados_order *o = order;
    if (pool && refused)
        close_pool();
    if (!pool)
        HF_TRY(open_pool());
    struct hf_rados_renewal r = {.object = o->name,
                                 .epoch = o->epoch,
                                 .closed = o->closed,
                                 .slot = o->slot,
                                 .len = sizeof o->slot,
                                 .offset = (uint64_t)o->offset,
                                 .client = client};
    hf_status st = hf_rados_lease_renew(pool, &r, ret_fenced);
    refused = hf_ok(st) && *ret_fenced;
    return st;
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
