/* Addresses of the clients of a Ceph cluster, in Ceph's own spellings. IPv4. Pure. */
#ifndef HF_STORAGE_CEPH_CLIENT_H
#define HF_STORAGE_CEPH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hf_ceph_client {
    uint32_t ip;    /* host byte order */
    uint32_t nonce; /* 0: the address alone */
};

/* A client that is refused by itself, because its guest is over, stays refused for so long: a day, far longer
 * than a machine keeps what a killed process has sent and nobody took. It is not taken off before. */
#define HF_CEPH_CLIENT_REFUSED_S 86400

/* One address: "10.0.0.5", "10.0.0.5:0/123", "v1:10.0.0.5:6789/0". */
bool hf_ceph_client_parse(const char *text, struct hf_ceph_client *ret);
/* As blocklists have it: "10.0.0.5:0/123". */
#define HF_CEPH_ENTRY_MAX 32
char *hf_ceph_client_format(const struct hf_ceph_client *c, char out[HF_CEPH_ENTRY_MAX]);

/* Goes through "[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]", or the one address that it is; *at is NULL at the
 * end. What is no IPv4 is passed over. */
bool hf_ceph_client_next(const char **at, struct hf_ceph_client *ret);

/* The addresses at which a cluster sees a host. */
#define HF_CEPH_SEEN_MAX 16
struct hf_ceph_seen {
    char ip[HF_CEPH_SEEN_MAX][16];
    size_t n;
};

/* Each of them once; those past the maximum are left out. */
void hf_ceph_seen_add(struct hf_ceph_seen *s, const char *clients);

#endif
