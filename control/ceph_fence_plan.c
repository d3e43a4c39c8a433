#include "control/ceph_fence_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/ipam.h"

#define TENANT_NAME_MAX 64
#define DEPTH_MAX       8 /* of a daemon's own part of a dump */
#define WHOLE_S         (10u * 365 * 86400)

enum tenant_kind { DAEMON, OTHER_HOST, SELF };

struct hf_ceph_tenant {
    uint32_t ip;
    enum tenant_kind kind;
    char name[TENANT_NAME_MAX]; /* of a daemon: "osd.0" */
};

void hf_ceph_fence_plan_init(struct hf_ceph_fence_plan *p)
{
    *p = (struct hf_ceph_fence_plan){0};
}

void hf_ceph_fence_plan_done(struct hf_ceph_fence_plan *p)
{
    free(p->tenants);
    *p = (struct hf_ceph_fence_plan){0};
}

/* --- the others --- */

static void add_tenant(struct hf_ceph_fence_plan *p, uint32_t ip, enum tenant_kind kind, const char *name)
{
    p->tenants = hf_realloc_array(p->tenants, p->n_tenants + 1, sizeof *p->tenants);
    struct hf_ceph_tenant *t = &p->tenants[p->n_tenants++];
    *t = (struct hf_ceph_tenant){.ip = ip, .kind = kind};
    snprintf(t->name, sizeof t->name, "%s", name);
}

static const struct hf_ceph_tenant *tenant_of(const struct hf_ceph_fence_plan *p, uint32_t ip)
{
    for (size_t i = 0; i < p->n_tenants; i++)
        if (p->tenants[i].ip == ip)
            return &p->tenants[i];
    return NULL;
}

hf_status hf_ceph_fence_plan_other(struct hf_ceph_fence_plan *p, const char *address)
{
    struct hf_ceph_client c;
    if (!hf_ceph_client_parse(address, &c))
        return hf_error(HF_INVALID, "'%s' is no address of a host", address);
    add_tenant(p, c.ip, OTHER_HOST, "another host or control node");
    return HF_STATUS_OK;
}

static void add_tenants(struct hf_ceph_fence_plan *p, enum tenant_kind kind, const char *name,
                        const char *text)
{
    struct hf_ceph_client c;
    while (hf_ceph_client_next(&text, &c)) {
        const struct hf_ceph_tenant *last = p->n_tenants > 0 ? &p->tenants[p->n_tenants - 1] : NULL;
        if (!(last && last->ip == c.ip && last->kind == kind && strcmp(last->name, name) == 0))
            add_tenant(p, c.ip, kind, name);
    }
}

void hf_ceph_fence_plan_self(struct hf_ceph_fence_plan *p, const char *addresses)
{
    add_tenants(p, SELF, "this control node", addresses);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), len = strlen(end);
    return n >= len && strcmp(text + n - len, end) == 0;
}

/* Every address that stands in a daemon's part of a dump, whatever its role is called. */
static void add_daemon(struct hf_ceph_fence_plan *p, const char *name, const json_t *part, unsigned depth)
{
    const char *key;
    json_t *value;
    size_t i;
    if (depth > DEPTH_MAX)
        return;
    json_array_foreach(part, i, value) add_daemon(p, name, value, depth + 1);
    json_object_foreach((json_t *)part, key, value)
    {
        if (!json_is_string(value))
            add_daemon(p, name, value, depth + 1);
        else if (ends_with(key, "addr") || ends_with(key, "addrs"))
            add_tenants(p, DAEMON, name, json_string_value(value));
    }
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "?";
}

static void add_named(struct hf_ceph_fence_plan *p, const char *kind, const json_t *list)
{
    char name[TENANT_NAME_MAX];
    json_t *at;
    size_t i;
    json_array_foreach(list, i, at)
    {
        snprintf(name, sizeof name, "%s.%s", kind, text_of(at, "name"));
        add_daemon(p, name, at, 0);
    }
}

static void add_osds(struct hf_ceph_fence_plan *p, const json_t *list)
{
    char name[TENANT_NAME_MAX];
    json_t *at;
    size_t i;
    json_array_foreach(list, i, at)
    {
        snprintf(name, sizeof name, "osd.%" JSON_INTEGER_FORMAT,
                 json_integer_value(json_object_get(at, "osd")));
        add_daemon(p, name, at, 0);
    }
}

void hf_ceph_fence_plan_daemons(struct hf_ceph_fence_plan *p, const char *command, const json_t *dump)
{
    char name[TENANT_NAME_MAX];
    if (strcmp(command, "osd dump") == 0) {
        add_osds(p, json_object_get(dump, "osds"));
    } else if (strcmp(command, "mon dump") == 0) {
        add_named(p, "mon", json_object_get(dump, "mons"));
    } else if (strcmp(command, "mgr dump") == 0) { /* its clients with it: they live where it does */
        snprintf(name, sizeof name, "mgr.%s", text_of(dump, "active_name"));
        add_daemon(p, name, dump, 0);
    } else {
        add_named(p, strncmp(command, "mds", 3) == 0 ? "mds" : "mgr", dump);
    }
}

/* --- the host --- */

static hf_status add_client(struct hf_ceph_fence_plan *p, const struct hf_ceph_client *c)
{
    for (size_t i = 0; i < p->n_clients; i++)
        if (p->clients[i].ip == c->ip && p->clients[i].nonce == c->nonce)
            return HF_STATUS_OK;
    if (p->n_clients == HF_CEPH_ENTRIES_MAX)
        return hf_error(HF_EXHAUSTED, "the host has more than %d addresses and clients on this cluster",
                        HF_CEPH_ENTRIES_MAX);
    p->clients[p->n_clients++] = *c;
    return HF_STATUS_OK;
}

static bool is_the_hosts(const struct hf_ceph_fence_plan *p, uint32_t ip)
{
    for (size_t i = 0; i < p->n_clients; i++)
        if (p->clients[i].ip == ip)
            return true;
    return false;
}

hf_status hf_ceph_fence_plan_host(struct hf_ceph_fence_plan *p, const char *address)
{
    struct hf_ceph_client c;
    if (!hf_ceph_client_parse(address, &c))
        return hf_error(HF_INVALID, "'%s' is no IPv4 address of a host", address);
    return add_client(p, &c);
}

hf_status hf_ceph_fence_plan_host_list(struct hf_ceph_fence_plan *p, const char *addresses)
{
    struct hf_ceph_client c;
    bool any = false;
    for (const char *at = addresses; hf_ceph_client_next(&at, &c); any = true)
        HF_TRY(add_client(p, &c));
    return any ? HF_STATUS_OK : hf_error(HF_INVALID, "'%s' holds no IPv4 address of a client", addresses);
}

/* Whoever else lives there, too. */
static bool is_another_hosts(const struct hf_ceph_fence_plan *p, uint32_t ip)
{
    for (size_t i = 0; i < p->n_tenants; i++)
        if (p->tenants[i].ip == ip && p->tenants[i].kind == OTHER_HOST)
            return true;
    return false;
}

hf_status hf_ceph_fence_plan_watcher(struct hf_ceph_fence_plan *p, const char *address)
{
    struct hf_ceph_client c;
    if (!hf_ceph_client_parse(address, &c))
        return hf_error(HF_UNAVAILABLE,
                        "a client with the address '%s' has it open: it can only be refused by IPv4",
                        address);
    if (is_another_hosts(p, c.ip) && !is_the_hosts(p, c.ip))
        return HF_STATUS_OK;
    return add_client(p, &c);
}

/* --- what comes of it --- */

json_t *hf_ceph_fence_plan_entries(const struct hf_ceph_fence_plan *p)
{
    json_t *entries = json_array();
    char text[HF_CEPH_ENTRY_MAX];
    for (size_t i = 0; i < p->n_clients; i++) {
        struct hf_ceph_client c = p->clients[i];
        bool shared = tenant_of(p, c.ip) != NULL, listed = false;
        json_t *at;
        size_t k;
        if (!shared)
            c.nonce = 0;
        else if (c.nonce == 0)
            continue;
        hf_ceph_client_format(&c, text);
        json_array_foreach(entries, k, at) listed |= strcmp(json_string_value(at), text) == 0;
        if (!listed)
            json_array_append_new(entries, json_string(text));
    }
    return entries;
}

unsigned hf_ceph_fence_entry_s(const char *entry)
{
    struct hf_ceph_client c;
    return hf_ceph_client_parse(entry, &c) && c.nonce != 0 ? HF_CEPH_CLIENT_REFUSED_S : WHOLE_S;
}

void hf_ceph_fence_plan_shared(const struct hf_ceph_fence_plan *p, char *out, size_t out_len)
{
    char ip[16];
    out[0] = '\0';
    for (size_t i = 0; i < p->n_clients; i++) {
        const struct hf_ceph_tenant *t = tenant_of(p, p->clients[i].ip);
        if (!t)
            continue;
        snprintf(out, out_len, "%s at %s", t->name, hf_ip_format(t->ip, ip));
        return;
    }
}

/* --- the list --- */

static hf_status read_list(const json_t *osd_dump, json_t **ret, uint64_t *ret_epoch)
{
    json_t *epoch = json_object_get(osd_dump, "epoch");
    *ret = json_object_get(osd_dump, "blocklist");
    if (!json_is_integer(epoch) || !json_is_object(*ret))
        return hf_error(HF_INTERNAL, "the monitors' answer to 'osd dump' has no epoch or no blocklist: this "
                                     "needs Ceph 16 or later");
    *ret_epoch = (uint64_t)json_integer_value(epoch);
    return HF_STATUS_OK;
}

/* Newer releases may spell an entry with its kind. */
static bool lists(json_t *blocklist, const char *entry)
{
    struct hf_ceph_client wanted, c;
    const char *key;
    json_t *until;
    if (json_object_get(blocklist, entry))
        return true;
    if (!hf_ceph_client_parse(entry, &wanted))
        return false;
    json_object_foreach(blocklist, key, until)
    {
        if (hf_ceph_client_parse(key, &c) && c.ip == wanted.ip && c.nonce == wanted.nonce)
            return true;
    }
    return false;
}

static hf_status check_list(const json_t *osd_dump, const json_t *entries, bool wanted, uint64_t *ret_epoch)
{
    json_t *list, *at;
    size_t i;
    HF_TRY(read_list(osd_dump, &list, ret_epoch));
    json_array_foreach(entries, i, at)
    {
        if (lists(list, json_string_value(at)) != wanted)
            return hf_error(HF_UNAVAILABLE, "the cluster's blocklist of osdmap %" PRIu64 " %s '%s'",
                            *ret_epoch, wanted ? "does not list" : "still lists", json_string_value(at));
    }
    return HF_STATUS_OK;
}

hf_status hf_ceph_blocklist_has(const json_t *osd_dump, const json_t *entries, uint64_t *ret_epoch)
{
    return check_list(osd_dump, entries, true, ret_epoch);
}

hf_status hf_ceph_blocklist_lacks(const json_t *osd_dump, const json_t *entries, uint64_t *ret_epoch)
{
    return check_list(osd_dump, entries, false, ret_epoch);
}
