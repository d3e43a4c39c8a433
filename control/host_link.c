#include "control/host_link.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "base/pb_copy.h"
#include "control/command.h"
#include "control/fence_object.h"
#include "control/host_stream.h"
#include "control/kinds.h"
#include "control/settings.h"
#include "ha/ha_timing.h"

static void consider_hello(struct hf_host_stream *s);

/* --- sending and ending --- */

static void send_message(struct hf_host_stream *s, Holdfast__V1__ControlMessage *m, uint64_t epoch)
{
    struct hf_replica_state state;
    hf_replica_state(s->link->control->replica, &state);
    m->term = state.term;
    m->host_uuid = s->host_uuid;
    m->epoch = epoch;
    s->ops->send(s->arg, m);
}

static void send_welcome(struct hf_host_stream *s, bool pending, uint64_t epoch)
{
    char *cluster = hf_cluster_id(hf_control_store(s->link->control));
    Holdfast__V1__Welcome w = HOLDFAST__V1__WELCOME__INIT;
    w.pending = pending;
    w.epoch = epoch;
    w.cluster_id = cluster;
    w.profile = (char *)hf_ha_timing_find(s->link->control->profile)->profile;
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_WELCOME;
    m.welcome = &w;
    send_message(s, &m, epoch);
    free(cluster);
}

static int64_t silent_ms(const struct hf_host_stream *s)
{
    return (hf_env_now_ns(s->link->control->env) - s->heard_ns) / HF_MS_NS;
}

static void detach(struct hf_host_stream *s, enum stream_state next)
{
    bool was_attached = s->state == STREAM_ATTACHED;
    s->state = next;
    if (s->grant != NULL)
        s->grant->stream = NULL;
    s->grant = NULL;
    if (was_attached && s->link->listening)
        s->link->events.detached(s->link->events.arg, s->host_uuid, silent_ms(s));
}

static void end_stream(struct hf_host_stream *s, hf_status take_st)
{
    if (s->state == STREAM_ENDED) {
        hf_status_drop(take_st);
        return;
    }
    detach(s, STREAM_ENDED);
    s->ops->end(s->arg, take_st);
}

/* Its epoch must end: kill all, then say hello again. */
static void send_end_epoch(struct hf_host_stream *s, uint64_t epoch)
{
    Holdfast__V1__EndEpoch e = HOLDFAST__V1__END_EPOCH__INIT;
    e.epoch = epoch;
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_END_EPOCH;
    m.end_epoch = &e;
    send_message(s, &m, 0);
    detach(s, STREAM_HELLO);
}

/* Its life is over and that is in the log: nothing more is wanted of it. */
static void send_recorded(struct hf_host_stream *s)
{
    Holdfast__V1__ShutDown d = HOLDFAST__V1__SHUT_DOWN__INIT;
    d.recorded = true;
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_SHUT_DOWN;
    m.shut_down = &d;
    send_message(s, &m, 0);
    detach(s, STREAM_HELLO);
}

/* --- hello --- */

/* A fence of the epoch that a stream lives: whatever it still runs must go. */
static void end_fenced(struct hf_host_stream *s)
{
    if (HF_MUTANT(FENCED_EPOCH_ADOPTED))
        return;
    Holdfast__V1__Fence *f = hf_fence_find(hf_control_store(s->link->control), s->host_uuid, s->epoch);
    if (f == NULL)
        return;
    holdfast__v1__fence__free_unpacked(f, NULL);
    send_end_epoch(s, s->epoch);
}

static void report_runs(struct hf_host_stream *s)
{
    for (size_t i = 0; i < s->hello->n_instances && s->state == STREAM_ATTACHED && s->link->listening; i++) {
        if (s->hello->instances[i]->epoch != s->epoch)
            continue;
        Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
        m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_INSTANCE;
        m.instance = s->hello->instances[i];
        s->link->events.report(s->link->events.arg, s->host_uuid, s->epoch, &m);
    }
}

static void granted(struct hf_host_stream *s, enum hf_grant outcome, uint64_t epoch)
{
    if (outcome == HF_GRANT_END) {
        hf_info("host %s: asked to end epoch %" PRIu64 " (something of it may still run)", s->host_uuid,
                s->hello->epoch);
        send_end_epoch(s, s->hello->epoch);
        return;
    }
    if (outcome == HF_GRANT_REST) {
        hf_info("host %s: shut down in order, epoch %" PRIu64 " is closed", s->host_uuid, s->hello->epoch);
        send_recorded(s);
        return;
    }
    s->state = STREAM_ATTACHED;
    s->epoch = epoch;
    hf_info("host %s: attached from %s, epoch %" PRIu64 " (%s)", s->host_uuid, s->peer_address, epoch,
            outcome == HF_GRANT_ADOPT ? "kept" : "new");
    send_welcome(s, false, epoch);
    if (s->link->listening)
        s->link->events.attached(s->link->events.arg, s->host_uuid, epoch);
    report_runs(s);
    if (s->state == STREAM_ATTACHED)
        end_fenced(s); /* fenced while the Hello was under way */
}

static hf_status grant_build(void *arg, const struct hf_store *store, struct hf_txn *t)
{
    struct grant *g = arg;
    return hf_grant_build(g->env, store, t, g->hello, g->leaves, &g->outcome, &g->epoch);
}

static void free_grant(struct grant *g)
{
    if (g->link != NULL) {
        struct grant **link = &g->link->grants;
        while (*link != g)
            link = &(*link)->next;
        *link = g->next;
    }
    holdfast__v1__hello__free_unpacked(g->hello, NULL);
    free(g);
}

static void grant_done(void *arg, hf_status st, const struct hf_txn_result *res)
{
    (void)res;
    struct grant *g = arg;
    struct hf_host_stream *s = g->stream;
    if (s != NULL) {
        s->grant = NULL;
        if (hf_ok(st)) {
            granted(s, g->outcome, g->epoch);
        } else if (hf_status_code(st) == HF_NOT_FOUND) {
            s->state = STREAM_HELLO; /* the host was deleted meanwhile */
            consider_hello(s);
        } else {
            end_stream(s, hf_wrap(hf_status_copy(st), "attach host %s", s->host_uuid));
        }
    }
    free_grant(g);
}

static void start_grant(struct hf_host_stream *s)
{
    struct grant *g = HF_NEW(struct grant);
    g->link = s->link;
    g->next = s->link->grants;
    s->link->grants = g;
    g->stream = s;
    g->env = s->link->control->env;
    g->hello = hf_pb_copy(&s->hello->base);
    g->leaves = s->leaves;
    s->grant = g;
    s->state = STREAM_GRANTING;
    hf_command_run(s->link->control,
                   &(struct hf_command){.build = grant_build, .done = grant_done, .arg = g});
}

/* A keeper that does not know the host's present life may be this host after a reboot, or another machine
 * with a copy of its identity: "clean" there says nothing about the first. As long as the present life shows
 * itself, no other is let in. */
static bool rivals(const struct hf_host_stream *s, const Holdfast__V1__Host *h)
{
    uint64_t epoch = h->status != NULL ? h->status->epoch : 0;
    if (epoch == 0 || hf_grant_same_life(h, s->hello))
        return false;
    struct hf_host_contact contact;
    const struct hf_host_link *l = s->link;
    bool attached =
        hf_host_link_contact(l, s->host_uuid, &contact) && contact.fresh && contact.epoch == epoch;
    return attached || (l->listening && l->events.lives(l->events.arg, s->host_uuid, epoch));
}

/* The daemon has one stream: what it had before is over. */
static void replace_older(struct hf_host_stream *s)
{
    for (struct hf_host_stream *o = s->link->streams; o != NULL; o = o->next)
        if (o != s && o->state != STREAM_ENDED && strcmp(o->host_uuid, s->host_uuid) == 0 &&
            memcmp(o->key_sha256, s->key_sha256, sizeof o->key_sha256) == 0)
            end_stream(o, hf_error(HF_CANCELLED, "host %s: replaced by a newer stream", s->host_uuid));
}

static bool key_fits(const struct hf_host_stream *s, const Holdfast__V1__Host *h)
{
    return h->spec != NULL && h->spec->key_sha256.len == sizeof s->key_sha256 &&
           memcmp(h->spec->key_sha256.data, s->key_sha256, sizeof s->key_sha256) == 0;
}

/* The host was deleted while its keeper lived an epoch: whatever it still has there must go, before it is
 * anything but a stranger. */
static bool must_end_deleted(const struct hf_host_stream *s)
{
    if (s->hello->epoch == 0 || s->hello->closed_and_killed)
        return false;
    Holdfast__V1__Fence *f = hf_fence_find(hf_control_store(s->link->control), s->host_uuid, s->hello->epoch);
    if (f == NULL)
        return false;
    holdfast__v1__fence__free_unpacked(f, NULL);
    return true;
}

static void consider_hello(struct hf_host_stream *s)
{
    Holdfast__V1__Host *h = (Holdfast__V1__Host *)(void *)hf_object_find(
        hf_control_store(s->link->control), HOLDFAST__V1__KIND__HOST, s->host_uuid, NULL);
    if (h == NULL) {
        replace_older(s);
        if (must_end_deleted(s)) {
            send_end_epoch(s, s->hello->epoch);
            return;
        }
        if (s->state != STREAM_PENDING)
            send_welcome(s, true, 0);
        detach(s, STREAM_PENDING);
        return;
    }
    bool fits = key_fits(s, h), rival = fits && rivals(s, h);
    char *name = hf_strdup(h->meta->name);
    holdfast__v1__host__free_unpacked(h, NULL);
    if (rival) {
        hf_warn("host '%s': a keeper at %s does not know its present life, which still shows itself", name,
                s->peer_address);
        end_stream(
            s, hf_error(
                   HF_UNAVAILABLE,
                   "host '%s' still lives its last epoch elsewhere: if this is the same machine, restarted, "
                   "it is "
                   "let in when that has fallen silent; if it is another one, give it an identity of its own",
                   name));
    } else if (fits) {
        replace_older(s);
        start_grant(s);
    } else {
        hf_warn("host '%s': a daemon at %s said hello with another key", name, s->peer_address);
        end_stream(s, hf_error(HF_DENIED, "host '%s' is registered with another key", name));
    }
    free(name);
}

/* The grant under way answers this Hello as well: it would grant nothing else. */
static bool same_claim(const Holdfast__V1__Hello *a, const Holdfast__V1__Hello *b)
{
    return a->epoch == b->epoch && strcmp(a->boot_id, b->boot_id) == 0 && a->clean == b->clean &&
           a->closed_and_killed == b->closed_and_killed;
}

static void take_hello(struct hf_host_stream *s, const Holdfast__V1__Hello *hello)
{
    struct hf_uuid uuid;
    struct hf_replica_state state;
    hf_replica_state(s->link->control->replica, &state);
    if (!hf_uuid_parse(hello->host_uuid, &uuid)) {
        end_stream(s, hf_error(HF_INVALID, "hello: '%.40s' is not the UUID of a host", hello->host_uuid));
        return;
    }
    if (hello->max_term > state.term) {
        end_stream(s, hf_error(HF_NOT_LEADER, "the host has heard of a newer leader (term %" PRIu64 ")",
                               hello->max_term));
        return;
    }
    char text[HF_UUID_STR];
    hf_uuid_format(&uuid, text);
    if (s->hello != NULL && strcmp(s->host_uuid, text) != 0) {
        end_stream(s, hf_error(HF_INVALID, "hello: the stream belongs to host %s", s->host_uuid));
        return;
    }
    bool answered = s->state == STREAM_GRANTING && same_claim(s->hello, hello);
    if (!answered)
        detach(s, STREAM_HELLO);
    if (s->hello != NULL)
        holdfast__v1__hello__free_unpacked(s->hello, NULL);
    else
        s->since_ms = hf_env_wall_ms(s->link->control->env);
    s->hello = hf_pb_copy(&hello->base);
    memcpy(s->host_uuid, text, sizeof text);
    SHA256(hello->secret.data, hello->secret.len, s->key_sha256);
    if (hello->management_ip[0] != '\0')
        snprintf(s->management_ip, sizeof s->management_ip, "%s", hello->management_ip);
    else
        snprintf(s->management_ip, sizeof s->management_ip, "%.*s", (int)strcspn(s->peer_address, ":"),
                 s->peer_address);
    if (!answered)
        consider_hello(s);
}

/* --- the stream --- */

struct hf_host_stream *hf_host_link_opened(struct hf_host_link *l, const struct hf_host_stream_ops *ops,
                                           void *arg, const char *peer_address, const char *peer_name)
{
    struct hf_host_stream *s = HF_NEW(struct hf_host_stream);
    s->link = l;
    s->ops = ops;
    s->arg = arg;
    s->peer_address = hf_strdup(peer_address);
    s->peer_name = hf_strdup(peer_name);
    s->heard_ns = hf_env_now_ns(l->control->env);
    struct hf_host_stream **at = &l->streams;
    while (*at != NULL)
        at = &(*at)->next;
    *at = s;
    l->n_streams++;
    return s;
}

/* Reports of an instance name the epoch they are about: another life's report proves nothing here. */
static bool about_this_epoch(const struct hf_host_stream *s, const Holdfast__V1__HostMessage *m)
{
    if (m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_INSTANCE)
        return m->instance->epoch == s->epoch;
    if (m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_LEASE)
        return m->lease->epoch == s->epoch;
    return true;
}

void hf_host_link_message(struct hf_host_stream *s, const Holdfast__V1__HostMessage *m)
{
    struct hf_host_link *l = s->link;
    if (s->state == STREAM_ENDED)
        return;
    if (!l->leading) {
        end_stream(s, hf_error(HF_NOT_LEADER, "this control node does not lead"));
        return;
    }
    if (HF_BUGGIFY(STREAM_REPLACED)) {
        end_stream(s, hf_error(HF_CANCELLED, "host %s: replaced by a newer stream", s->host_uuid));
        return;
    }
    s->heard_ns = hf_env_now_ns(l->control->env);
    if (m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO) {
        if (l->n_streams > HF_HOST_STREAMS_MAX)
            end_stream(s, hf_error(HF_EXHAUSTED, "there are %d host streams already", HF_HOST_STREAMS_MAX));
        else
            take_hello(s, m->hello);
    } else if (m->body_case == HOLDFAST__V1__HOST_MESSAGE__BODY_LEAVE && s->state != STREAM_ATTACHED) {
        s->leaves = true; /* its next Hello is answered accordingly */
    } else if (s->state == STREAM_ATTACHED && about_this_epoch(s, m) && l->listening) {
        l->events.report(l->events.arg, s->host_uuid, s->epoch, m);
    } else if (s->hello == NULL) {
        end_stream(s, hf_error(HF_INVALID, "the first message of a host must be hello"));
    }
}

const char *hf_host_link_leader(const struct hf_control *c, char *buf, size_t len)
{
    struct hf_replica_state st;
    hf_replica_state(c->replica, &st);
    if (st.leader_id == 0 || st.leader_id == st.id)
        return NULL;
    return hf_setting_node(hf_control_store(c), st.leader_id, buf, len);
}

void hf_host_link_closed(struct hf_host_stream *s)
{
    detach(s, STREAM_ENDED);
    struct hf_host_stream **at = &s->link->streams;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->link->n_streams--;
    if (s->hello != NULL)
        holdfast__v1__hello__free_unpacked(s->hello, NULL);
    free(s->peer_address);
    free(s->peer_name);
    free(s);
}

/* --- what the store tells --- */

static void watch_cb(void *arg, const struct hf_watch_event *e)
{
    struct hf_host_link *l = arg;
    char uuid[HF_UUID_STR];
    hf_uuid_format(&e->uuid, uuid);
    for (struct hf_host_stream *s = l->streams, *next; s != NULL; s = next) {
        next = s->next; /* `end` may close the stream at once */
        if (e->kind == HOLDFAST__V1__KIND__FENCE && s->state == STREAM_ATTACHED)
            end_fenced(s);
        else if (e->kind == HOLDFAST__V1__KIND__HOST && s->state == STREAM_PENDING &&
                 strcmp(s->host_uuid, uuid) == 0)
            consider_hello(s);
        else if (e->kind == HOLDFAST__V1__KIND__HOST && s->state == STREAM_ATTACHED && e->bytes == NULL &&
                 strcmp(s->host_uuid, uuid) == 0)
            end_stream(s, hf_error(HF_NOT_FOUND, "host %s was deleted", uuid));
    }
}

static void end_all(struct hf_host_link *l)
{
    for (struct hf_host_stream *s = l->streams, *next; s != NULL; s = next) {
        next = s->next;
        end_stream(s, hf_error(HF_NOT_LEADER, "this control node does not lead any more"));
    }
}

static void role_cb(void *arg, const struct hf_replica_state *st)
{
    struct hf_host_link *l = arg;
    bool leads = st->role == HF_ROLE_LEADER && st->ready;
    if (leads == l->leading)
        return;
    l->leading = leads;
    if (leads) {
        uint64_t kinds = 1ULL << HOLDFAST__V1__KIND__HOST | 1ULL << HOLDFAST__V1__KIND__FENCE;
        hf_status st2 = hf_watch_open(l->control->replica, hf_store_revision(hf_control_store(l->control)),
                                      kinds, watch_cb, NULL, l, &l->watch);
        HF_ASSERT(hf_ok(st2)); /* from the present revision on: there is no history to miss */
    } else {
        if (l->watch != NULL)
            hf_watch_close(l->watch);
        l->watch = NULL;
        end_all(l);
    }
}

struct hf_host_link *hf_host_link_create(struct hf_control *c)
{
    struct hf_host_link *l = HF_NEW(struct hf_host_link);
    l->control = c;
    hf_replica_on_role(c->replica, role_cb, l);
    struct hf_replica_state st;
    hf_replica_state(c->replica, &st);
    role_cb(l, &st);
    return l;
}

void hf_host_link_free(struct hf_host_link *l)
{
    if (l->watch != NULL)
        hf_watch_close(l->watch);
    l->listening = false;
    for (struct grant *g = l->grants; g != NULL; g = g->next) {
        g->link = NULL;
        g->stream = NULL;
    }
    HF_ASSERT(l->streams == NULL); /* the server that brought them has closed them */
    free(l);
}

/* --- the controllers' side --- */

void hf_host_link_listen(struct hf_host_link *l, const struct hf_host_link_events *events)
{
    l->listening = events != NULL;
    if (events != NULL)
        l->events = *events;
}

static struct hf_host_stream *find_attached(const struct hf_host_link *l, const char *host_uuid)
{
    for (struct hf_host_stream *s = l->streams; s != NULL; s = s->next)
        if (s->state == STREAM_ATTACHED && strcmp(s->host_uuid, host_uuid) == 0)
            return s;
    return NULL;
}

bool hf_host_link_contact(const struct hf_host_link *l, const char *host_uuid, struct hf_host_contact *ret)
{
    const struct hf_host_stream *s = find_attached(l, host_uuid);
    if (s == NULL)
        return false;
    *ret = (struct hf_host_contact){
        .attached = true,
        .fresh = silent_ms(s) <= hf_ha_timing_find(l->control->profile)->contact_ms,
        .epoch = s->epoch,
        .silent_ms = silent_ms(s),
    };
    return true;
}

bool hf_host_link_send(struct hf_host_link *l, const char *host_uuid, Holdfast__V1__ControlMessage *m)
{
    struct hf_host_stream *s = find_attached(l, host_uuid);
    if (s == NULL)
        return false;
    send_message(s, m, s->epoch);
    return true;
}
