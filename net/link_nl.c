#include "net/link_nl.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

struct hf_links {
    struct nl_sock *sock;
};

/* libnl's integers end here. */
static hf_status nl_status(int rc, const char *fmt, ...) HF_PRINTF(2, 3);

static hf_status nl_status(int rc, const char *fmt, ...)
{
    va_list ap;
    if (rc >= 0)
        return HF_STATUS_OK;
    enum hf_code code = HF_IO;
    if (rc == -NLE_OBJ_NOTFOUND || rc == -NLE_NODEV)
        code = HF_NOT_FOUND;
    else if (rc == -NLE_EXIST)
        code = HF_EXISTS;
    else if (rc == -NLE_PERM || rc == -NLE_NOACCESS)
        code = HF_DENIED;
    else if (rc == -NLE_BUSY)
        code = HF_PRECONDITION;
    va_start(ap, fmt);
    char *context = hf_vprintf(fmt, ap);
    va_end(ap);
    hf_status st = hf_error(code, "%s: %s", context, nl_geterror(rc));
    free(context);
    return st;
}

hf_status hf_links_open(struct hf_links **ret)
{
    struct hf_links *l = HF_NEW(struct hf_links);
    l->sock = nl_socket_alloc();
    HF_ASSERT(l->sock);
    hf_status st = nl_status(nl_connect(l->sock, NETLINK_ROUTE), "open a netlink socket");
    if (!hf_ok(st)) {
        hf_links_close(l);
        return st;
    }
    *ret = l;
    return HF_STATUS_OK;
}

void hf_links_close(struct hf_links *l)
{
    if (!l)
        return;
    nl_socket_free(l->sock);
    free(l);
}

static void read_link(struct rtnl_link *link, struct hf_link *ret)
{
    const char *kind = rtnl_link_get_type(link);
    *ret = (struct hf_link){.index = rtnl_link_get_ifindex(link), .master = rtnl_link_get_master(link)};
    snprintf(ret->name, sizeof ret->name, "%s", rtnl_link_get_name(link));
    snprintf(ret->kind, sizeof ret->kind, "%s", kind ? kind : "");
}

hf_status hf_link_find(struct hf_links *l, const char *name, struct hf_link *ret)
{
    struct rtnl_link *link = NULL;
    if (strlen(name) >= HF_IFNAME_MAX)
        return hf_error(HF_NOT_FOUND, "there is no network interface '%.64s': its name is too long", name);
    int rc = rtnl_link_get_kernel(l->sock, 0, name, &link);
    if (rc == -NLE_NODEV || rc == -NLE_OBJ_NOTFOUND)
        return hf_error(HF_NOT_FOUND, "there is no network interface '%s'", name);
    HF_TRY(nl_status(rc, "look for the network interface '%s'", name));
    read_link(link, ret);
    rtnl_link_put(link);
    return HF_STATUS_OK;
}

hf_status hf_link_each_port(struct hf_links *l, int master,
                            void (*each)(void *arg, const struct hf_link *port), void *arg)
{
    struct nl_cache *cache = NULL;
    HF_TRY(nl_status(rtnl_link_alloc_cache(l->sock, AF_UNSPEC, &cache), "list the network interfaces"));
    for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
        struct hf_link link;
        read_link((struct rtnl_link *)o, &link);
        if (link.master == master)
            each(arg, &link);
    }
    nl_cache_free(cache);
    return HF_STATUS_OK;
}

/* libnl 3.7 has no setters for these. */
hf_status hf_link_add_bridge(struct hf_links *l, const char *name)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
    HF_ASSERT(msg && nlmsg_append(msg, &head, sizeof head, NLMSG_ALIGNTO) == 0);
    HF_ASSERT(nla_put_string(msg, IFLA_IFNAME, name) == 0);
    struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO);
    HF_ASSERT(info && nla_put_string(msg, IFLA_INFO_KIND, "bridge") == 0);
    struct nlattr *data = nla_nest_start(msg, IFLA_INFO_DATA);
    HF_ASSERT(data && nla_put_u32(msg, IFLA_BR_STP_STATE, 0) == 0);
    HF_ASSERT(nla_put_u32(msg, IFLA_BR_FORWARD_DELAY, 0) == 0);
    HF_ASSERT(nla_put_u8(msg, IFLA_BR_MCAST_SNOOPING, 0) == 0);
    nla_nest_end(msg, data);
    nla_nest_end(msg, info);
    return nl_status(nl_send_sync(l->sock, msg), "make the bridge '%s'", name);
}

hf_status hf_link_add_veth(struct hf_links *l, const char *name, const char *far_name, int netns_fd)
{
    struct rtnl_link *veth = rtnl_link_veth_alloc();
    HF_ASSERT(veth);
    struct rtnl_link *far = rtnl_link_veth_get_peer(veth);
    rtnl_link_set_name(veth, name);
    rtnl_link_set_name(far, far_name);
    rtnl_link_set_ns_fd(far, netns_fd);
    int rc = rtnl_link_add(l->sock, veth, NLM_F_CREATE | NLM_F_EXCL);
    rtnl_link_put(far);
    rtnl_link_put(veth);
    return nl_status(rc, "make the pair '%s' and '%s'", name, far_name);
}

static hf_status change_link(struct hf_links *l, int index, int master, bool up, const char *what)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    if (up)
        head.ifi_flags = head.ifi_change = IFF_UP;
    struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST);
    HF_ASSERT(msg && nlmsg_append(msg, &head, sizeof head, NLMSG_ALIGNTO) == 0);
    if (master > 0)
        HF_ASSERT(nla_put_u32(msg, IFLA_MASTER, (uint32_t)master) == 0);
    return nl_status(nl_send_sync(l->sock, msg), "%s the network interface %d", what, index);
}

hf_status hf_link_set_master(struct hf_links *l, int index, int master)
{
    HF_ASSERT(index > 0 && master > 0);
    return change_link(l, index, master, false, "put into a bridge:");
}

hf_status hf_link_set_up(struct hf_links *l, int index)
{
    HF_ASSERT(index > 0);
    return change_link(l, index, 0, true, "bring up:");
}

hf_status hf_link_delete(struct hf_links *l, const char *name)
{
    struct rtnl_link *link = rtnl_link_alloc();
    HF_ASSERT(link);
    rtnl_link_set_name(link, name);
    int rc = rtnl_link_delete(l->sock, link);
    rtnl_link_put(link);
    if (rc == -NLE_NODEV || rc == -NLE_OBJ_NOTFOUND)
        return HF_STATUS_OK;
    return nl_status(rc, "delete the network interface '%s'", name);
}

static bool is_ip4(struct rtnl_addr *a, int index, uint32_t *ret_ip)
{
    struct nl_addr *local = rtnl_addr_get_local(a);
    if (rtnl_addr_get_ifindex(a) != index || !local || nl_addr_get_family(local) != AF_INET)
        return false;
    uint32_t ip;
    memcpy(&ip, nl_addr_get_binary_addr(local), sizeof ip);
    *ret_ip = ntohl(ip);
    return true;
}

hf_status hf_link_has_address(struct hf_links *l, int index, bool *ret)
{
    struct nl_cache *cache = NULL;
    uint32_t ip;
    bool has = false;
    HF_TRY(nl_status(rtnl_addr_alloc_cache(l->sock, &cache), "list the addresses"));
    for (struct nl_object *o = nl_cache_get_first(cache); o && !has; o = nl_cache_get_next(o))
        has = is_ip4((struct rtnl_addr *)o, index, &ip);
    nl_cache_free(cache);
    *ret = has;
    return HF_STATUS_OK;
}

static hf_status add_address(struct hf_links *l, int index, uint32_t ip, unsigned prefix)
{
    uint32_t wire = htonl(ip);
    struct rtnl_addr *a = rtnl_addr_alloc();
    struct nl_addr *local = nl_addr_build(AF_INET, &wire, sizeof wire);
    HF_ASSERT(a && local);
    nl_addr_set_prefixlen(local, (int)prefix);
    rtnl_addr_set_ifindex(a, index);
    HF_ASSERT(rtnl_addr_set_local(a, local) == 0);
    int rc = rtnl_addr_add(l->sock, a, 0);
    nl_addr_put(local);
    rtnl_addr_put(a);
    return nl_status(rc == -NLE_EXIST ? 0 : rc, "add the address to network interface %d", index);
}

hf_status hf_link_set_address(struct hf_links *l, int index, uint32_t ip, unsigned prefix)
{
    struct nl_cache *cache = NULL;
    uint32_t has;
    hf_status st = HF_STATUS_OK;
    HF_TRY(nl_status(rtnl_addr_alloc_cache(l->sock, &cache), "list the addresses"));
    for (struct nl_object *o = nl_cache_get_first(cache); o && hf_ok(st); o = nl_cache_get_next(o)) {
        struct rtnl_addr *a = (struct rtnl_addr *)o;
        if (is_ip4(a, index, &has) && (has != ip || rtnl_addr_get_prefixlen(a) != (int)prefix))
            st = nl_status(rtnl_addr_delete(l->sock, a, 0), "take an old address off network interface %d",
                           index);
    }
    nl_cache_free(cache);
    return hf_ok(st) ? add_address(l, index, ip, prefix) : st;
}
