#include "storage/ceph_seen.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/ceph_spec.h"
#include "storage/rados_lease.h"

void hf_ceph_seen_connection(struct hf_ceph_seen *s, rados_t cluster)
{
    char *text = NULL;
    if (rados_getaddrs(cluster, &text) >= 0)
        hf_ceph_seen_add(s, text);
    rados_buffer_free(text);
}

void hf_ceph_seen_record(struct hf_ceph_seen *s, rados_ioctx_t pool, const char *record)
{
    char client[HF_RADOS_LEASE_CLIENT_MAX];
    hf_status st = hf_rados_lease_client(pool, record, client);
    if (hf_ok(st))
        hf_ceph_seen_add(s, client);
    hf_status_drop(st);
}

/* Connecting a datagram socket chooses its address and sends nothing. */
static void add_route(struct hf_ceph_seen *s, const char *monitor)
{
    char host[16], own[INET_ADDRSTRLEN];
    unsigned port;
    hf_status st = hf_ceph_monitor_check(monitor, host, &port);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}, from;
    socklen_t len = sizeof from;
    int fd = hf_ok(st) ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    hf_status_drop(st);
    if (fd < 0)
        return;
    if (inet_pton(AF_INET, host, &to.sin_addr) == 1 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        getsockname(fd, (struct sockaddr *)&from, &len) == 0)
        hf_ceph_seen_add(s, inet_ntop(AF_INET, &from.sin_addr, own, sizeof own));
    close(fd);
}

void hf_ceph_seen_routes(struct hf_ceph_seen *s, char *const *monitors, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_route(s, monitors[i]);
}
