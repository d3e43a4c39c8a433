/* Fencing by blocklist through a whole control plane with scripted hosts (cloud_testing.h) and Ceph clusters
 * that the test plays, in virtual time. Profile "default": contact 5 s, 2R 3 s, L+K 10.5 s, T 20.2 s. That no
 * two copies of an instance that can write are there is checked at every step.
 */
#include "control/cloud_testing.h"

#include <jansson.h>

#include "control/assignment_set.h"
#include "control/blocklist.h"
#include "control/ceph_runner.h"
#include "control/controllers_state.h"
#include "control/fence_confirm.h"
#include "control/fence_object.h"
#include "control/ha_blocklist.h"
#include "control/ha_plan.h"
#include "control/settings.h"
#include "ha/ha_timing.h"

#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define LIST(name)  HF_BLOCKLIST_STATE(name)
#define KIND(name)  HOLDFAST__V1__KIND__##name
#define SECOND      "50000000000000000000000000000004"
#define ASK_MS      100
#define ENTRIES_MAX 32

/* What a cluster does with the next commands. */
enum script {
    WORKS,
    FAILS,  /* refuses */
    LOSES,  /* carries out, does not answer */
    LATER,  /* the same, at the asker's deadline */
    HANGS,  /* neither */
    EMPTIED /* answers what is no answer */
};

struct fake_cluster {
    enum script fence, unfence;
    char entries[ENTRIES_MAX][40];
    size_t n;
    unsigned epoch, fences, unfences;
    unsigned removing; /* removals that were begun and may still act */
};

struct scene {
    struct hf_ceph_runner runner;
    struct cloud *cloud;
    struct fake_cluster clusters[2]; /* of SHARED and SECOND */
    char last[4096];                 /* question to "fence" */
    bool add_while_removing, removed_unlogged, added_unlogged, removal_without_end;
};

struct question {
    struct scene *s;
    struct fake_cluster *cluster;
    json_t *text;
    enum script script;
    hf_ceph_answered answered;
    void *arg;
    struct hf_timer timer, late;
    bool said;
};

/* --- the clusters --- */

static const char *member(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text ? text : "";
}

static bool listed(const struct fake_cluster *f, const char *entry)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->entries[i], entry) == 0)
            return true;
    return false;
}

static void add(struct fake_cluster *f, const char *entry)
{
    if (listed(f, entry))
        return;
    assert_true(f->n < ENTRIES_MAX);
    snprintf(f->entries[f->n++], sizeof f->entries[0], "%s", entry);
}

static void take_off(struct fake_cluster *f, const char *entry)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->entries[i], entry) == 0)
            memmove(f->entries[i], f->entries[--f->n], sizeof f->entries[i]);
}

/* What a copy writes is refused by the cluster of SHARED, where all of them lie. */
static void cut_off(struct scene *s)
{
    for (unsigned i = 0; i < s->cloud->n_hosts; i++) {
        struct fake_host *h = &s->cloud->hosts[i];
        char entry[40];
        snprintf(entry, sizeof entry, "%s:0/0", h->client_address);
        h->cut_off = listed(&s->clusters[0], entry);
        s->cloud->copies_changed = true;
    }
}

/* Nobody knows where the host is seen: its record does. */
static void read_record(struct scene *s, json_t *q)
{
    json_t *addresses = json_object_get(q, "addresses");
    for (unsigned i = 0; i < s->cloud->n_hosts && json_array_size(addresses) == 0; i++)
        if (strstr(member(json_object_get(q, "record"), "object"), s->cloud->hosts[i].uuid))
            json_array_append_new(addresses, json_string(s->cloud->hosts[i].client_address));
}

static bool in_list(const json_t *list, const char *text)
{
    const json_t *at;
    size_t i;
    bool found = false;
    json_array_foreach(list, i, at) found |= strcmp(json_string_value(at), text) == 0;
    return found;
}

static bool is_shared(const json_t *q)
{
    const json_t *at;
    size_t i;
    bool shared = false;
    json_array_foreach(json_object_get(q, "addresses"), i, at) shared |=
        in_list(json_object_get(q, "others"), json_string_value(at));
    return shared;
}

static void carry_out(struct question *q)
{
    const json_t *at;
    size_t i;
    char entry[40];
    bool shared = is_shared(q->text);
    q->cluster->epoch++;
    json_array_foreach(json_object_get(q->text, "addresses"), i, at)
    {
        snprintf(entry, sizeof entry, "%s:0/%d", json_string_value(at), shared ? 77 : 0);
        add(q->cluster, entry);
    }
    json_array_foreach(json_object_get(q->text, "entries"), i, at)
        take_off(q->cluster, json_string_value(at));
    cut_off(q->s);
}

static char *answer_of(const struct question *q)
{
    if (q->script == EMPTIED)
        return hf_strdup("{}");
    json_t *o = json_object(), *entries = json_array();
    bool shared = is_shared(q->text);
    const json_t *at;
    size_t i;
    json_array_foreach(json_object_get(q->text, "addresses"), i, at)
    {
        char entry[40];
        snprintf(entry, sizeof entry, "%s:0/%d", json_string_value(at), shared ? 77 : 0);
        json_array_append_new(entries, json_string(entry));
    }
    json_object_set_new(o, "entries", entries);
    json_object_set_new(o, "by_clients", json_boolean(shared));
    json_object_set_new(o, "shared_with", json_string(shared ? "another host" : ""));
    json_object_set_new(o, "osdmap_epoch", json_integer(q->cluster->epoch));
    json_object_set_new(o, "fsid", json_string(member(q->text, "fsid")));
    json_object_set_new(o, "health", json_string("HEALTH_OK"));
    json_object_set_new(o, "health_message", json_string(""));
    json_object_set_new(o, "keys", json_array());
    char *text = json_dumps(o, 0);
    json_decref(o);
    return text;
}

static bool is_removal(const struct question *q)
{
    return strcmp(member(q->text, "verb"), "unfence") == 0;
}

static void question_free(struct question *q)
{
    if (is_removal(q))
        q->cluster->removing--;
    json_decref(q->text);
    free(q);
}

static void say(void *arg)
{
    struct question *q = arg;
    bool in_time = q->script == WORKS || q->script == EMPTIED;
    if (in_time)
        carry_out(q);
    char *text = in_time ? answer_of(q) : NULL;
    hf_status st = in_time              ? HF_STATUS_OK
                   : q->script == FAILS ? hf_error(HF_UNAVAILABLE, "no monitor at 10.0.0.1 answers")
                                        : hf_error(HF_TIMEOUT, "no answer by its deadline");
    q->said = true;
    q->answered(q->arg, st, text);
    hf_status_drop(st);
    free(text);
    if (!hf_timer_running(&q->late))
        question_free(q);
}

static void act_late(void *arg)
{
    struct question *q = arg;
    carry_out(q);
    if (q->said)
        question_free(q);
}

/* A cluster is asked for what the log wants, and for nothing else. */
static void check_logged(struct scene *s, const json_t *q, const char *storage)
{
    const char *object = member(json_object_get(q, "record"), "object");
    bool removal = strcmp(member(q, "verb"), "unfence") == 0, found = false;
    for (unsigned i = 0; i < s->cloud->n_hosts; i++)
        for (uint64_t epoch = 1; epoch < 8; epoch++) {
            Holdfast__V1__Fence *f = hf_fence_find(leader_store(s->cloud), s->cloud->hosts[i].uuid, epoch);
            const Holdfast__V1__Fence__Blocklist *b = hf_blocklist_find(f, storage);
            if (b && removal)
                found |= b->state == LIST(REMOVING);
            else if (b)
                found |= strstr(object, s->cloud->hosts[i].uuid) != NULL &&
                         (b->state == LIST(WANTED) || b->state == LIST(ADDED));
            free_message(f);
        }
    s->removed_unlogged |= removal && !found;
    s->added_unlogged |= !removal && !found;
}

static void ask(struct hf_ceph_runner *r, const char *text, unsigned timeout_ms, hf_ceph_answered answered,
                void *arg)
{
    struct scene *s = hf_container_of(r, struct scene, runner);
    struct question *q = HF_NEW(struct question);
    struct hf_env *env = s->cloud->controls[0].env;
    *q = (struct question){.s = s, .text = json_loads(text, 0, NULL), .answered = answered, .arg = arg};
    assert_non_null(q->text);
    bool second =
        strcmp(json_string_value(json_array_get(json_object_get(q->text, "monitors"), 0)), "10.0.0.2") == 0;
    bool fence = strcmp(member(q->text, "verb"), "fence") == 0, removal = is_removal(q);
    q->cluster = &s->clusters[second];
    q->script = fence ? q->cluster->fence : removal ? q->cluster->unfence : WORKS;
    q->cluster->fences += fence;
    q->cluster->unfences += removal;
    s->add_while_removing |= fence && q->cluster->removing > 0;
    q->cluster->removing += removal;
    if (fence)
        snprintf(s->last, sizeof s->last, "%s", text);
    if (fence)
        read_record(s, q->text);
    if (removal) {
        int64_t left_ms = json_integer_value(json_object_get(q->text, "until_ms")) - hf_env_now_ms(env);
        s->removal_without_end |= left_ms <= 0 || left_ms > HF_BLOCK_BARRIER_MS + HF_BLOCK_ASK_MS;
    }
    if (fence || removal)
        check_logged(s, q->text, second ? SECOND : SHARED);
    if (q->script == LOSES)
        hf_timer_start(env, &q->late, ASK_MS, act_late, q);
    if (q->script == LATER)
        hf_timer_start(env, &q->late, timeout_ms + 20000, act_late, q);
    bool hangs = q->script == LOSES || q->script == LATER || q->script == HANGS;
    hf_timer_start(env, &q->timer, hangs ? timeout_ms : ASK_MS, say, q);
}

static const struct hf_ceph_runner_ops ops = {.ask = ask};

/* --- the scene: vm-1 (NeverStop) on host-1, its disk on Ceph --- */

static void put_ceph(struct cloud *c, const char *uuid, const char *name, const char *monitor)
{
    char fsid[40];
    snprintf(fsid, sizeof fsid, "fsid-of-%s", monitor);
    Holdfast__V1__CephCluster ceph = HOLDFAST__V1__CEPH_CLUSTER__INIT;
    ceph.cephx_off = true;
    ceph.fsid = fsid;
    ceph.image_pool = "images";
    ceph.root_pool = "roots";
    ceph.data_pool = "datas";
    cloud_put_ceph(c, uuid, name, monitor, &ceph);
}

static void put_on_disk(struct scene *s, Holdfast__V1__Takeover takeover, const char *second)
{
    char uuid[HF_UUID_STR];
    instance_uuid(1, uuid);
    Holdfast__V1__Instance *i = cloud_get(s->cloud, KIND(INSTANCE), uuid);
    i->spec->takeover = takeover;
    if (second != NULL) {
        i->spec->storage_uuids = hf_realloc_array(i->spec->storage_uuids, 2, sizeof *i->spec->storage_uuids);
        i->spec->storage_uuids[i->spec->n_storage_uuids++] = hf_strdup(second);
    }
    assert_int_equal(cloud_put(s->cloud, &i->base), HF_OK);
    free_message(i);
}

static int setup(void **state)
{
    struct scene *s = HF_NEW(struct scene);
    s->cloud = cloud_ready(3);
    s->runner.ops = &ops;
    for (unsigned i = 0; i < MEMBERS; i++)
        s->cloud->controls[i].ceph = &s->runner;
    for (unsigned i = 0; i < s->cloud->n_hosts; i++)
        snprintf(s->cloud->hosts[i].client_address, sizeof s->cloud->hosts[i].client_address, "10.1.0.%u",
                 i + 1);
    put_ceph(s->cloud, SHARED, "ceph-1", "10.0.0.1");
    cloud_run(s->cloud, 2000);
    for (unsigned i = 0; i < s->cloud->n_hosts; i++)
        host_drop_stream(&s->cloud->hosts[i]);
    cloud_run(s->cloud, 3000);
    *state = s;
    return 0;
}

/* Not at once, so that a test may attach another storage first. */
static void begin(struct scene *s, Holdfast__V1__Takeover takeover, const char *second)
{
    cloud_put_instance(s->cloud, 1, &(struct instance_wish){.never_stop = true, .stopped = true});
    put_on_disk(s, takeover, second);
    cloud_set_power(s->cloud, 1, HOLDFAST__V1__POWER_STATE__POWER_RUNNING, NULL);
    assert_true(wait_state(s->cloud, 1, STATE(RUNNING), 8000));
    assert_int_equal(instance_host(s->cloud, 1), 0);
}

static int teardown(void **state)
{
    struct scene *s = *state;
    assert_false(s->removed_unlogged || s->added_unlogged || s->add_while_removing || s->removal_without_end);
    for (unsigned i = 0; i < 2; i++)
        s->clusters[i].fence = s->clusters[i].unfence = WORKS;
    cloud_run(s->cloud, 40000); /* what is under way ends */
    cloud_free(s->cloud);
    free(s);
    return 0;
}

#define WRITE_FENCED HOLDFAST__V1__TAKEOVER__WRITE_FENCED
#define STRICT       HOLDFAST__V1__TAKEOVER__STRICT

static Holdfast__V1__Fence *fence(struct scene *s, uint64_t epoch)
{
    return hf_fence_find(leader_store(s->cloud), s->cloud->hosts[0].uuid, epoch);
}

static int list_state(struct scene *s, uint64_t epoch, const char *storage)
{
    Holdfast__V1__Fence *f = fence(s, epoch);
    const Holdfast__V1__Fence__Blocklist *b = hf_blocklist_find(f, storage);
    int state = b ? (int)b->state : 0;
    free_message(f);
    return state;
}

static bool wait_list(struct scene *s, uint64_t epoch, int state, int64_t ms)
{
    for (int64_t end = s->cloud->clock_ms + ms; s->cloud->clock_ms < end; cloud_run(s->cloud, 50))
        if (list_state(s, epoch, SHARED) == state)
            return true;
    return false;
}

static bool has_evidence(struct scene *s, uint64_t epoch, int kind)
{
    Holdfast__V1__Fence *f = fence(s, epoch);
    bool found = false;
    for (size_t i = 0; f && i < f->n_evidence; i++)
        found |= (int)f->evidence[i]->kind == kind;
    free_message(f);
    return found;
}
#define EVIDENCE(name) HOLDFAST__V1__EVIDENCE__KIND__##name

static bool host_says(struct cloud *c, unsigned host, const char *part)
{
    bool says = false;
    Holdfast__V1__Host *h = cloud_get(c, KIND(HOST), c->hosts[host].uuid);
    for (size_t i = 0; i < h->status->n_conditions; i++)
        says |= strstr(h->status->conditions[i]->message, part) != NULL;
    for (size_t i = 0; !says && i < h->status->n_conditions; i++)
        print_message("host says: %s\n", h->status->conditions[i]->message);
    free_message(h);
    return says;
}

/* Until vm-1 runs elsewhere, at most ms. */
static bool wait_moved(struct scene *s, int64_t ms)
{
    struct cloud *c = s->cloud;
    for (int64_t end = c->clock_ms + ms; c->clock_ms < end;) {
        cloud_run(c, 50);
        if (instance_run(c, 1) == 2 && instance_state(c, 1) == STATE(RUNNING))
            return instance_host(c, 1) > 0;
    }
    return false;
}

/* It stands still and would go on if somebody woke it. */
static void freeze(struct scene *s)
{
    host_hang(&s->cloud->hosts[0]);
    s->cloud->hosts[0].silent_since_ms = INT64_MAX / 2;
}

/* Told of the storage: it may open it. */
static bool is_assigned(struct scene *s)
{
    struct hf_assignment_set set;
    hf_assignment_set_build(&set, leader_control(s->cloud)->controllers->world, leader_store(s->cloud),
                            s->cloud->hosts[0].uuid, host_epoch(s->cloud, 0));
    bool found = hf_assignment_set_find(&set, false, SHARED) != NULL;
    hf_assignment_set_done(&set);
    return found;
}

static bool wait_epoch(struct scene *s, uint64_t epoch, int64_t ms)
{
    for (int64_t end = s->cloud->clock_ms + ms; s->cloud->clock_ms < end; cloud_run(s->cloud, 50))
        if (host_epoch(s->cloud, 0) == epoch)
            return true;
    return false;
}

/* --- who leaves when --- */

static void write_fenced_leaves_once_it_cannot_write(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    begin(s, WRITE_FENCED, NULL);
    int64_t cut = c->clock_ms;
    freeze(s); /* it runs on: nothing but the blocklist holds it off */
    assert_true(wait_moved(s, 20000));
    assert_true(c->clock_ms - cut <= 8000);
    assert_true(c->hosts[0].cut_off);
    Holdfast__V1__Fence *f = fence(s, 1);
    assert_int_equal(f->n_evidence, 1);
    assert_int_equal(f->evidence[0]->kind, EVIDENCE(BLOCKLIST));
    assert_string_equal(f->evidence[0]->addresses[0], "10.1.0.1:0/0");
    assert_true(f->evidence[0]->osdmap_epoch > 0 &&
                f->evidence[0]->osdmap_epoch == f->blocklists[0]->osdmap_epoch);
    assert_int_equal(f->blocklists[0]->state, LIST(ADDED));
    assert_true(f->blocklists[0]->added_at_ms >= f->blocklists[0]->wanted_at_ms);
    free_message(f);
    assert_non_null(strstr(s->last, "\"10.1.0.2\"")); /* the others are told */
}

static void the_cluster_chooses_for_its_instances(void **state)
{
    struct scene *s = *state;
    Holdfast__V1__Cluster *cl = cloud_get(s->cloud, KIND(CLUSTER), CLUSTER);
    cl->spec->takeover = WRITE_FENCED;
    assert_int_equal(cloud_put(s->cloud, &cl->base), HF_OK);
    free_message(cl);
    begin(s, HOLDFAST__V1__TAKEOVER__TAKEOVER_UNSPECIFIED, NULL);
    int64_t cut = s->cloud->clock_ms;
    freeze(s);
    assert_true(wait_moved(s, 20000));
    assert_true(s->cloud->clock_ms - cut <= 8000);
}

static void strict_waits_for_the_proof(void **state)
{
    struct scene *s = *state;
    const struct hf_ha_timing *t = hf_ha_timing_find("default");
    begin(s, STRICT, NULL);
    int64_t cut = s->cloud->clock_ms;
    host_power_off(&s->cloud->hosts[0]);
    assert_true(wait_moved(s, 40000));
    assert_true(s->cloud->clock_ms - cut >= t->silence_ms);
    assert_true(has_evidence(s, 1, EVIDENCE(SILENCE)) && has_evidence(s, 1, EVIDENCE(BLOCKLIST)));
}

static void strict_waits_for_the_blocklist_too(void **state)
{
    struct scene *s = *state;
    begin(s, STRICT, NULL);
    s->clusters[0].fence = FAILS;
    host_power_off(&s->cloud->hosts[0]);
    cloud_run(s->cloud, 60000);
    assert_true(has_evidence(s, 1, EVIDENCE(SILENCE)));
    assert_int_equal(instance_run(s->cloud, 1), 1);
    assert_true(host_says(s->cloud, 0, "not on the blocklist of 'ceph-1': no monitor at 10.0.0.1"));
    s->clusters[0].fence = WORKS;
    assert_true(wait_moved(s, HF_BLOCK_RETRY_MAX_MS + 5000));
}

static void applied(void *arg, hf_status st, const struct hf_txn_result *res)
{
    (void)arg;
    (void)res;
    assert_true(hf_ok(st));
}

static void confirm_down(struct cloud *c)
{
    struct hf_txn *t = hf_txn_create(NULL, 0);
    hf_status st = hf_fence_confirm_down(leader_control(c), leader_store(c), t, c->hosts[0].uuid, 0,
                                         "I pulled the plug");
    assert_true(hf_ok(st));
    hf_replica_submit(leader_control(c)->replica, t, applied, NULL);
    cloud_run(c, 500);
}

static void a_persons_word_needs_no_blocklist(void **state)
{
    struct scene *s = *state;
    begin(s, STRICT, NULL);
    s->clusters[0].fence = FAILS;
    host_power_off(&s->cloud->hosts[0]);
    cloud_run(s->cloud, 12000);
    confirm_down(s->cloud);
    assert_true(wait_moved(s, 5000));
    unsigned asked = s->clusters[0].fences;
    cloud_run(s->cloud, 70000);
    assert_int_equal(s->clusters[0].fences, asked); /* and nobody asks any more */
}

static void without_its_program_a_node_says_so(void **state)
{
    struct scene *s = *state;
    begin(s, STRICT, NULL);
    for (unsigned i = 0; i < MEMBERS; i++)
        s->cloud->controls[i].ceph = NULL;
    host_power_off(&s->cloud->hosts[0]);
    cloud_run(s->cloud, 40000);
    assert_int_equal(instance_run(s->cloud, 1), 1);
    assert_true(host_says(s->cloud, 0, "hf-ceph is missing"));
}

static void a_lost_answer_is_asked_for_again(void **state)
{
    struct scene *s = *state;
    begin(s, WRITE_FENCED, NULL);
    s->clusters[0].fence = LOSES;
    freeze(s);
    cloud_run(s->cloud, 15000);
    assert_true(s->cloud->hosts[0].cut_off); /* it happened, and nobody knows */
    assert_int_equal(instance_run(s->cloud, 1), 1);
    assert_int_equal(list_state(s, 1, SHARED), LIST(WANTED));
    s->clusters[0].fence = EMPTIED;
    cloud_run(s->cloud, 12000);
    assert_int_equal(instance_run(s->cloud, 1), 1);
    s->clusters[0].fence = WORKS;
    assert_true(wait_moved(s, 20000));
}

static void the_next_leader_goes_on(void **state)
{
    struct scene *s = *state;
    begin(s, WRITE_FENCED, NULL);
    s->clusters[0].fence = HANGS;
    freeze(s);
    assert_true(wait_list(s, 1, LIST(WANTED), 12000));
    cloud_run(s->cloud, 500);
    assert_int_equal(s->clusters[0].fences, 1);
    s->clusters[0].fence = WORKS;
    cloud_new_leader(s->cloud);
    assert_true(wait_moved(s, 20000));
}

static void single_clients_are_waited_for_as_strict(void **state)
{
    struct scene *s = *state;
    const struct hf_ha_timing *t = hf_ha_timing_find("default");
    snprintf(s->cloud->hosts[1].client_address, sizeof s->cloud->hosts[1].client_address, "10.1.0.1");
    host_drop_stream(&s->cloud->hosts[1]);
    cloud_run(s->cloud, 3000);
    begin(s, WRITE_FENCED, NULL);
    int64_t cut = s->cloud->clock_ms;
    host_power_off(&s->cloud->hosts[0]);
    assert_true(wait_list(s, 1, LIST(ADDED), 10000));
    assert_false(has_evidence(s, 1, EVIDENCE(BLOCKLIST)));
    cloud_run(s->cloud, HF_HA_NOTE_MS + 1000);
    assert_true(host_says(s->cloud, 0, "shared with another host: write-fenced instances wait as strict"));
    assert_true(wait_moved(s, 40000));
    assert_true(s->cloud->clock_ms - cut >= t->silence_ms);
    assert_false(s->cloud->hosts[1].cut_off); /* the other one of that address goes on */
    Holdfast__V1__Fence *f = fence(s, 1);
    assert_true(f->blocklists[0]->by_clients);
    assert_string_equal(f->blocklists[0]->shared_with, "another host");
    free_message(f);
}

/* A control node lives on the host's address: as a whole that must stay open. */
static void a_control_node_of_that_address_goes_on(void **state)
{
    struct scene *s = *state;
    Holdfast__V1__GlobalSetting node = HOLDFAST__V1__GLOBAL_SETTING__INIT;
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    meta.uuid = (char *)"c0000000000000000000000000000002";
    meta.name = (char *)HF_SETTING_NODE_PREFIX "2";
    node.meta = &meta;
    node.value = (char *)"10.1.0.1:7480";
    assert_int_equal(cloud_put(s->cloud, &node.base), HF_OK);
    begin(s, WRITE_FENCED, NULL);
    host_power_off(&s->cloud->hosts[0]);
    assert_true(wait_list(s, 1, LIST(ADDED), 10000));
    assert_false(has_evidence(s, 1, EVIDENCE(BLOCKLIST)));
    assert_true(wait_moved(s, 40000));
    Holdfast__V1__Fence *f = fence(s, 1);
    assert_true(f->blocklists[0]->by_clients);
    assert_string_equal(f->blocklists[0]->entries[0], "10.1.0.1:0/77");
    free_message(f);
    /* It is back: a whole entry of an answer that was lost goes; what a killed client sent may yet come. */
    add(&s->clusters[0], "10.1.0.1:0/0");
    host_power_on(&s->cloud->hosts[0]);
    assert_true(wait_list(s, 1, LIST(REMOVED), HF_BLOCK_LATE_MS + 10000));
    assert_false(listed(&s->clusters[0], "10.1.0.1:0/0"));
    assert_true(listed(&s->clusters[0], "10.1.0.1:0/77"));
}

/* --- two storages --- */

static void attach_second(struct scene *s, const char *uuid)
{
    Holdfast__V1__Cluster *cl = cloud_get(s->cloud, KIND(CLUSTER), CLUSTER);
    size_t n = cl->spec->n_primary_storage_uuids;
    cl->spec->primary_storage_uuids =
        hf_realloc_array(cl->spec->primary_storage_uuids, n + 1, sizeof *cl->spec->primary_storage_uuids);
    cl->spec->primary_storage_uuids[cl->spec->n_primary_storage_uuids++] = hf_strdup(uuid);
    assert_int_equal(cloud_put(s->cloud, &cl->base), HF_OK);
    free_message(cl);
    s->cloud->second = uuid;
    cloud_run(s->cloud, 4000);
}

static void every_cluster_must_refuse_it(void **state)
{
    struct scene *s = *state;
    put_ceph(s->cloud, SECOND, "ceph-2", "10.0.0.2");
    attach_second(s, SECOND);
    begin(s, WRITE_FENCED, SECOND);
    s->clusters[1].fence = FAILS;
    freeze(s);
    cloud_run(s->cloud, 12000);
    assert_int_equal(list_state(s, 1, SHARED), LIST(ADDED));
    assert_int_equal(list_state(s, 1, SECOND), LIST(WANTED));
    assert_int_equal(instance_run(s->cloud, 1), 1);
    s->clusters[1].fence = WORKS;
    assert_true(wait_moved(s, 12000));
}

static void a_disk_on_files_keeps_it_strict(void **state)
{
    struct scene *s = *state;
    const struct hf_ha_timing *t = hf_ha_timing_find("default");
    Holdfast__V1__Meta meta = meta_of(SECOND, "files");
    Holdfast__V1__PrimaryStorageSpec spec = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__INIT;
    Holdfast__V1__PrimaryStorage ps = HOLDFAST__V1__PRIMARY_STORAGE__INIT;
    spec.type = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__SHARED_MOUNT_POINT;
    spec.zone_uuid = (char *)ZONE;
    spec.path = "/files";
    ps.meta = &meta;
    ps.spec = &spec;
    assert_int_equal(cloud_put(s->cloud, &ps.base), HF_OK);
    attach_second(s, SECOND);
    begin(s, WRITE_FENCED, SECOND);
    int64_t cut = s->cloud->clock_ms;
    host_power_off(&s->cloud->hosts[0]);
    assert_true(wait_moved(s, 40000));
    assert_true(s->cloud->clock_ms - cut >= t->silence_ms);
    assert_int_equal(list_state(s, 1, SHARED), LIST(ADDED));
    assert_int_equal(list_state(s, 1, SECOND), 0);
}

/* --- it stays, and goes --- */

static void it_is_renewed_until_the_life_is_over(void **state)
{
    struct scene *s = *state;
    begin(s, WRITE_FENCED, NULL);
    s->cloud->hosts[0].watchdog = "none";
    host_drop_stream(&s->cloud->hosts[0]);
    cloud_run(s->cloud, 3000);
    host_power_off(&s->cloud->hosts[0]);
    assert_true(wait_moved(s, 20000));
    take_off(&s->clusters[0], "10.1.0.1:0/0"); /* by somebody else */
    cloud_run(s->cloud, HF_BLOCK_RENEW_MS + 1000);
    assert_true(listed(&s->clusters[0], "10.1.0.1:0/0"));
    unsigned asked = s->clusters[0].fences;
    confirm_down(s->cloud);
    cloud_run(s->cloud, 2 * HF_BLOCK_RENEW_MS);
    assert_int_equal(s->clusters[0].fences, asked);
    assert_true(listed(&s->clusters[0], "10.1.0.1:0/0"));
}

static void a_host_that_lives_again_is_taken_off(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    begin(s, WRITE_FENCED, NULL);
    host_power_off(&c->hosts[0]);
    assert_true(wait_moved(s, 20000));
    s->clusters[0].unfence = FAILS;
    host_power_on(&c->hosts[0]);
    assert_true(wait_epoch(s, 2, 5000));
    assert_true(wait_list(s, 1, LIST(REMOVING), 5000));
    cloud_run(c, 2000);
    assert_false(is_assigned(s));
    assert_true(host_says(c, 0, "'ceph-1' is not its own again"));
    Holdfast__V1__Host *h = cloud_get(c, KIND(HOST), c->hosts[0].uuid);
    assert_int_equal(h->status->n_storage_blocks, 1);
    assert_int_equal(h->status->storage_blocks[0]->epoch, 1);
    free_message(h);
    assert_true(listed(&s->clusters[0], "10.1.0.1:0/0"));
    s->clusters[0].unfence = WORKS;
    assert_true(wait_list(s, 1, LIST(REMOVED), HF_BLOCK_LATE_MS + 10000));
    assert_false(listed(&s->clusters[0], "10.1.0.1:0/0"));
    cloud_run(c, 1000);
    assert_true(is_assigned(s));
    h = cloud_get(c, KIND(HOST), c->hosts[0].uuid);
    assert_int_equal(h->status->n_storage_blocks, 0);
    free_message(h);
    assert_int_equal(instance_run(c, 1), 2);
}

/* The host is back in its old life: its stream, nothing more. */
static void a_host_in_the_fenced_life_stays_on(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    begin(s, WRITE_FENCED, NULL);
    freeze(s);
    assert_true(wait_moved(s, 20000));
    unsigned asked = s->clusters[0].unfences;
    c->hosts[0].silent = false; /* it goes on where it stood, and is told of its end */
    cloud_run(c, 300);
    assert_int_equal(s->clusters[0].unfences, asked);
    assert_true(wait_epoch(s, 2, 10000));
    assert_true(wait_list(s, 1, LIST(REMOVED), 10000));
    assert_int_equal(instance_run(c, 1), 2);
}

static void one_that_is_back_before_the_answer_is_added_first(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    begin(s, WRITE_FENCED, NULL);
    s->clusters[0].fence = LATER; /* carried out long after it was given up */
    host_power_off(&c->hosts[0]);
    assert_true(wait_list(s, 1, LIST(WANTED), 12000));
    host_power_on(&c->hosts[0]);
    assert_true(wait_epoch(s, 2, 8000));
    cloud_run(c, 1000);
    assert_false(is_assigned(s));
    assert_int_equal(s->clusters[0].unfences, 0);
    s->clusters[0].fence = WORKS;
    assert_true(wait_list(s, 1, LIST(REMOVED), 120000));
    cloud_run(c, 60000);
    assert_false(listed(&s->clusters[0], "10.1.0.1:0/0")); /* nothing came behind it */
    assert_true(is_assigned(s));
}

/* FENCING-REVIEW's H3: a removal that acts late must not undo the next fence. */
static void a_late_removal_undoes_nothing(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    begin(s, WRITE_FENCED, NULL);
    host_power_off(&c->hosts[0]);
    assert_true(wait_moved(s, 20000));
    s->clusters[0].unfence = LATER;
    host_power_on(&c->hosts[0]);
    assert_true(wait_list(s, 1, LIST(REMOVING), 10000));
    cloud_run(c, 2000);
    assert_int_equal(s->clusters[0].unfences, 1);
    host_power_off(&c->hosts[0]);
    cloud_new_leader(c);
    s->clusters[0].unfence = WORKS;
    cloud_run(c, 120000);
    assert_int_equal(host_epoch(c, 0), 2);
    assert_int_equal(s->clusters[0].unfences, 1);
    host_power_on(&c->hosts[0]);
    assert_true(wait_epoch(s, 3, 10000));
    assert_true(wait_list(s, 1, LIST(REMOVED), 120000));
    assert_false(listed(&s->clusters[0], "10.1.0.1:0/0"));
}

static void a_removal_is_gone_on_with_by_the_next_leader(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    begin(s, WRITE_FENCED, NULL);
    host_power_off(&c->hosts[0]);
    assert_true(wait_moved(s, 20000));
    s->clusters[0].unfence = LOSES;
    host_power_on(&c->hosts[0]);
    assert_true(wait_list(s, 1, LIST(REMOVING), 10000));
    cloud_run(c, 500);
    s->clusters[0].unfence = WORKS;
    cloud_new_leader(c);
    int64_t since = c->clock_ms;
    assert_true(wait_list(s, 1, LIST(REMOVED), 120000));
    assert_true(c->clock_ms - since >= HF_BLOCK_ASK_MS + HF_BLOCK_LATE_MS);
    assert_int_equal(s->clusters[0].unfences, 2);
}

/* The storage goes away meanwhile: nobody is left to ask. */
static void a_storage_that_is_gone_holds_nobody(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    put_ceph(c, SECOND, "ceph-2", "10.0.0.2");
    attach_second(s, SECOND);
    begin(s, WRITE_FENCED, NULL);
    s->clusters[1].fence = FAILS;
    host_power_off(&c->hosts[0]);
    assert_true(wait_moved(s, 20000));
    assert_int_equal(list_state(s, 1, SECOND), LIST(WANTED));
    host_power_on(&c->hosts[0]);
    assert_true(wait_list(s, 1, LIST(REMOVED), 60000));
    Holdfast__V1__Cluster *cl = cloud_get(c, KIND(CLUSTER), CLUSTER);
    free(cl->spec->primary_storage_uuids[--cl->spec->n_primary_storage_uuids]);
    assert_int_equal(cloud_put(c, &cl->base), HF_OK);
    free_message(cl);
    s->cloud->second = NULL;
    assert_int_equal(cloud_delete(c, KIND(PRIMARY_STORAGE), SECOND), HF_OK);
    cloud_run(c, 2000);
    assert_int_equal(list_state(s, 1, SECOND), LIST(REMOVED));
}

/* Addresses of one life; the next has others. */
static void addresses_belong_to_a_life(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    Holdfast__V1__Host *h = cloud_get(c, KIND(HOST), c->hosts[0].uuid);
    const Holdfast__V1__HostStatus__StorageClients *seen = hf_storage_clients(h->status, SHARED);
    assert_non_null(seen);
    assert_int_equal(seen->n_addresses, 1);
    free_message(h);
    snprintf(c->hosts[0].client_address, sizeof c->hosts[0].client_address, "10.1.0.9");
    host_drop_stream(&c->hosts[0]);
    cloud_run(c, 3000);
    h = cloud_get(c, KIND(HOST), c->hosts[0].uuid);
    assert_int_equal(hf_storage_clients(h->status, SHARED)->n_addresses, 2);
    free_message(h);
    host_power_off(&c->hosts[0]);
    host_power_on(&c->hosts[0]);
    assert_true(wait_epoch(s, 2, 10000));
    cloud_run(c, 3000);
    h = cloud_get(c, KIND(HOST), c->hosts[0].uuid);
    seen = hf_storage_clients(h->status, SHARED);
    assert_int_equal(seen->n_addresses, 1);
    assert_string_equal(seen->addresses[0], "10.1.0.9");
    free_message(h);
}

/* --- what is said of it --- */

static void plan_says(struct scene *s, const char *reason, int64_t at_most_ms, int64_t at_least_ms)
{
    char *hosts[] = {s->cloud->hosts[0].uuid};
    Holdfast__V1__PlanHostLossResponse *p = NULL;
    hf_status st = hf_ha_plan(leader_control(s->cloud)->controllers, hosts, 1, &p);
    assert_true(hf_ok(st));
    assert_int_equal(p->n_instances, 1);
    assert_int_equal(p->restarts, 1);
    if (strstr(p->instances[0]->reason, reason) == NULL)
        fail_msg("the plan says: %s", p->instances[0]->reason);
    assert_in_range(p->instances[0]->ordered_ms, at_least_ms, at_most_ms);
    holdfast__v1__plan_host_loss_response__free_unpacked(p, NULL);
}

static void the_plan_tells_what_is_waited_for(void **state)
{
    struct scene *s = *state;
    const struct hf_ha_timing *t = hf_ha_timing_find("default");
    begin(s, WRITE_FENCED, NULL);
    plan_says(s, "write-fenced: once its storages refuse", 8000, t->write_fenced_ms);
    put_on_disk(s, STRICT, NULL);
    plan_says(s, "strict: once nothing of it runs", t->takeover_ms, t->takeover_ms);
}

static void the_timeline_tells_who_did_what(void **state)
{
    static const char *const says[] = {"has the cluster of 'ceph-1' refuse the clients of host-1",
                                       "refuses 10.1.0.1:0/0 in map", "proof of blocklist",
                                       "serve the host again, whose later life is known",
                                       "serves the host again in map"};
    struct scene *s = *state;
    begin(s, WRITE_FENCED, NULL);
    host_power_off(&s->cloud->hosts[0]);
    assert_true(wait_moved(s, 20000));
    host_power_on(&s->cloud->hosts[0]);
    assert_true(wait_list(s, 1, LIST(REMOVED), 10000));
    Holdfast__V1__Fence *f = fence(s, 1);
    for (size_t k = 0; k < sizeof says / sizeof says[0]; k++) {
        bool found = false;
        for (size_t i = 0; i < f->n_timeline; i++)
            found |= strstr(f->timeline[i]->what, says[k]) != NULL &&
                     strncmp(f->timeline[i]->source, "leader (node ", 13) == 0;
        if (!found)
            fail_msg("nobody says: %s", says[k]);
    }
    free_message(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(write_fenced_leaves_once_it_cannot_write),
        TEST(the_cluster_chooses_for_its_instances),
        TEST(strict_waits_for_the_proof),
        TEST(strict_waits_for_the_blocklist_too),
        TEST(a_persons_word_needs_no_blocklist),
        TEST(without_its_program_a_node_says_so),
        TEST(a_lost_answer_is_asked_for_again),
        TEST(the_next_leader_goes_on),
        TEST(single_clients_are_waited_for_as_strict),
        TEST(a_control_node_of_that_address_goes_on),
        TEST(every_cluster_must_refuse_it),
        TEST(a_disk_on_files_keeps_it_strict),
        TEST(it_is_renewed_until_the_life_is_over),
        TEST(a_host_that_lives_again_is_taken_off),
        TEST(a_host_in_the_fenced_life_stays_on),
        TEST(one_that_is_back_before_the_answer_is_added_first),
        TEST(a_late_removal_undoes_nothing),
        TEST(a_removal_is_gone_on_with_by_the_next_leader),
        TEST(a_storage_that_is_gone_holds_nobody),
        TEST(addresses_belong_to_a_life),
        TEST(the_plan_tells_what_is_waited_for),
        TEST(the_timeline_tells_who_did_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
