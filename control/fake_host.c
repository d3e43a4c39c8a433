#include "base/pb_copy.h"
#include "control/cloud_testing.h"
#include "ha/ha_timing.h"

#define DIAL_EVERY_MS  500
#define LEASE_EVERY_MS 1000

static int64_t now_ms(const struct fake_host *h)
{
    return hf_env_now_ms(h->cloud->raft.env);
}

static bool alive(const struct fake_host *h)
{
    return h->up && !h->silent;
}

/* --- the stream --- */

static void send_cb(void *arg, const Holdfast__V1__ControlMessage *m)
{
    struct fake_host *h = arg;
    assert_true(h->n_inbox < INBOX_MAX);
    h->inbox[h->n_inbox++] = hf_pb_copy(&m->base);
}

static void end_cb(void *arg, hf_status st)
{
    struct fake_host *h = arg;
    h->ended = true;
    h->ended_with = hf_status_code(st);
    snprintf(h->ended_message, sizeof h->ended_message, "%s", hf_status_message(st));
    hf_status_drop(st);
}

static const struct hf_host_stream_ops ops = {.send = send_cb, .end = end_cb};

void host_drop_stream(struct fake_host *h)
{
    if (h->stream != NULL)
        hf_host_link_closed(h->stream);
    h->stream = NULL;
    h->attached = false;
    for (size_t i = 0; i < h->n_inbox; i++)
        holdfast__v1__control_message__free_unpacked(h->inbox[i], NULL);
    h->n_inbox = 0;
}

static void send_body(struct fake_host *h, Holdfast__V1__HostMessage *m)
{
    if (h->stream != NULL && !h->ended && !h->no_network)
        hf_host_link_message(h->stream, m);
}

static bool any_live(const struct fake_host *h)
{
    for (size_t i = 0; i < h->n_runs; i++)
        if (h->runs[i].live || h->runs[i].incoming)
            return true;
    return false;
}

/* move: room for that part of the report. */
static Holdfast__V1__InstanceReport report_of(const struct fake_run *r,
                                              Holdfast__V1__InstanceReport__Move *move)
{
    Holdfast__V1__InstanceReport m = HOLDFAST__V1__INSTANCE_REPORT__INIT;
    m.instance_uuid = (char *)r->instance;
    m.epoch = r->epoch;
    m.run = r->run;
    m.state = r->state;
    m.reboot_done = r->reboot_generation;
    m.handed_over = r->handed_over;
    holdfast__v1__instance_report__move__init(move);
    move->run = r->move_run;
    move->state = r->move == MOVE_MOVING ? HOLDFAST__V1__INSTANCE_REPORT__MOVE__STATE__MOVING
                                         : HOLDFAST__V1__INSTANCE_REPORT__MOVE__STATE__FAILED;
    move->message = r->move == MOVE_FAILED ? "libvirt: the target did not take it" : "";
    if (r->move != MOVE_NONE)
        m.move = move;
    return m;
}

void host_asks_to_leave(struct fake_host *h)
{
    Holdfast__V1__Leave leave = HOLDFAST__V1__LEAVE__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_LEAVE;
    m.leave = &leave;
    h->leaves = true;
    send_body(h, &m);
}

static void hello(struct fake_host *h)
{
    Holdfast__V1__InstanceReport reports[RUNS_MAX], *list[RUNS_MAX];
    Holdfast__V1__InstanceReport__Move moves[RUNS_MAX];
    Holdfast__V1__Hello m = HOLDFAST__V1__HELLO__INIT;
    m.host_uuid = h->uuid;
    m.secret = (ProtobufCBinaryData){sizeof h->secret, h->secret};
    m.hostname = h->name;
    m.management_ip = h->name;
    m.boot_id = h->boot_id;
    m.epoch = h->epoch;
    m.clean = !any_live(h);
    m.closed_and_killed = h->closed;
    m.max_term = h->max_term;
    m.cpus = h->cpus;
    m.memory_bytes = h->memory_bytes;
    m.accelerator = (char *)h->accelerator;
    m.watchdog = (char *)h->watchdog;
    m.profile = "default";
    m.instances = list;
    char address[32], *addresses[] = {address};
    snprintf(address, sizeof address, "%s/24", h->client_address);
    m.addresses = addresses;
    m.n_addresses = h->client_address[0] != '\0';
    for (size_t i = 0; i < h->n_runs; i++) {
        reports[i] = report_of(&h->runs[i], &moves[i]);
        list[m.n_instances++] = &reports[i];
    }
    Holdfast__V1__HostMessage msg = HOLDFAST__V1__HOST_MESSAGE__INIT;
    if (h->leaves)
        host_asks_to_leave(h);
    msg.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO;
    msg.hello = &m;
    send_body(h, &msg);
}

static void dial(struct fake_host *h)
{
    host_drop_stream(h);
    h->ended = false;
    h->dialled = h->cloud->leader;
    h->stream = hf_host_link_opened(h->cloud->controls[h->dialled].host_link, &ops, h, "10.0.0.9:999", "");
    hello(h);
}

/* --- runs --- */

struct fake_run *host_find_run(struct fake_host *h, const char *instance)
{
    for (size_t i = 0; i < h->n_runs; i++)
        if (strcmp(h->runs[i].instance, instance) == 0)
            return &h->runs[i];
    return NULL;
}

int host_live_runs(const struct fake_host *h, const char *instance)
{
    int n = 0;
    for (size_t i = 0; h->up && !h->cut_off && i < h->n_runs; i++)
        n += h->runs[i].live && strcmp(h->runs[i].instance, instance) == 0;
    return n;
}

static void report(struct fake_host *h, const struct fake_run *r, const char *message, bool failed,
                   bool guest, Holdfast__V1__InstanceReport__LostLease *lost, bool refused)
{
    Holdfast__V1__InstanceReport__Move move;
    Holdfast__V1__InstanceReport m = report_of(r, &move);
    m.message = (char *)message;
    m.failed = failed;
    m.guest_initiated = guest;
    m.lost_lease = lost;
    m.client_refused = refused;
    if (h->script == START_BLOCKED && r->state == HOLDFAST__V1__INSTANCE_REPORT__STATE__PREPARING)
        m.blocked = "bridge br_em01 is missing";
    Holdfast__V1__HostMessage msg = HOLDFAST__V1__HOST_MESSAGE__INIT;
    msg.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_INSTANCE;
    msg.instance = &m;
    send_body(h, &msg);
}

void host_report(struct fake_host *h, const struct fake_run *r, const char *message, bool failed, bool guest)
{
    report(h, r, message, failed, guest, NULL, false);
}

static void tombstone(struct fake_host *h, struct fake_run *r, const char *message, bool failed, bool guest)
{
    r->live = r->incoming = r->filled = false;
    r->state = HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
    host_report(h, r, message, failed, guest);
}

void host_guest_ends(struct fake_host *h, unsigned n)
{
    char uuid[HF_UUID_STR];
    instance_uuid(n, uuid);
    struct fake_run *r = host_find_run(h, uuid);
    assert_non_null(r);
    tombstone(h, r, "the guest powered off", false, true);
}

static void report_storage(struct fake_host *h, const char *uuid, bool ok)
{
    Holdfast__V1__StorageReport m = HOLDFAST__V1__STORAGE_REPORT__INIT;
    m.primary_storage_uuid = (char *)uuid;
    m.ok = ok;
    if (!ok)
        m.message = (char *)"its lease was lost here";
    m.total_bytes = 100 * GIB;
    m.available_bytes = 80 * GIB;
    char *client = h->client_address;
    m.client_addresses = &client;
    m.n_client_addresses = client[0] != '\0';
    Holdfast__V1__HostMessage msg = HOLDFAST__V1__HOST_MESSAGE__INIT;
    msg.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_STORAGE;
    msg.storage = &m;
    send_body(h, &msg);
}

void host_loses_storage(struct fake_host *h, unsigned n, const char *storage_uuid, int64_t age_ms)
{
    char uuid[HF_UUID_STR];
    instance_uuid(n, uuid);
    struct fake_run *r = host_find_run(h, uuid);
    Holdfast__V1__InstanceReport__LostLease lost = HOLDFAST__V1__INSTANCE_REPORT__LOST_LEASE__INIT;
    assert_non_null(r);
    lost.primary_storage_uuid = (char *)storage_uuid;
    lost.age_ms = age_ms;
    r->live = r->incoming = r->filled = false;
    r->state = HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
    report_storage(h, storage_uuid, false);
    report(h, r, "ended by the keeper", false, false, &lost, false);
}

void host_client_refused(struct fake_host *h, unsigned n)
{
    char uuid[HF_UUID_STR];
    instance_uuid(n, uuid);
    struct fake_run *r = host_find_run(h, uuid);
    assert_non_null(r);
    r->live = r->incoming = r->filled = false;
    r->state = HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
    report(h, r, "the cluster refuses it", false, false, NULL, true);
}

/* --- migration --- */

static struct fake_host *peer(struct fake_host *h, const char *uuid);

static void take_source(struct fake_host *h, struct fake_run *r,
                        const Holdfast__V1__InstanceAssignment__Migration *m)
{
    if (!r->live || m->run < r->move_run || (m->run == r->move_run && !m->cancel))
        return;
    if (m->cancel && (m->run > r->move_run || r->move == MOVE_MOVING)) {
        r->move = MOVE_FAILED;
    } else if (m->go) {
        r->move = h->move_fails ? MOVE_FAILED : MOVE_MOVING;
        r->move_ms = now_ms(h) + START_MS;
        snprintf(r->move_target, sizeof r->move_target, "%s", m->target_host_uuid);
    } else {
        return;
    }
    r->move_run = m->run;
    host_report(h, r, "", false, false);
}

/* libvirt has the state there: the guest is whole and stands still at the target, and gone here. */
static void hand_over(struct fake_host *h, struct fake_run *r)
{
    struct fake_host *t = peer(h, r->move_target);
    struct fake_run *copy = t != NULL && alive(t) ? host_find_run(t, r->instance) : NULL;
    if (copy == NULL || !copy->incoming || copy->run != r->move_run) {
        r->move = MOVE_FAILED;
        host_report(h, r, "", false, false);
        return;
    }
    copy->filled = true;
    r->move = MOVE_NONE;
    r->handed_over = true;
    tombstone(h, r, "its guest was sent to another host", false, false);
}

static void turn_incoming(struct fake_host *h, struct fake_run *r)
{
    bool preparing = r->state == HOLDFAST__V1__INSTANCE_REPORT__STATE__PREPARING;
    if (r->power == HOLDFAST__V1__POWER_STATE__POWER_STOPPED) {
        tombstone(h, r, "", false, false);
    } else if (preparing && now_ms(h) >= r->ready_ms && h->script == START_WELL && !h->closed) {
        r->state = HOLDFAST__V1__INSTANCE_REPORT__STATE__INCOMING;
        host_report(h, r, "", false, false);
    }
}

static void go_on(struct fake_host *h, struct fake_run *r)
{
    if (!r->filled) {
        tombstone(h, r, "QEMU is gone", false, true);
        return;
    }
    r->incoming = r->filled = false;
    r->live = true;
    r->state = HOLDFAST__V1__INSTANCE_REPORT__STATE__RUNNING;
    host_report(h, r, "", false, false);
}

static void report_grown(struct fake_host *h, const Holdfast__V1__InstanceAssignment__Disk *d)
{
    Holdfast__V1__VolumeReport m = HOLDFAST__V1__VOLUME_REPORT__INIT;
    m.volume_uuid = d->volume_uuid;
    m.size_bytes = h->volumes == VOLUMES_WELL ? d->size_bytes : 0;
    m.message = h->volumes == VOLUMES_WELL ? "" : "QEMU: Cannot grow device files";
    Holdfast__V1__HostMessage msg = HOLDFAST__V1__HOST_MESSAGE__INIT;
    msg.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_VOLUME;
    msg.volume = &m;
    send_body(h, &msg);
}

static void take_instance(struct fake_host *h, const Holdfast__V1__InstanceAssignment *a)
{
    struct fake_run *r = host_find_run(h, a->uuid);
    if (r == NULL) {
        assert_true(h->n_runs < RUNS_MAX);
        r = &h->runs[h->n_runs++];
        *r = (struct fake_run){0};
        snprintf(r->instance, sizeof r->instance, "%s", a->uuid);
    }
    if (a->run > r->run || r->epoch != a->epoch) {
        assert_false(r->live); /* another run of it is ordered only when the last is over */
        r->run = a->run;
        r->epoch = a->epoch;
        r->state = HOLDFAST__V1__INSTANCE_REPORT__STATE__PREPARING;
        r->ready_ms = now_ms(h) + START_MS;
        r->reboot_generation = 0;
        r->incoming = a->migration != NULL && a->migration->incoming;
        r->filled = r->handed_over = false;
        r->move = MOVE_NONE;
        h->starts += !r->incoming;
        host_report(h, r, "", false, false);
    }
    r->assigned = true;
    r->power = a->power;
    for (size_t i = 0; r->live && i < a->n_disks; i++)
        if (a->disks[i]->grow)
            report_grown(h, a->disks[i]);
    if (r->incoming && a->migration == NULL)
        go_on(h, r);
    else if (a->migration != NULL && !a->migration->incoming)
        take_source(h, r, a->migration);
    if (r->live && r->reboot_generation < a->reboot_generation) {
        r->reboot_generation = a->reboot_generation;
        host_report(h, r, "", false, false);
    }
}

static void turn_run(struct fake_host *h, struct fake_run *r)
{
    bool off = r->power == HOLDFAST__V1__POWER_STATE__POWER_STOPPED;
    bool preparing = r->state == HOLDFAST__V1__INSTANCE_REPORT__STATE__PREPARING;
    bool paused = r->power == HOLDFAST__V1__POWER_STATE__POWER_PAUSED;
    if (!r->assigned || r->state == HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED)
        return;
    if (r->incoming) {
        turn_incoming(h, r);
    } else if (r->live && r->move == MOVE_MOVING) {
        if (now_ms(h) >= r->move_ms && !h->hold_moves)
            hand_over(h, r);
    } else if (off && !h->hold_stops) {
        tombstone(h, r, "", false, false);
    } else if (off) {
        return;
    } else if (preparing && now_ms(h) >= r->ready_ms && h->script == START_FAIL) {
        tombstone(h, r, "the image is damaged", true, false);
    } else if (preparing && now_ms(h) >= r->ready_ms && h->script == START_WELL && !h->hold_starts &&
               !h->closed && now_ms(h) - h->renewed_ms < hf_ha_timing_find("default")->lease_ms) {
        r->live = h->cloud->copies_changed = true;
        r->state = HOLDFAST__V1__INSTANCE_REPORT__STATE__RUNNING;
        host_report(h, r, "", false, false);
    } else if (r->live && paused != (r->state == HOLDFAST__V1__INSTANCE_REPORT__STATE__PAUSED)) {
        r->state = paused ? HOLDFAST__V1__INSTANCE_REPORT__STATE__PAUSED
                          : HOLDFAST__V1__INSTANCE_REPORT__STATE__RUNNING;
        host_report(h, r, "", false, false);
    }
}

/* --- what the leader says --- */

void host_report_image(struct fake_host *h, const Holdfast__V1__ImageReport *r)
{
    Holdfast__V1__HostMessage msg = HOLDFAST__V1__HOST_MESSAGE__INIT;
    msg.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_IMAGE;
    msg.image = (Holdfast__V1__ImageReport *)r;
    send_body(h, &msg);
}

static void report_image(struct fake_host *h, const Holdfast__V1__ImageAssignment *a)
{
    if (h->image_waits)
        return;
    Holdfast__V1__ImageReport m = HOLDFAST__V1__IMAGE_REPORT__INIT;
    m.image_uuid = a->uuid;
    m.primary_storage_uuid = a->primary_storage_uuid;
    m.ready = !h->image_fails && h->image_error == NULL;
    m.failed = h->image_fails;
    m.error = !m.ready;
    m.message = h->image_fails ? "its SHA-256 is another than the one given" : "";
    if (h->image_error != NULL)
        m.message = (char *)h->image_error;
    m.file_bytes = 1000;
    m.virtual_bytes = 2000;
    host_report_image(h, &m);
}

static void report_volume(struct fake_host *h, const Holdfast__V1__VolumeAssignment *a)
{
    Holdfast__V1__VolumeReport m = HOLDFAST__V1__VOLUME_REPORT__INIT;
    Holdfast__V1__VolumeReport__Work work = HOLDFAST__V1__VOLUME_REPORT__WORK__INIT;
    m.volume_uuid = a->uuid;
    if (a->work != NULL) {
        work.sequence = a->work->sequence;
        work.done = h->volumes == VOLUMES_WELL;
        work.failed = h->volumes == VOLUMES_FAIL;
        work.error_code = work.failed ? hf_code_grpc(HF_CONFLICT) : 0;
        work.message = work.done ? "" : work.failed ? "the snapshot has clones" : "the cluster is away";
        work.size_bytes = work.done ? 3 * GIB : 0;
        m.work = &work;
        h->volumes_worked++;
        h->work_kind = a->work->kind;
    } else {
        m.deleted = true;
        h->volumes_deleted++;
    }
    Holdfast__V1__HostMessage msg = HOLDFAST__V1__HOST_MESSAGE__INIT;
    msg.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_VOLUME;
    msg.volume = &m;
    send_body(h, &msg);
}

static void take_assignment(struct fake_host *h, const Holdfast__V1__Assignment *a)
{
    switch (a->object_case) {
    case HOLDFAST__V1__ASSIGNMENT__OBJECT_STORAGE:
        report_storage(h, a->storage->uuid, true);
        if (strcmp(a->storage->uuid, SHARED) == 0)
            h->session = a->storage->session;
        break;
    case HOLDFAST__V1__ASSIGNMENT__OBJECT_IMAGE:
        report_image(h, a->image);
        break;
    case HOLDFAST__V1__ASSIGNMENT__OBJECT_VOLUME:
        report_volume(h, a->volume);
        break;
    case HOLDFAST__V1__ASSIGNMENT__OBJECT_INSTANCE:
        take_instance(h, a->instance);
        break;
    default:
        break;
    }
}

static void kill_all(struct fake_host *h)
{
    for (size_t i = 0; i < h->n_runs; i++) {
        h->runs[i].live = h->runs[i].incoming = false;
        h->runs[i].state = HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
    }
}

static void take_welcome(struct fake_host *h, const Holdfast__V1__Welcome *w)
{
    h->pending = w->pending;
    if (w->pending)
        return;
    h->welcomes++;
    h->attached = true;
    if (w->epoch != h->epoch) {
        h->epoch = w->epoch;
        h->closed = false;
        h->n_runs = 0;
        h->renewed_ms = now_ms(h);
    }
    for (size_t i = 0; i < h->n_runs; i++) {
        h->runs[i].assigned = false;
        if (h->runs[i].handed_over) /* it may have happened since the hello */
            host_report(h, &h->runs[i], "its guest was sent to another host", false, false);
    }
}

/* The keeper closes the epoch; what it may have had there is nobody's. Then the daemon ends, when that is in
 * the log. */
static void take_shut_down(struct fake_host *h, const Holdfast__V1__ShutDown *d)
{
    if (d->recorded) {
        h->up = false;
        return;
    }
    assert_false(any_live(h));
    h->shut_downs++;
    h->closed = true;
    hello(h);
}

static void take(struct fake_host *h, const Holdfast__V1__ControlMessage *m)
{
    if (m->term < h->max_term)
        return; /* a deposed leader */
    h->max_term = m->term;
    if (m->body_case == HOLDFAST__V1__CONTROL_MESSAGE__BODY_WELCOME) {
        take_welcome(h, m->welcome);
    } else if (m->body_case == HOLDFAST__V1__CONTROL_MESSAGE__BODY_END_EPOCH) {
        h->end_epochs++;
        kill_all(h);
        h->closed = true;
        hello(h);
    } else if (m->body_case == HOLDFAST__V1__CONTROL_MESSAGE__BODY_SHUT_DOWN &&
               (m->shut_down->recorded || m->epoch == h->epoch)) {
        take_shut_down(h, m->shut_down);
    } else if (m->epoch != h->epoch || !h->attached) {
        return;
    } else if (m->body_case == HOLDFAST__V1__CONTROL_MESSAGE__BODY_ASSIGN) {
        take_assignment(h, m->assign);
    } else if (m->body_case == HOLDFAST__V1__CONTROL_MESSAGE__BODY_UNASSIGN) {
        struct fake_run *r = host_find_run(h, m->unassign->uuid);
        if (r != NULL)
            r->assigned = false;
    } else if (m->body_case == HOLDFAST__V1__CONTROL_MESSAGE__BODY_SYNCED) {
        h->synced++;
    } else if (m->body_case == HOLDFAST__V1__CONTROL_MESSAGE__BODY_OBSERVE) {
        h->n_peers = 0;
        for (size_t i = 0; i < m->observe->n_host_uuids; i++)
            snprintf(h->peers[h->n_peers++], HF_UUID_STR, "%s", m->observe->host_uuids[i]);
        h->n_marks = 0;
        for (size_t i = 0; i < m->observe->n_marks; i++) {
            struct fake_mark *mark = &h->marks[h->n_marks++];
            snprintf(mark->host, sizeof mark->host, "%s", m->observe->marks[i]->host_uuid);
            mark->epoch = m->observe->marks[i]->epoch;
        }
    }
}

/* --- leases --- */

static void write_record(struct fake_host *h)
{
    if (h->epoch == 0 || h->no_storage)
        return;
    h->renewed_ms = now_ms(h);
    h->record.written = true;
    h->record.epoch = h->epoch;
    h->record.sequence++;
    h->record.closed = h->closed;
    memcpy(h->record.boot_id, h->boot_id, sizeof h->boot_id);
    h->record.changed_ms = now_ms(h);
}

static struct fake_host *peer(struct fake_host *h, const char *uuid)
{
    for (unsigned i = 0; i < h->cloud->n_hosts; i++)
        if (strcmp(h->cloud->hosts[i].uuid, uuid) == 0)
            return &h->cloud->hosts[i];
    return NULL;
}

/* What a peer's record looks like, with its run list. */
struct seen {
    Holdfast__V1__Observation m;
    Holdfast__V1__InstanceReport reports[RUNS_MAX], *list[RUNS_MAX];
    Holdfast__V1__InstanceReport__Move moves[RUNS_MAX];
};

static uint64_t marked_epoch(const struct fake_host *h, const char *host_uuid)
{
    for (size_t i = 0; i < h->n_marks && !h->no_marks; i++)
        if (strcmp(h->marks[i].host, host_uuid) == 0)
            return h->marks[i].epoch;
    return 0;
}

static void observe(const struct fake_host *h, const struct fake_host *p, const char *storage, struct seen *s)
{
    holdfast__v1__observation__init(&s->m);
    s->m.primary_storage_uuid = (char *)storage;
    s->m.host_uuid = (char *)p->uuid;
    s->m.samples_good = !h->no_storage && now_ms(h) - h->storage_back_ms > now_ms(h) - p->record.changed_ms;
    if (h->no_storage)
        s->m.error = "input/output error";
    if (!p->record.written || h->no_storage)
        return;
    s->m.epoch = p->record.epoch;
    s->m.sequence = p->record.sequence;
    s->m.marked_epoch = marked_epoch(h, p->uuid);
    s->m.boot_id = (char *)p->record.boot_id;
    s->m.unchanged_ms = now_ms(p) - p->record.changed_ms;
    s->m.closed = p->record.closed;
    s->m.killed = p->record.closed;
    s->m.session = UINT64_MAX; /* it closes whole epochs only */
    s->m.runs = s->list;
    for (size_t i = 0; i < p->n_runs; i++) {
        s->reports[i] = report_of(&p->runs[i], &s->moves[i]);
        s->list[s->m.n_runs++] = &s->reports[i];
    }
}

static void report_leases(struct fake_host *h)
{
    struct seen *seen = hf_alloc_array(2 * HOSTS_MAX, sizeof *seen);
    Holdfast__V1__Observation *list[2 * HOSTS_MAX];
    const char *storages[] = {SHARED, h->cloud->second};
    Holdfast__V1__LeaseReport m = HOLDFAST__V1__LEASE_REPORT__INIT;
    m.epoch = h->epoch;
    m.observations = list;
    Holdfast__V1__LeaseReport__Own own = HOLDFAST__V1__LEASE_REPORT__OWN__INIT, *owns[] = {&own};
    own.primary_storage_uuid = SHARED;
    own.session = h->session;
    own.closed = h->session <= h->closed_session;
    m.own = owns;
    m.n_own = h->session > 0;
    for (size_t k = 0; k < 2 * h->n_peers; k++) {
        const char *storage = storages[k / h->n_peers];
        struct fake_host *p = peer(h, h->peers[k % h->n_peers]);
        if (p == NULL || storage == NULL)
            continue;
        observe(h, p, storage, &seen[m.n_observations]);
        list[m.n_observations] = &seen[m.n_observations].m;
        m.n_observations++;
    }
    Holdfast__V1__HostMessage msg = HOLDFAST__V1__HOST_MESSAGE__INIT;
    msg.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_LEASE;
    msg.lease = &m;
    send_body(h, &msg);
    free(seen);
}

/* --- life --- */

/* The keeper's own rules: a lease that was lost (L+K) closes the epoch and kills; the watchdog resets who
 * hangs. */
static void keep(struct fake_host *h)
{
    if (h->no_storage)
        h->storage_back_ms = now_ms(h);
    if (h->silent && any_live(h) && now_ms(h) - h->silent_since_ms > WATCHDOG_MS)
        host_power_off(h);
    if (h->silent || h->epoch == 0 || h->closed ||
        now_ms(h) - h->renewed_ms < hf_ha_timing_find("default")->fence_ms)
        return;
    kill_all(h);
    h->closed = true;
    if (h->attached)
        hello(h);
}

void host_hang(struct fake_host *h)
{
    h->silent = true;
    h->silent_since_ms = now_ms(h);
}

void host_power_on(struct fake_host *h)
{
    h->up = true;
    h->silent = false;
    h->epoch = 0;
    h->closed = false;
    h->max_term = 0;
    h->n_runs = 0;
    h->leaves = false;
    host_drop_stream(h);
    snprintf(h->boot_id, sizeof h->boot_id, "boot-%s-%u", h->name, ++h->boots);
    h->dial_ms = 0;
}

/* All processes at once; nobody closes the stream. */
void host_power_off(struct fake_host *h)
{
    h->up = false;
    h->n_runs = 0;
}

void host_turn(struct fake_host *h)
{
    if (h->up)
        keep(h);
    if (!alive(h))
        return;
    if (h->no_network && h->stream != NULL)
        host_drop_stream(h);
    if (!h->no_network && (h->stream == NULL || h->ended || h->dialled != h->cloud->leader) &&
        now_ms(h) >= h->dial_ms) {
        h->dial_ms = now_ms(h) + DIAL_EVERY_MS;
        dial(h);
    }
    for (size_t i = 0; i < h->n_inbox; i++) {
        Holdfast__V1__ControlMessage *m = h->inbox[i];
        h->inbox[i] = NULL;
        take(h, m);
        holdfast__v1__control_message__free_unpacked(m, NULL);
    }
    h->n_inbox = 0;
    for (size_t i = 0; i < h->n_runs; i++)
        turn_run(h, &h->runs[i]);
    if (now_ms(h) >= h->lease_ms) {
        h->lease_ms = now_ms(h) + LEASE_EVERY_MS;
        write_record(h);
        if (h->attached)
            report_leases(h);
    }
}
