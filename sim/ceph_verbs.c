#include "sim/ceph_verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "control/ceph_fence_plan.h"
#include "sim/host_private.h"

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text ? text : "";
}

/* --- prepare --- */

static void prepare(const struct sim_ceph_call *c, json_t *answer)
{
    json_t *keys = json_array();
    const json_t *at;
    size_t i;
    json_array_foreach(json_object_get(c->asked, "hosts"), i, at)
    {
        char user[64];
        snprintf(user, sizeof user, "holdfast-%s", json_string_value(at));
        json_array_append_new(keys, json_pack("{s:s, s:s, s:s}", "host", json_string_value(at), "user", user,
                                              "key", SIM_CEPH_KEY));
    }
    json_object_set_new(answer, "keys", keys);
    json_object_set_new(answer, "fsid", json_string(sim_ceph_fsid(c->cluster)));
    json_object_set_new(answer, "health", json_string("HEALTH_OK"));
    json_object_set_new(answer, "health_message", json_string(""));
}

/* --- fence, unfence: who is to be refused is worked out by what is shipped --- */

static void learn_daemons(const struct sim_ceph_call *c, struct hf_ceph_fence_plan *plan)
{
    char self[SIM_CEPH_ADDRESS], text[SIM_CEPH_ENTRY];
    json_t *mons = json_array(), *osds = json_array();
    json_array_append_new(mons, json_pack("{s:s, s:s}", "name", "a", "addr", sim_ceph_monitor(c->cluster)));
    for (unsigned i = 0; i < c->world->sizes.hosts; i++)
        if (sim_ceph_daemon_at(c->cluster, sim_ceph_host_address(c->cluster, i)))
            json_array_append_new(osds, json_pack("{s:i, s:s}", "osd", (int)i, "public_addr",
                                                  sim_ceph_host_address(c->cluster, i)));
    json_t *mon_dump = json_pack("{s:o}", "mons", mons), *osd_dump = json_pack("{s:o}", "osds", osds);
    hf_ceph_fence_plan_daemons(plan, "mon dump", mon_dump);
    hf_ceph_fence_plan_daemons(plan, "osd dump", osd_dump);
    json_decref(mon_dump);
    json_decref(osd_dump);
    snprintf(text, sizeof text, "%s:0/%u", sim_ceph_node_address(c->node, self), SIM_CEPH_DAEMON);
    hf_ceph_fence_plan_self(plan, text);
}

static hf_status learn_hosts(const struct sim_ceph_call *c, struct hf_ceph_fence_plan *plan)
{
    const json_t *at;
    size_t i;
    json_array_foreach(json_object_get(c->asked, "others"), i, at)
        HF_TRY(hf_ceph_fence_plan_other(plan, json_string_value(at)));
    json_array_foreach(json_object_get(c->asked, "addresses"), i, at)
        HF_TRY(hf_ceph_fence_plan_host(plan, json_string_value(at)));
    return HF_STATUS_OK;
}

/* Every storage that is this cluster. */
static struct sim_storage *storage_at(const struct sim_ceph_call *c, unsigned i)
{
    struct sim_storage *s = c->world->shared[i];
    return sim_storage_ceph(s) == c->cluster ? s : NULL;
}

/* A pool is named after its storage; "heartbeat-file-kvm-host-<uuid>.hb" after its host. */
static hf_status see_record(const struct sim_ceph_call *c, struct hf_ceph_fence_plan *plan)
{
    const json_t *record = json_object_get(c->asked, "record");
    char uuid[HF_UUID_STR];
    for (unsigned i = 0; i < c->world->sizes.shared_storages; i++) {
        const struct sim_storage *s = storage_at(c, i);
        if (!s || !strstr(text_of(record, "pool"), hf_uuid_format(sim_storage_uuid(s), uuid)))
            continue;
        for (unsigned h = 0; h < c->world->sizes.hosts; h++) {
            const char *client = sim_storage_record_client(s, h);
            if (strstr(text_of(record, "object"), hf_uuid_format(sim_host_uuid(c->world->hosts[h]), uuid)) &&
                client[0] != '\0')
                return hf_ceph_fence_plan_host(plan, client);
        }
    }
    return HF_STATUS_OK;
}

struct look {
    const struct sim_ceph_call *call;
    struct hf_ceph_fence_plan *plan;
    unsigned host;
    hf_status st;
};

static bool has_disk_among(const struct hf_vm_sim_guest *g, const json_t *images)
{
    const json_t *at;
    size_t i;
    json_array_foreach(images, i, at) for (size_t k = 0; k < g->n_disks;
                                           k++) if (strstr(g->disks[k], text_of(at, "image"))) return true;
    return false;
}

static void see_guest(void *arg, const struct hf_vm_sim_guest *g)
{
    struct look *l = arg;
    char client[SIM_CEPH_ENTRY];
    if (!hf_ok(l->st) || !has_disk_among(g, json_object_get(l->call->asked, "images")))
        return;
    snprintf(client, sizeof client, "%s:0/%u", sim_ceph_host_address(l->call->cluster, l->host),
             sim_ceph_guest_number(&g->uuid, g->run));
    l->st = hf_ceph_fence_plan_watcher(l->plan, client);
}

/* Who stands still or has no power watches nothing any more, and owns the lock all the same. */
static hf_status see_images(const struct sim_ceph_call *c, struct hf_ceph_fence_plan *plan)
{
    struct look l = {c, plan, 0, HF_STATUS_OK};
    const json_t *at;
    size_t i;
    for (; l.host < c->world->sizes.hosts; l.host++) {
        struct sim_host *h = c->world->hosts[l.host];
        if (h->powered && h->pauses == 0)
            hf_vm_machine_each(h->vms, see_guest, &l);
    }
    json_array_foreach(json_object_get(c->asked, "images"), i, at)
    {
        const struct sim_ceph_client *owner = sim_ceph_owner(c->cluster, text_of(at, "image"));
        char client[SIM_CEPH_ENTRY];
        if (!owner || !hf_ok(l.st))
            continue;
        snprintf(client, sizeof client, "%s:0/%u", owner->address, owner->number);
        l.st = hf_ceph_fence_plan_watcher(plan, client);
    }
    return l.st;
}

static hf_status make_plan(const struct sim_ceph_call *c, struct hf_ceph_fence_plan *plan)
{
    learn_daemons(c, plan);
    HF_TRY(learn_hosts(c, plan));
    HF_TRY(see_record(c, plan));
    HF_TRY(see_images(c, plan));
    if (plan->n_clients == 0)
        return hf_error(HF_PRECONDITION, "nothing tells at which addresses the cluster sees this host");
    return HF_STATUS_OK;
}

static hf_status fence(const struct sim_ceph_call *c, json_t *answer)
{
    struct hf_ceph_fence_plan plan;
    char shared[HF_CEPH_SHARED_MAX];
    hf_ceph_fence_plan_init(&plan);
    hf_status st = make_plan(c, &plan);
    json_t *entries = hf_ceph_fence_plan_entries(&plan), *at;
    size_t i;
    hf_ceph_fence_plan_shared(&plan, shared, sizeof shared);
    hf_ceph_fence_plan_done(&plan);
    json_object_set_new(answer, "entries", entries);
    HF_TRY(st);
    json_array_foreach(entries, i, at) if (!c->alone || i == 0) sim_ceph_block(
        c->cluster, json_string_value(at), (int64_t)hf_ceph_fence_entry_s(json_string_value(at)) * HF_S_NS);
    json_object_set_new(answer, "by_clients", json_boolean(shared[0] != '\0'));
    json_object_set_new(answer, "shared_with", json_string(shared));
    json_object_set_new(answer, "osdmap_epoch", json_integer((json_int_t)sim_ceph_osdmap_epoch(c->cluster)));
    return HF_STATUS_OK;
}

static hf_status unfence(const struct sim_ceph_call *c, json_t *answer)
{
    const json_t *at;
    size_t i;
    json_array_foreach(json_object_get(c->asked, "entries"), i, at) if (!c->alone || i == 0)
        sim_ceph_unblock(c->cluster, json_string_value(at));
    json_object_set_new(answer, "osdmap_epoch", json_integer((json_int_t)sim_ceph_osdmap_epoch(c->cluster)));
    return HF_STATUS_OK;
}

bool sim_ceph_carry_out(const struct sim_ceph_call *c, json_t *answer, char *error, size_t len)
{
    const char *verb = text_of(c->asked, "verb");
    hf_status st = HF_STATUS_OK;
    if (strcmp(verb, "prepare") == 0)
        prepare(c, answer);
    else if (strcmp(verb, "fence") == 0)
        st = fence(c, answer);
    else if (strcmp(verb, "unfence") == 0)
        st = unfence(c, answer);
    else
        st = hf_error(HF_UNIMPLEMENTED, "a simulated Ceph cluster knows no '%s'", verb);
    bool good = hf_ok(st);
    if (!good)
        snprintf(error, len, "%s", hf_status_message(st));
    hf_status_drop(st);
    return good;
}
