/* The conversation with the leader, in the order that the safety rules ask for.
 *
 *   1. stream open → the keeper's view → Hello (boot id, epoch, clean, highest term, every run)
 *   2. Welcome(pending): wait. Welcome(epoch): the keeper takes it if it is new, then all is reported
 *   3. Assign …, Synced: each of this epoch and of no lower term than ever seen (rule 1)
 *   4. EndEpoch, or an epoch that the keeper closed by itself: kill all, verify, Hello(closed and killed)
 *   5. ShutDown: the same, because the host leaves (host_leave.h)
 *
 * Messages are taken one by one: while the keeper persists a term or an epoch, the inbox stands still.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "ha/ha_timing.h"
#include "hostd/host.h"
#include "hostd/host_leave.h"
#include "hostd/instance_rec.h"
#include "hostd/storage_rec.h"
#include "net/ipam.h"

#define END_RETRY_FIRST_MS 500
#define END_RETRY_MAX_MS   5000
#define HELLO_AGAIN_MS     2000

static void process(struct hf_host *h);

void hf_attach_init(struct hf_host *h)
{
    h->attach.last = &h->attach.first;
}

static void pop(struct hf_host *h)
{
    struct hf_attach *a = &h->attach;
    struct hf_inbox_entry *e = a->first;
    a->first = e->next;
    if (!a->first)
        a->last = &a->first;
    a->inbox_len--;
    holdfast__v1__control_message__free_unpacked(e->m, NULL);
    free(e);
}

static void clear_inbox(struct hf_host *h)
{
    while (h->attach.first)
        pop(h);
}

void hf_attach_done(struct hf_host *h)
{
    clear_inbox(h);
    hf_timer_stop(&h->attach.end_timer);
    hf_timer_stop(&h->attach.hello_timer);
    hf_timer_stop(&h->attach.lease_timer);
    h->attach.state = HF_ATTACH_DOWN;
}

bool hf_attach_granted(const struct hf_host *h)
{
    return h->attach.state == HF_ATTACH_GRANTED && !h->closing;
}

bool hf_host_attached(const struct hf_host *h)
{
    return hf_attach_granted(h);
}

/* --- hello --- */

static Holdfast__V1__InstanceReport__State state_of(const struct hf_keeper_run *run)
{
    switch (run->state) {
    case HF_RUN_PENDING:
        return run->incoming ? HOLDFAST__V1__INSTANCE_REPORT__STATE__INCOMING
                             : HOLDFAST__V1__INSTANCE_REPORT__STATE__STARTING;
    case HF_RUN_LIVE:
        return run->incoming ? HOLDFAST__V1__INSTANCE_REPORT__STATE__INCOMING
                             : HOLDFAST__V1__INSTANCE_REPORT__STATE__RUNNING;
    case HF_RUN_TOMBSTONED:
        break;
    }
    return HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
}

/* Every run of the keeper; the texts live in ids. */
static Holdfast__V1__InstanceReport **run_reports(struct hf_host *h, char (**ret_ids)[HF_UUID_STR])
{
    size_t n = h->view.n_runs;
    Holdfast__V1__InstanceReport **list = hf_alloc_array(n + 1, sizeof *list);
    Holdfast__V1__InstanceReport *reports = hf_alloc_array(n + 1, sizeof *reports);
    char(*ids)[HF_UUID_STR] = hf_alloc_array(n + 1, sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        const struct hf_keeper_run *run = &h->view.runs[i];
        holdfast__v1__instance_report__init(&reports[i]);
        reports[i].instance_uuid = hf_uuid_format(&run->instance, ids[i]);
        reports[i].epoch = h->view.epoch;
        reports[i].run = run->run;
        reports[i].state = hf_instance_recs_start_pending(h, &run->instance, run->run)
                               ? HOLDFAST__V1__INSTANCE_REPORT__STATE__STARTING
                               : state_of(run);
        reports[i].handed_over = run->handed_over;
        list[i] = &reports[i];
    }
    *ret_ids = ids;
    if (n == 0)
        free(reports);
    return list;
}

/* Orders to start that libvirt has not answered: a QEMU may yet come of each. */
static unsigned starts(const struct hf_host *h)
{
    return HF_MUTANT(PENDING_IS_OVER) ? 0 : h->starts;
}

/* That nothing runs is a promise only while nothing may begin: in an open epoch the next start may be a step
 * away. */
static bool clean(const struct hf_host *h)
{
    return h->view.clean && starts(h) == 0 && (h->view.epoch == 0 || h->view.epoch_closed);
}

struct address_texts {
    char *list[HF_HOST_ADDRESSES_MAX];
    char texts[HF_HOST_ADDRESSES_MAX][20];
};

static size_t address_texts(struct hf_host *h, struct address_texts *t)
{
    struct hf_host_address all[HF_HOST_ADDRESSES_MAX];
    size_t n = h->d.addresses(h->d.arg, all, HF_HOST_ADDRESSES_MAX);
    for (size_t i = 0; i < n; i++)
        t->list[i] = hf_cidr_format(all[i].ip, all[i].prefix, t->texts[i]);
    return n;
}

static void send_hello(struct hf_host *h)
{
    struct address_texts addresses;
    Holdfast__V1__Hello hello = HOLDFAST__V1__HELLO__INIT;
    Holdfast__V1__HostMessage m = HOLDFAST__V1__HOST_MESSAGE__INIT;
    char(*ids)[HF_UUID_STR];
    hello.host_uuid = h->id;
    hello.secret = (ProtobufCBinaryData){HF_HOST_SECRET, h->o.secret};
    hello.hostname = (char *)h->o.hostname;
    hello.management_ip = (char *)h->o.management_ip;
    hello.boot_id = h->view.boot_id;
    hello.epoch = h->view.epoch;
    hello.clean = clean(h);
    hello.max_term = h->view.max_term;
    hello.cpus = h->o.cpus;
    hello.memory_bytes = h->o.memory_bytes;
    hello.accelerator = (char *)h->o.accelerator;
    hello.watchdog = h->view.watchdog;
    hello.watchdog_problem = h->view.watchdog_problem;
    hello.version = (char *)h->o.version;
    hello.profile = h->view.profile;
    hello.n_instances = h->view.n_runs;
    hello.instances = run_reports(h, &ids);
    hello.closed_and_killed = h->view.epoch_closed && clean(h);
    hello.n_addresses = address_texts(h, &addresses);
    hello.addresses = addresses.list;
    m.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_HELLO;
    m.hello = &hello;
    memcpy(h->attach.said_watchdog, h->view.watchdog, sizeof h->view.watchdog);
    memcpy(h->attach.said_problem, h->view.watchdog_problem, sizeof h->view.watchdog_problem);
    memcpy(h->attach.said_profile, h->view.profile, sizeof h->view.profile);
    h->attach.state = HF_ATTACH_HELLO;
    h->attach.said_unclean = !hello.clean;
    if (hf_leave_begun(h))
        hf_leave_say(h);
    h->d.send(h->d.arg, &m);
    if (hello.n_instances)
        free(hello.instances[0]);
    free(hello.instances);
    free(ids);
}

void hf_attach_hello_again(struct hf_host *h)
{
    if (h->attach.state == HF_ATTACH_DOWN)
        return;
    h->attach.state = HF_ATTACH_VIEW;
    hf_timer_stop(&h->attach.lease_timer);
    hf_host_refresh(h);
}

static void hello_timer(void *arg)
{
    hf_attach_hello_again(arg);
}

/* --- the end of an epoch --- */

static void end_step(struct hf_host *h);

static void end_timer(void *arg)
{
    end_step(arg);
}

static void on_ended(void *arg, hf_status st)
{
    struct hf_host *h = arg;
    struct hf_attach *a = &h->attach;
    a->end_call = false;
    hf_host_call_end(h);
    if (h->closing)
        return;
    if (!hf_ok(st)) {
        hf_warn("close epoch %llu: %s (tried again)", (unsigned long long)h->view.epoch,
                hf_status_message(st));
        hf_timer_start(h->d.env, &a->end_timer,
                       hf_backoff_next(&a->end_backoff, h->d.env, END_RETRY_FIRST_MS, END_RETRY_MAX_MS),
                       end_timer, h);
        return;
    }
    /* A start that was under way meanwhile may have borne a QEMU after the kill: verified again when it has
     * ended. */
    if (a->end_starts != 0 || starts(h) != 0) {
        hf_timer_start(h->d.env, &a->end_timer, END_RETRY_FIRST_MS, end_timer, h);
        return;
    }
    hf_info("epoch %llu is closed and nothing of it runs", (unsigned long long)h->view.epoch);
    a->ending = false;
    a->synced = false;
    h->view.epoch_closed = true; /* until the refreshed view says so itself, no record may take a step */
    hf_host_drop_instances(h);
    hf_leave_closed(h);
    hf_attach_hello_again(h);
}

static void end_step(struct hf_host *h)
{
    if (h->attach.end_call || !h->attach.ending)
        return;
    hf_timer_stop(&h->attach.end_timer);
    h->attach.end_call = true;
    h->attach.end_starts = starts(h) + hf_instance_recs_clear_starts(h);
    hf_host_call_begin(h);
    h->d.keeper->ops->end_epoch(h->d.keeper, h->view.epoch, h->attach.end_starts != 0, on_ended, h);
}

void hf_attach_end_epoch(struct hf_host *h, const char *why)
{
    if (h->attach.ending)
        return;
    hf_warn("closing epoch %llu (%s): every instance of it is killed", (unsigned long long)h->view.epoch,
            why);
    h->attach.ending = true;
    hf_backoff_reset(&h->attach.end_backoff);
    end_step(h);
}

void hf_attach_start_ended(struct hf_host *h)
{
    if (h->attach.ending && h->starts == 0 && hf_timer_running(&h->attach.end_timer))
        end_step(h);
}

/* --- views --- */

void hf_attach_view(struct hf_host *h)
{
    struct hf_attach *a = &h->attach;
    bool records = h->instances != NULL;
    if (h->view.foreign || a->ending || a->gate == HF_GATE_EPOCH)
        return;
    if (h->view.epoch_closed && (!h->view.clean || starts(h) != 0 || records)) {
        hf_attach_end_epoch(h, "the keeper closed it: the leases of its storages were lost");
        return;
    }
    bool judged_otherwise = strcmp(a->said_watchdog, h->view.watchdog) != 0 ||
                            strcmp(a->said_problem, h->view.watchdog_problem) != 0 ||
                            strcmp(a->said_profile, h->view.profile) != 0;
    if (a->state == HF_ATTACH_VIEW)
        send_hello(h);
    else if (a->state == HF_ATTACH_GRANTED && (h->view.epoch_closed || judged_otherwise))
        send_hello(h);
    else if (a->state == HF_ATTACH_HELLO && a->said_unclean && clean(h))
        send_hello(h);
}

/* --- lease reports --- */

/* As the keeper's profile has it: the bound on a take-over counts on it. */
static int64_t report_ms(const struct hf_host *h)
{
    const struct hf_ha_timing *t = hf_ha_timing_find(h->view.profile);
    return t ? t->report_ms : HF_HOST_LEASE_REPORT_MS;
}

static void lease_timer(void *arg)
{
    struct hf_host *h = arg;
    hf_storage_recs_report_leases(h);
    hf_host_refresh(h); /* ages for the next report */
    hf_timer_start(h->d.env, &h->attach.lease_timer, report_ms(h), lease_timer, h);
}

/* --- messages of the leader --- */

void hf_attach_refuse(struct hf_host *h, const Holdfast__V1__ControlMessage *m, const char *subject,
                      hf_status why)
{
    Holdfast__V1__Refusal r = HOLDFAST__V1__REFUSAL__INIT;
    Holdfast__V1__HostMessage out = HOLDFAST__V1__HOST_MESSAGE__INIT;
    r.term = m->term;
    r.epoch = m->epoch;
    r.subject_uuid = (char *)(subject ? subject : "");
    r.message = (char *)hf_status_message(why);
    out.body_case = HOLDFAST__V1__HOST_MESSAGE__BODY_REFUSAL;
    out.refusal = &r;
    hf_warn("an order of term %llu is refused: %s", (unsigned long long)m->term, hf_status_message(why));
    if (h->attach.state != HF_ATTACH_DOWN)
        h->d.send(h->d.arg, &out);
    hf_status_drop(why);
}

static void granted(struct hf_host *h)
{
    struct hf_attach *a = &h->attach;
    hf_info("attached to the leader of term %llu in epoch %llu", (unsigned long long)h->view.max_term,
            (unsigned long long)h->view.epoch);
    a->state = HF_ATTACH_GRANTED;
    a->sync++;
    hf_timer_stop(&a->hello_timer);
    hf_timer_start(h->d.env, &a->lease_timer, report_ms(h), lease_timer, h);
    hf_assign_report_all(h);
    hf_host_tick_all(h);
}

/* The keeper has answered what held back the inbox. false: the daemon is closing. */
static bool gate_opens(struct hf_host *h)
{
    hf_host_call_end(h);
    if (h->closing)
        return false;
    h->attach.gate = HF_GATE_NONE;
    return true;
}

static void on_epoch(void *arg, hf_status st)
{
    struct hf_host *h = arg;
    struct hf_attach *a = &h->attach;
    if (!gate_opens(h))
        return;
    if (!hf_ok(st)) {
        hf_warn("the keeper does not take epoch %llu: %s", (unsigned long long)a->granting,
                hf_status_message(st));
        hf_timer_start(h->d.env, &a->hello_timer, HELLO_AGAIN_MS, hello_timer, h);
        process(h);
        return;
    }
    hf_info("epoch %llu begins", (unsigned long long)a->granting);
    hf_host_drop_instances(h);
    h->view.epoch = a->granting;
    h->view.epoch_closed = false;
    h->view.n_runs = 0; /* of the last epoch; tombstones stay with the keeper, which refuses their runs */
    a->synced = false;
    hf_host_refresh(h);
    if (a->state != HF_ATTACH_DOWN && a->state != HF_ATTACH_VIEW)
        granted(h);
    process(h);
}

static void take_welcome(struct hf_host *h, const Holdfast__V1__ControlMessage *m)
{
    struct hf_attach *a = &h->attach;
    const Holdfast__V1__Welcome *w = m->welcome;
    if (a->state == HF_ATTACH_VIEW || a->ending)
        return; /* answers a hello that another one overtakes */
    if (h->leave.state >= HF_LEAVE_CLOSING)
        return; /* no further epoch is wanted */
    if (!hf_uuid_parse(w->cluster_id, &h->cluster))
        h->cluster = (struct hf_uuid){{0}}; /* then records of any are taken */
    if (w->pending || w->epoch == 0) {
        if (a->state == HF_ATTACH_HELLO)
            hf_info("this host is not part of the cloud yet: add it (holdfast host create, uuid %s)", h->id);
        a->state = HF_ATTACH_PENDING;
    } else if (w->epoch == h->view.epoch && !h->view.epoch_closed) {
        granted(h);
    } else if (w->epoch <= h->view.epoch) {
        hf_attach_refuse(h, m, h->id,
                         hf_error(HF_PRECONDITION, "epoch %llu is not taken: epoch %llu of this host %s",
                                  (unsigned long long)w->epoch, (unsigned long long)h->view.epoch,
                                  h->view.epoch_closed ? "is closed" : "is later"));
        hf_timer_start(h->d.env, &a->hello_timer, HELLO_AGAIN_MS, hello_timer, h);
    } else if (h->view.epoch != 0 && !h->view.epoch_closed) {
        hf_attach_end_epoch(h, "the leader has granted a later one");
    } else {
        a->gate = HF_GATE_EPOCH;
        a->granting = w->epoch;
        hf_host_call_begin(h);
        h->d.keeper->ops->set_epoch(h->d.keeper, &h->o.uuid, &h->cluster, w->epoch, a->said_profile, on_epoch,
                                    h);
    }
}

/* A fence of e says that everything up to e is over, also when the grant of e never arrived here. Where no
 * epoch is open, nothing is left to be ended but what the keeper kills by itself: the leader hears when it is
 * gone. */
static void take_end_epoch(struct hf_host *h, const Holdfast__V1__ControlMessage *m)
{
    bool open = h->view.epoch != 0 && !h->view.epoch_closed;
    if (open && m->end_epoch->epoch >= h->view.epoch)
        hf_attach_end_epoch(h, "the leader has fenced it");
    else if (!open && !clean(h))
        hf_timer_start(h->d.env, &h->attach.hello_timer, HELLO_AGAIN_MS, hello_timer, h);
    else
        hf_attach_hello_again(h);
}

static hf_status take_order(struct hf_host *h, const Holdfast__V1__ControlMessage *m,
                            const char **ret_subject)
{
    if (m->body_case == HOLDFAST__V1__CONTROL_MESSAGE__BODY_SHUT_DOWN)
        return hf_leave_ordered(h, m->shut_down);
    return hf_assign_take(h, m, ret_subject);
}

static void take_in_epoch(struct hf_host *h, const Holdfast__V1__ControlMessage *m)
{
    const char *subject = NULL;
    hf_status st = HF_STATUS_OK;
    if (h->attach.state != HF_ATTACH_GRANTED || h->attach.ending || h->view.epoch_closed)
        st = hf_error(HF_PRECONDITION, "no epoch of this host is open for this leader");
    else if (m->epoch != h->view.epoch && !HF_MUTANT(ORDER_OF_OLD_EPOCH))
        st = hf_error(HF_PRECONDITION, "the order is for epoch %llu of this host, which is in epoch %llu",
                      (unsigned long long)m->epoch, (unsigned long long)h->view.epoch);
    else
        st = take_order(h, m, &subject);
    if (!hf_ok(st))
        hf_attach_refuse(h, m, subject, st);
}

/* An order to close the epoch is one of that epoch; the word that this is in the log comes after it. */
static void take_shut_down(struct hf_host *h, const Holdfast__V1__ControlMessage *m)
{
    if (!m->shut_down->recorded) {
        take_in_epoch(h, m);
        return;
    }
    hf_status st = hf_leave_ordered(h, m->shut_down);
    if (!hf_ok(st))
        hf_attach_refuse(h, m, h->id, st);
}

static void take(struct hf_host *h, const Holdfast__V1__ControlMessage *m)
{
    switch (m->body_case) {
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_WELCOME:
        take_welcome(h, m);
        break;
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_END_EPOCH:
        take_end_epoch(h, m);
        break;
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_ASSIGN:
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_UNASSIGN:
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_SYNCED:
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_OBSERVE:
        take_in_epoch(h, m);
        break;
    case HOLDFAST__V1__CONTROL_MESSAGE__BODY_SHUT_DOWN:
        take_shut_down(h, m);
        break;
    default:
        hf_attach_refuse(
            h, m, NULL,
            hf_error(HF_UNIMPLEMENTED, "this host daemon (%s) does not know that order", h->o.version));
    }
}

static void on_term(void *arg, hf_status st)
{
    struct hf_host *h = arg;
    struct hf_attach *a = &h->attach;
    if (!gate_opens(h))
        return;
    if (hf_ok(st)) {
        if (a->granting > h->view.max_term)
            h->view.max_term = a->granting;
        process(h);
        return;
    }
    /* Lower than the keeper's: its view says so and the order is refused. No answer: the leader is asked to
     * say it again. */
    hf_warn("the keeper does not take term %llu: %s", (unsigned long long)a->granting, hf_status_message(st));
    hf_host_refresh(h);
    if (a->state != HF_ATTACH_DOWN)
        h->d.redial(h->d.arg, "the keeper did not take the leader's term");
}

/* True when the message may be taken now; else it was refused (and is out of the inbox) or waits for the
 * keeper. */
static bool check_order(struct hf_host *h, const Holdfast__V1__ControlMessage *m)
{
    if (strcmp(m->host_uuid, h->id) != 0) {
        hf_attach_refuse(
            h, m, m->host_uuid,
            hf_error(HF_INVALID, "the order is for host '%s', this is host %s", m->host_uuid, h->id));
        pop(h);
        return false;
    }
    if (m->term < h->view.max_term && !HF_MUTANT(ORDER_OF_OLD_TERM)) {
        hf_attach_refuse(h, m, h->id,
                         hf_error(HF_CONFLICT, "the order is of term %llu, this host has heard of term %llu",
                                  (unsigned long long)m->term, (unsigned long long)h->view.max_term));
        pop(h);
        return false;
    }
    if (m->term > h->view.max_term) {
        h->attach.gate = HF_GATE_TERM;
        h->attach.granting = m->term;
        hf_host_call_begin(h);
        h->d.keeper->ops->see_term(h->d.keeper, m->term, on_term, h);
        return false;
    }
    return true;
}

static void process(struct hf_host *h)
{
    struct hf_attach *a = &h->attach;
    while (a->gate == HF_GATE_NONE && a->first && !h->closing) {
        if (!check_order(h, a->first->m))
            continue;
        /* Out of the list first: taking it may clear the inbox. */
        struct hf_inbox_entry *e = a->first;
        a->first = e->next;
        if (!a->first)
            a->last = &a->first;
        a->inbox_len--;
        take(h, e->m);
        holdfast__v1__control_message__free_unpacked(e->m, NULL);
        free(e);
    }
}

/* --- the stream --- */

void hf_host_stream_opened(struct hf_host *h)
{
    if (h->closing)
        return;
    HF_ASSERT(h->attach.state == HF_ATTACH_DOWN);
    h->attach.state = HF_ATTACH_VIEW;
    hf_host_refresh(h);
}

void hf_host_stream_message(struct hf_host *h, Holdfast__V1__ControlMessage *m)
{
    struct hf_attach *a = &h->attach;
    if (h->closing || a->state == HF_ATTACH_DOWN || a->inbox_len >= HF_HOST_INBOX_MAX ||
        HF_BUGGIFY(INBOX_FULL)) {
        holdfast__v1__control_message__free_unpacked(m, NULL);
        if (!h->closing && a->state != HF_ATTACH_DOWN)
            h->d.redial(h->d.arg, "too many messages of the leader wait for the keeper");
        return;
    }
    struct hf_inbox_entry *e = HF_NEW(struct hf_inbox_entry);
    e->m = m;
    *a->last = e;
    a->last = &e->next;
    a->inbox_len++;
    process(h);
}

void hf_host_stream_closed(struct hf_host *h)
{
    struct hf_attach *a = &h->attach;
    clear_inbox(h);
    hf_timer_stop(&a->lease_timer);
    hf_timer_stop(&a->hello_timer);
    a->state = HF_ATTACH_DOWN;
}
