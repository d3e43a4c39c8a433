/* The control plane about itself: settings, members, status; and an administrator's word about a host. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_rules.h"
#include "control/settings.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/system.pb-c.h"

/* --- settings --- */

static hf_status update_setting(struct hf_draft *d, const ProtobufCMessage *before, ProtobufCMessage *m)
{
    (void)d;
    const Holdfast__V1__GlobalSetting *g = (const Holdfast__V1__GlobalSetting *)m;
    const Holdfast__V1__Meta *old = hf_message_meta(before);
    if (strcmp(old->name, g->meta->name) != 0 || strcmp(old->description, g->meta->description) != 0)
        return hf_error(HF_INVALID, "only the value of a setting may be changed");
    const struct hf_setting *s = hf_setting_find(g->meta->name);
    if (s == NULL || s->fixed)
        return hf_error(HF_PRECONDITION, "it is written by the control plane itself");
    return hf_wrap(hf_setting_check(s, g->value), "value");
}

static const char *const setting_paths[] = {"value", NULL};

const struct hf_kind_rules hf_global_setting_rules = {
    .kind = HOLDFAST__V1__KIND__GLOBAL_SETTING, .mutable_paths = setting_paths, .update = update_setting};

/* --- HA --- */

const struct hf_kind_rules hf_fence_rules = {.kind = HOLDFAST__V1__KIND__FENCE};
const struct hf_kind_rules hf_failover_rules = {.kind = HOLDFAST__V1__KIND__FAILOVER};

static hf_status build_confirm_down(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    const struct hf_api_plugs *p = &c->api->plugs;
    const Holdfast__V1__ConfirmHostDownRequest *r = (const Holdfast__V1__ConfirmHostDownRequest *)c->request;
    if (p->hosts == NULL)
        return hf_error(HF_UNAVAILABLE, "confirm that a host is down: this node runs without controllers");
    return p->hosts->confirm_down(p->hosts_arg, s, t, r->host_uuid, r->epoch, r->statement);
}

void hf_handle_confirm_host_down(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_confirm_down);
}

static void plan_now(struct hf_api_call *c)
{
    const struct hf_api_plugs *p = &c->api->plugs;
    const Holdfast__V1__PlanHostLossRequest *r = (const Holdfast__V1__PlanHostLossRequest *)c->request;
    Holdfast__V1__PlanHostLossResponse *answer = NULL;
    hf_status st = p->hosts == NULL
                       ? hf_error(HF_UNAVAILABLE, "this node runs without controllers")
                       : p->hosts->plan_loss(p->hosts_arg, r->host_uuids, r->n_host_uuids, &answer);
    if (!hf_ok(st)) {
        hf_call_end(c, hf_wrap(st, "plan the loss of hosts"));
        return;
    }
    hf_call_answer(c, &answer->base);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
}

void hf_handle_plan_host_loss(struct hf_api_call *c)
{
    hf_call_read(c, false, plan_now); /* the leader's question */
}

/* --- status --- */

#define NODES_MAX 16

struct status {
    struct hf_api *api;
    struct hf_replica_state state;
    Holdfast__V1__ControlStatus answer;
    Holdfast__V1__ControlNode nodes[NODES_MAX];
    Holdfast__V1__ControlNode *list[NODES_MAX];
};

static const char *role_text(const struct hf_replica_state *st, uint64_t id)
{
    static const char *const texts[] = {"follower", "candidate", "leader", "unavailable"};
    if (id == st->id)
        return texts[st->role];
    if (id == st->leader_id)
        return "leader";
    return st->leader_id != 0 ? "follower" : "unknown";
}

static void add_node(void *arg, uint64_t id, const char *raft_address)
{
    struct status *s = arg;
    if (s->answer.n_nodes == NODES_MAX)
        return;
    Holdfast__V1__ControlNode *n = &s->nodes[s->answer.n_nodes];
    const char *api_address = hf_api_address_of(s->api, id);
    holdfast__v1__control_node__init(n);
    n->id = id;
    n->raft_address = hf_strdup(raft_address);
    n->api_address = hf_strdup(api_address != NULL ? api_address : "");
    n->role = (char *)role_text(&s->state, id);
    s->list[s->answer.n_nodes++] = n;
}

static void answer_status(struct hf_api_call *c)
{
    struct hf_api *api = c->api;
    struct status *s = HF_NEW(struct status);
    s->api = api;
    hf_replica_state(api->control->replica, &s->state);
    holdfast__v1__control_status__init(&s->answer);
    s->answer.nodes = s->list;
    api->plugs.members->each(api->plugs.members_arg, add_node, s);

    const char *leader = s->state.leader_id != 0 ? hf_api_address_of(api, s->state.leader_id) : NULL;
    s->answer.node_id = s->state.id;
    s->answer.leader_id = s->state.leader_id;
    s->answer.leader_api_address = (char *)(leader != NULL ? leader : "");
    s->answer.term = s->state.term;
    s->answer.revision = hf_store_revision(hf_call_store(c));
    s->answer.applied_index = s->state.applied_index;
    s->answer.version = HF_VERSION;
    s->answer.cluster_id = hf_cluster_id(hf_call_store(c));
    char *cluster_id = s->answer.cluster_id;
    hf_call_answer(c, &s->answer.base);

    for (size_t i = 0; i < s->answer.n_nodes; i++) {
        free(s->nodes[i].raft_address);
        free(s->nodes[i].api_address);
    }
    free(cluster_id);
    free(s);
}

void hf_handle_get_status(struct hf_api_call *c)
{
    answer_status(c);
}

/* --- members ---
 * Adding: the API address is stored first, so that every node can point to the new one as soon as it may
 * lead; then Raft's configuration changes. Removing goes the other way round. Either may be repeated. Both
 * end with the new status.
 */

static const Holdfast__V1__ControlNodeRequest *node_request(const struct hf_api_call *c)
{
    return (const Holdfast__V1__ControlNodeRequest *)c->request;
}

static void node_changed(void *arg, hf_status st)
{
    struct hf_api_call *c = arg;
    if (hf_ok(st))
        answer_status(c);
    else
        hf_call_end(c, hf_status_copy(st));
}

static hf_status build_node_address(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    bool adding = c->data != NULL;
    hf_setting_put_node(c->api->control, s, t, node_request(c)->id,
                        adding ? node_request(c)->api_address : NULL);
    return HF_STATUS_OK;
}

static void address_added(void *arg, hf_status st, const struct hf_txn_result *res)
{
    (void)res;
    struct hf_api_call *c = arg;
    const struct hf_api_plugs *p = &c->api->plugs;
    const Holdfast__V1__ControlNodeRequest *r = node_request(c);
    if (hf_ok(st))
        p->members->add(p->members_arg, r->id, r->raft_address, node_changed, c);
    else
        hf_call_end(c, hf_status_copy(st));
}

static void address_removed(void *arg, hf_status st, const struct hf_txn_result *res)
{
    (void)res;
    node_changed(arg, st);
}

static void member_removed(void *arg, hf_status st)
{
    struct hf_api_call *c = arg;
    struct hf_command cmd = {.build = build_node_address, .done = address_removed, .arg = c};
    if (hf_ok(st))
        hf_command_run(c->api->control, &cmd);
    else
        hf_call_end(c, hf_status_copy(st));
}

struct addresses {
    struct hf_api *api;
    const struct hf_store *store;
    struct hf_txn *txn;
};

static void put_address(void *arg, uint64_t id, const char *raft_address)
{
    (void)raft_address;
    struct addresses *a = arg;
    const struct hf_api_plugs *p = &a->api->plugs;
    char stored[256];
    const char *known = p->members->api_address(p->members_arg, id);
    const char *old = hf_setting_node(a->store, id, stored, sizeof stored);
    if (known != NULL && (old == NULL || strcmp(old, known) != 0))
        hf_setting_put_node(a->api->control, a->store, a->txn, id, known);
}

static hf_status build_addresses(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api *api = arg;
    struct addresses a = {api, s, t};
    api->plugs.members->each(api->plugs.members_arg, put_address, &a);
    return HF_STATUS_OK;
}

static void addresses_stored(void *arg, hf_status st, const struct hf_txn_result *res)
{
    (void)res;
    struct hf_api *api = arg;
    api->calls--;
    if (!hf_ok(st))
        hf_warn("store the API addresses of the control nodes: %s", hf_status_message(st));
}

void hf_api_store_addresses(struct hf_api *api)
{
    struct hf_command cmd = {.build = build_addresses, .done = addresses_stored, .arg = api};
    api->calls++; /* the API lives until it is done */
    hf_command_run(api->control, &cmd);
}

static bool is_host_port(const char *s)
{
    const char *colon = strrchr(s, ':');
    return colon != NULL && colon != s && strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
           atoi(colon + 1) > 0 && atoi(colon + 1) < 65536;
}

void hf_handle_add_control_node(struct hf_api_call *c)
{
    const Holdfast__V1__ControlNodeRequest *r = node_request(c);
    if (r->id == 0 || !is_host_port(r->raft_address) || !is_host_port(r->api_address)) {
        hf_call_end(c, hf_error(HF_INVALID,
                                "add control node %llu: give its id (not 0), raft_address and api_address as "
                                "host:port",
                                (unsigned long long)r->id));
        return;
    }
    c->data = c; /* adding */
    struct hf_command cmd = {.build = build_node_address, .done = address_added, .arg = c};
    hf_command_run(c->api->control, &cmd);
}

void hf_handle_remove_control_node(struct hf_api_call *c)
{
    const struct hf_api_plugs *p = &c->api->plugs;
    struct hf_replica_state state;
    hf_replica_state(c->api->control->replica, &state);
    if (state.role != HF_ROLE_LEADER || !state.ready)
        hf_call_end(c, hf_error(HF_NOT_LEADER, "this control node does not lead"));
    else
        p->members->remove(p->members_arg, node_request(c)->id, member_removed, c);
}
