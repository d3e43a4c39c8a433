/* Links and addresses of one network namespace, over rtnetlink with libnl-3. Blocks; a socket belongs to the
 * namespace in which it was opened, and to one thread.
 */
#ifndef HF_NET_LINK_NL_H
#define HF_NET_LINK_NL_H

#include <stdint.h>

#include "base/status.h"
#include "net/host_net.h"

struct hf_links;

struct hf_link {
    int index, master; /* 0: none */
    char name[HF_IFNAME_MAX];
    char kind[16]; /* "bridge", "veth", "" for hardware */
};

hf_status hf_links_open(struct hf_links **ret) HF_MUST_USE;
void hf_links_close(struct hf_links *l); /* NULL is fine */

/* NOT_FOUND: there is no such link. */
hf_status hf_link_find(struct hf_links *l, const char *name, struct hf_link *ret) HF_MUST_USE;
/* Calls each for every link that has this master. */
hf_status hf_link_each_port(struct hf_links *l, int master,
                            void (*each)(void *arg, const struct hf_link *port), void *arg) HF_MUST_USE;

/* No spanning tree, no delay before a port forwards. */
hf_status hf_link_add_bridge(struct hf_links *l, const char *name) HF_MUST_USE;
/* A pair, the far end in the namespace of netns_fd. */
hf_status hf_link_add_veth(struct hf_links *l, const char *name, const char *far_name,
                           int netns_fd) HF_MUST_USE;
hf_status hf_link_set_master(struct hf_links *l, int index, int master) HF_MUST_USE;
hf_status hf_link_set_up(struct hf_links *l, int index) HF_MUST_USE;
/* OK when there was none. */
hf_status hf_link_delete(struct hf_links *l, const char *name) HF_MUST_USE;

/* Whether the link has an IPv4 address. */
hf_status hf_link_has_address(struct hf_links *l, int index, bool *ret) HF_MUST_USE;
/* The link has exactly this IPv4 address. */
hf_status hf_link_set_address(struct hf_links *l, int index, uint32_t ip, unsigned prefix) HF_MUST_USE;

#endif
