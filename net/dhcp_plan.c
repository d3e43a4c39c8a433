#include "net/dhcp_plan.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "net/ipam.h"

/* Text that grows; ends with hf_strdup-like ownership of its data. */
struct text {
    char *data;
    size_t len, cap;
};

static void put(struct text *t, const char *fmt, ...) HF_PRINTF(2, 3);

static void put(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *more = hf_vprintf(fmt, ap);
    va_end(ap);
    size_t n = strlen(more);
    if (t->len + n + 1 > t->cap) {
        t->cap = 2 * (t->len + n + 1);
        t->data = hf_realloc_array(t->data, t->cap, 1);
    }
    memcpy(t->data + t->len, more, n + 1);
    t->len += n;
    free(more);
}

void hf_dhcp_plan_names(struct hf_dhcp_plan *p, const char *run_dir, const struct hf_uuid *l3)
{
    char id[HF_UUID_STR];
    *p = (struct hf_dhcp_plan){0};
    hf_uuid_format(l3, id);
    snprintf(p->netns, sizeof p->netns, "hf-dhcp-%.8s", id);
    snprintf(p->veth, sizeof p->veth, "hfd%.8s", id);
    snprintf(p->table, sizeof p->table, "hf_dhcp_%.8s", id);
    p->dir = hf_printf("%s/%.8s", run_dir, id);
    p->hosts_dir = hf_printf("%s/hosts", p->dir);
    p->opts_path = hf_printf("%s/opts", p->dir);
    p->pid_path = hf_printf("%s/dnsmasq.pid", p->dir);
    p->leases_path = hf_printf("%s/leases", p->dir);
}

void hf_dhcp_plan_done(struct hf_dhcp_plan *p)
{
    for (size_t i = 0; i < HF_DHCP_ARGS_MAX; i++)
        free(p->argv[i]);
    free(p->dir);
    free(p->hosts_dir);
    free(p->opts_path);
    free(p->pid_path);
    free(p->leases_path);
    free(p->hosts);
    free(p->opts);
    free(p->rules);
    *p = (struct hf_dhcp_plan){0};
}

static bool is_mac(const char *mac)
{
    if (!mac || strlen(mac) != 17)
        return false;
    for (size_t i = 0; i < 17; i++)
        if (i % 3 == 2 ? mac[i] != ':' : !isxdigit((unsigned char)mac[i]))
            return false;
    return true;
}

/* A DNS label; anything else is left out rather than told to a guest. */
static bool is_label(const char *name)
{
    size_t n = name ? strlen(name) : 0;
    return n > 0 && n <= 63 && name[0] != '-' && name[n - 1] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == n;
}

static hf_status check_ip(const struct hf_dhcp_plan *p, uint32_t network, const char *what, const char *text)
{
    uint32_t ip;
    if (!hf_ip_parse(text, &ip))
        return hf_error(HF_INVALID, "the %s '%.64s' is not an IPv4 address", what, text ? text : "");
    if ((ip ^ network) >> (32 - p->prefix) != 0)
        return hf_error(HF_INVALID, "the %s %s is outside the network", what, text);
    return HF_STATUS_OK;
}

static hf_status check(struct hf_dhcp_plan *p, const struct hf_dhcp_config *c, uint32_t *ret_network)
{
    uint32_t ip;
    if (!c->cidr)
        return hf_error(HF_INVALID, "the CIDR is missing");
    HF_TRY(hf_cidr_parse(c->cidr, ret_network, &p->prefix));
    if (p->prefix < 8 || p->prefix > 30)
        return hf_error(HF_INVALID, "the prefix of %s is not between /8 and /30", c->cidr);
    HF_TRY(check_ip(p, *ret_network, "DHCP address", c->dhcp_ip));
    HF_ASSERT(hf_ip_parse(c->dhcp_ip, &p->ip));
    if (c->gateway && c->gateway[0])
        HF_TRY(check_ip(p, *ret_network, "gateway", c->gateway));
    for (size_t i = 0; i < c->n_dns; i++)
        if (!hf_ip_parse(c->dns[i], &ip))
            return hf_error(HF_INVALID, "the DNS server '%.64s' is not an IPv4 address", c->dns[i]);
    if (c->n_hosts > HF_DHCP_HOSTS_MAX)
        return hf_error(HF_INVALID, "%zu hosts are more than the %d that one DHCP server takes", c->n_hosts,
                        HF_DHCP_HOSTS_MAX);
    for (size_t i = 0; i < c->n_hosts; i++) {
        if (!is_mac(c->hosts[i].mac))
            return hf_error(HF_INVALID, "'%.64s' is not a MAC address",
                            c->hosts[i].mac ? c->hosts[i].mac : "");
        HF_TRY(check_ip(p, *ret_network, "address of a NIC", c->hosts[i].ip));
    }
    return HF_STATUS_OK;
}

static char *hosts_text(const struct hf_dhcp_config *c)
{
    struct text t = {0};
    put(&t, "%s", "");
    for (size_t i = 0; i < c->n_hosts; i++) {
        const struct hf_dhcp_host *h = &c->hosts[i];
        put(&t, "%s%s,%s", h->mac, h->default_route ? ",set:route" : "", h->ip);
        if (is_label(h->hostname))
            put(&t, ",%s", h->hostname);
        put(&t, ",infinite\n");
    }
    return t.data;
}

/* Without data an option is not sent at all; left out, dnsmasq would name itself as router and DNS server. */
static char *opts_text(const struct hf_dhcp_config *c)
{
    struct text t = {0};
    put(&t, "option:router\noption:dns-server\n");
    if (c->gateway && c->gateway[0])
        put(&t, "tag:route,option:router,%s\n", c->gateway);
    if (c->n_dns > 0)
        put(&t, "tag:route,option:dns-server");
    for (size_t i = 0; i < c->n_dns; i++)
        put(&t, ",%s", c->dns[i]);
    if (c->n_dns > 0)
        put(&t, "\n");
    return t.data;
}

static char *rules_text(const struct hf_dhcp_plan *p, const char *dhcp_ip, const char *uplink)
{
    struct text t = {0};
    put(&t, "add table bridge %s\ndelete table bridge %s\n", p->table, p->table);
    if (!uplink)
        return t.data;
    put(&t,
        "table bridge %s {\n\tchain forward {\n\t\ttype filter hook forward priority -200; policy accept;\n",
        p->table);
    for (int out = 0; out < 2; out++) {
        char match[HF_IFNAME_MAX + 16];
        snprintf(match, sizeof match, "%s \"%s\"", out ? "oifname" : "iifname", uplink);
        put(&t, "\t\t%s ether type arp arp saddr ip %s drop\n", match, dhcp_ip);
        put(&t, "\t\t%s ether type arp arp daddr ip %s drop\n", match, dhcp_ip);
        put(&t, "\t\t%s ether type ip ip saddr %s drop\n", match, dhcp_ip);
        put(&t, "\t\t%s ether type ip ip daddr %s drop\n", match, dhcp_ip);
        put(&t, "\t\t%s ether type ip udp dport { 67, 68 } drop\n", match);
    }
    put(&t, "\t}\n}\n");
    return t.data;
}

static void make_argv(struct hf_dhcp_plan *p, uint32_t network)
{
    char ip[16], mask[16];
    size_t n = 0;
    hf_ip_format(network, ip);
    hf_ip_format(UINT32_MAX << (32 - p->prefix), mask);
    p->argv[n++] = hf_strdup("dnsmasq");
    p->argv[n++] = hf_strdup("--conf-file=/dev/null");
    p->argv[n++] = hf_strdup("--user=root"); /* it has to read its files again, in a folder of root */
    p->argv[n++] = hf_strdup("--port=0");    /* no DNS */
    p->argv[n++] = hf_strdup("--no-hosts");
    p->argv[n++] = hf_strdup("--no-resolv");
    p->argv[n++] =
        hf_strdup("--no-ping"); /* addresses are ours to know; a ping would delay each lease by 3 s */
    p->argv[n++] = hf_strdup("--bind-interfaces");
    p->argv[n++] = hf_strdup("--except-interface=lo");
    p->argv[n++] = hf_strdup("--interface=" HF_DHCP_IFNAME);
    p->argv[n++] = hf_printf("--dhcp-range=%s,static,%s,infinite", ip, mask);
    p->argv[n++] = hf_strdup("--dhcp-authoritative");
    p->argv[n++] = hf_strdup("--dhcp-no-override");
    p->argv[n++] = hf_printf("--dhcp-lease-max=%d", HF_DHCP_HOSTS_MAX);
    p->argv[n++] = hf_printf("--dhcp-hostsdir=%s", p->hosts_dir);
    p->argv[n++] = hf_printf("--dhcp-optsfile=%s", p->opts_path);
    p->argv[n++] = hf_printf("--dhcp-leasefile=%s", p->leases_path);
    p->argv[n++] = hf_printf("--pid-file=%s", p->pid_path);
    HF_ASSERT(n < HF_DHCP_ARGS_MAX);
}

hf_status hf_dhcp_plan_make(struct hf_dhcp_plan *p, const char *run_dir, const struct hf_dhcp_config *c,
                            const char *uplink)
{
    uint32_t network = 0;
    hf_dhcp_plan_names(p, run_dir, &c->l3_uuid);
    hf_status st = check(p, c, &network);
    if (!hf_ok(st)) {
        hf_dhcp_plan_done(p);
        return st;
    }
    make_argv(p, network);
    p->hosts = hosts_text(c);
    p->opts = opts_text(c);
    p->rules = rules_text(p, c->dhcp_ip, uplink);
    return HF_STATUS_OK;
}

static size_t line_len(const char *at)
{
    return (size_t)(strchrnul(at, '\n') - at);
}

static const char *next_line(const char *at)
{
    at += line_len(at);
    return *at ? at + 1 : at;
}

static bool has_line(const char *text, const char *line)
{
    size_t len = line_len(line);
    for (const char *at = text; *at; at = next_line(at))
        if (line_len(at) == len && memcmp(at, line, len) == 0)
            return true;
    return false;
}

enum hf_dhcp_change hf_dhcp_change(const char *old_hosts, const char *old_opts, const struct hf_dhcp_plan *p,
                                   char **ret_added)
{
    struct text added = {0};
    *ret_added = NULL;
    if (!old_hosts || !old_opts || strcmp(old_opts, p->opts) != 0)
        return HF_DHCP_RESTART;
    for (const char *at = old_hosts; *at; at = next_line(at))
        if (!has_line(p->hosts, at))
            return HF_DHCP_RESTART;
    for (const char *at = p->hosts; *at; at = next_line(at))
        if (!has_line(old_hosts, at))
            put(&added, "%.*s\n", (int)line_len(at), at);
    *ret_added = added.data;
    return added.data ? HF_DHCP_ADD : HF_DHCP_SAME;
}
