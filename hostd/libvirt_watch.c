#include "hostd/libvirt_watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/mem.h"
#include "hostd/libvirt_conn.h"

#define BACKOFF_MS_MIN 200
#define BACKOFF_MS_MAX 5000
#define EVENTS_MAX     1024 /* that wait for the loop; past it the loop is told to list again */

struct hf_libvirt_watch {
    /* fixed */
    char *uri;
    struct hf_hypervisor_events events;
    struct hf_mailbox *mailbox;
    /* of the loop */
    bool closed;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
    bool leave;
    bool lost; /* the connection that is held has died */
    unsigned n_events;
    bool overrun;
    unsigned refs; /* the owner, the thread, libvirt's callbacks, letters under way */
};

struct letter {
    struct hf_mail mail;
    struct hf_libvirt_watch *w;
    enum { LETTER_GONE, LETTER_IO_STOPPED, LETTER_UP, LETTER_DOWN, LETTER_OVERRUN } kind;
    struct hf_uuid uuid;
    enum hf_vm_gone why;
};

static void watch_ref(struct hf_libvirt_watch *w)
{
    pthread_mutex_lock(&w->lock);
    w->refs++;
    pthread_mutex_unlock(&w->lock);
}

static void watch_unref(void *arg)
{
    struct hf_libvirt_watch *w = arg;
    pthread_mutex_lock(&w->lock);
    bool last = --w->refs == 0;
    pthread_mutex_unlock(&w->lock);
    if (!last)
        return;
    hf_mailbox_unref(w->mailbox);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w->uri);
    free(w);
}

/* --- the loop --- */

static void tell(struct hf_libvirt_watch *w, const struct letter *l)
{
    const struct hf_hypervisor_events *e = &w->events;
    if (l->kind == LETTER_GONE && e->gone)
        e->gone(e->arg, &l->uuid, l->why);
    else if (l->kind == LETTER_IO_STOPPED && e->io_stopped)
        e->io_stopped(e->arg, &l->uuid);
    else if (l->kind > LETTER_IO_STOPPED && e->connection)
        e->connection(e->arg, l->kind != LETTER_DOWN);
}

static void deliver(struct hf_mail *mail)
{
    struct letter *l = hf_container_of(mail, struct letter, mail);
    struct hf_libvirt_watch *w = l->w;
    pthread_mutex_lock(&w->lock);
    w->n_events--;
    if (l->kind == LETTER_OVERRUN)
        w->overrun = false;
    pthread_mutex_unlock(&w->lock);
    if (!w->closed)
        tell(w, l);
    free(l);
    watch_unref(w);
}

/* Any thread. */
static void send_letter(struct hf_libvirt_watch *w, const struct letter *content)
{
    struct letter *l = HF_NEW(struct letter);
    *l = *content;
    l->w = w;
    l->mail.deliver = deliver;
    pthread_mutex_lock(&w->lock);
    bool full = l->kind <= LETTER_IO_STOPPED && w->n_events >= EVENTS_MAX;
    bool drop = full && w->overrun;
    if (full) {
        l->kind = LETTER_OVERRUN;
        w->overrun = true;
    }
    if (!drop) {
        w->n_events++;
        w->refs++;
    }
    pthread_mutex_unlock(&w->lock);
    if (drop) {
        free(l);
    } else if (!hf_mailbox_post(w->mailbox, &l->mail)) {
        free(l);
        watch_unref(w);
    }
}

/* --- libvirt's event thread --- */

static int on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *arg)
{
    struct letter l = {.kind = LETTER_GONE, .why = HF_VM_GONE_UNKNOWN};
    char name[VIR_UUID_STRING_BUFLEN];
    (void)conn;
    bool io = event == VIR_DOMAIN_EVENT_SUSPENDED && detail == VIR_DOMAIN_EVENT_SUSPENDED_IOERROR;
    if ((event != VIR_DOMAIN_EVENT_STOPPED && !io) || virDomainGetUUIDString(dom, name) != 0 ||
        !hf_uuid_parse(name, &l.uuid))
        return 0;
    if (io)
        l.kind = LETTER_IO_STOPPED;
    else if (detail == VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
        l.why = HF_VM_GONE_GUEST;
    else if (detail == VIR_DOMAIN_EVENT_STOPPED_MIGRATED)
        l.why = HF_VM_GONE_MIGRATED;
    else if (detail == VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
        l.why = HF_VM_GONE_DESTROYED;
    else if (detail == VIR_DOMAIN_EVENT_STOPPED_CRASHED || detail == VIR_DOMAIN_EVENT_STOPPED_FAILED)
        l.why = HF_VM_GONE_CRASHED;
    send_letter(arg, &l);
    return 0;
}

static void on_close(virConnectPtr conn, int reason, void *arg)
{
    struct hf_libvirt_watch *w = arg;
    (void)conn;
    (void)reason;
    pthread_mutex_lock(&w->lock);
    w->lost = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* --- the watch's own thread --- */

static hf_status subscribe(struct hf_libvirt_watch *w, virConnectPtr conn, bool wire, int *ret_id)
{
    watch_ref(w);
    int id = virConnectDomainEventRegisterAny(conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                              VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), w, watch_unref);
    if (id < 0) {
        watch_unref(w);
        return hf_libvirt_error("ask libvirt at '%s' for events", w->uri);
    }
    *ret_id = id;
    if (!wire) /* libvirt would take the callback and never give our reference back */
        return HF_STATUS_OK;
    watch_ref(w);
    if (virConnectRegisterCloseCallback(conn, on_close, w, watch_unref) == 0)
        return HF_STATUS_OK;
    watch_unref(w);
    return hf_libvirt_error("watch the connection to libvirt at '%s'", w->uri);
}

static void disconnect(virConnectPtr conn, int id, bool wire)
{
    if (id >= 0)
        virConnectDomainEventDeregisterAny(conn, id);
    if (wire)
        virConnectUnregisterCloseCallback(conn, on_close);
    virConnectClose(conn);
}

/* Until the connection is lost or the watch ends; true: it ends. */
static bool wait_lost(struct hf_libvirt_watch *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->lost && !w->leave)
        pthread_cond_wait(&w->changed, &w->lock);
    bool leave = w->leave;
    pthread_mutex_unlock(&w->lock);
    return leave;
}

static bool pause_for(struct hf_libvirt_watch *w, unsigned ms)
{
    struct timespec until;
    HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&w->lock);
    while (!w->leave && pthread_cond_timedwait(&w->changed, &w->lock, &until) != ETIMEDOUT)
        ;
    bool leave = w->leave;
    pthread_mutex_unlock(&w->lock);
    return leave;
}

/* One connection's life; true: it was good. */
static bool watch_once(struct hf_libvirt_watch *w, bool *first_failure)
{
    virConnectPtr conn = NULL;
    int id = -1;
    bool wire = false;
    pthread_mutex_lock(&w->lock);
    w->lost = false;
    pthread_mutex_unlock(&w->lock);
    hf_status st = hf_libvirt_connect(w->uri, &conn, &wire);
    if (hf_ok(st))
        st = subscribe(w, conn, wire, &id);
    bool good = hf_ok(st);
    if (good) {
        hf_info("connected to libvirt at '%s'", w->uri);
        send_letter(w, &(struct letter){.kind = LETTER_UP});
        if (!wait_lost(w)) {
            hf_warn("lost the connection to libvirt at '%s'", w->uri);
            send_letter(w, &(struct letter){.kind = LETTER_DOWN});
        }
    } else if (*first_failure) {
        hf_warn("%s", hf_status_message(st));
    }
    *first_failure = good;
    hf_status_drop(st);
    if (conn)
        disconnect(conn, id, wire);
    return good;
}

static void *watch_main(void *arg)
{
    struct hf_libvirt_watch *w = arg;
    unsigned wait_ms = BACKOFF_MS_MIN;
    bool first_failure = true;
    do {
        if (watch_once(w, &first_failure))
            wait_ms = BACKOFF_MS_MIN;
        else
            wait_ms = 2 * wait_ms < BACKOFF_MS_MAX ? 2 * wait_ms : BACKOFF_MS_MAX;
    } while (!pause_for(w, wait_ms));
    watch_unref(w);
    return NULL;
}

struct hf_libvirt_watch *hf_libvirt_watch_start(struct hf_env *env, const char *uri,
                                                const struct hf_hypervisor_events *events)
{
    struct hf_libvirt_watch *w = HF_NEW(struct hf_libvirt_watch);
    pthread_condattr_t attr;
    pthread_t thread;
    sigset_t all, before;
    w->uri = hf_strdup(uri);
    w->events = *events;
    w->mailbox = hf_mailbox_create(env);
    w->refs = 2;
    HF_ASSERT(pthread_mutex_init(&w->lock, NULL) == 0 && pthread_condattr_init(&attr) == 0);
    HF_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&w->changed, &attr) == 0);
    pthread_condattr_destroy(&attr);
    sigfillset(&all);
    HF_ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    HF_ASSERT(pthread_create(&thread, NULL, watch_main, w) == 0);
    HF_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    pthread_setname_np(thread, "libvirt-watch");
    pthread_detach(thread);
    return w;
}

void hf_libvirt_watch_close(struct hf_libvirt_watch *w, void (*closed)(void *arg), void *arg)
{
    HF_ASSERT(!w->closed);
    w->closed = true;
    pthread_mutex_lock(&w->lock);
    w->leave = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    hf_mailbox_ref(w->mailbox); /* for threads that come back late */
    hf_mailbox_close(w->mailbox, closed, arg);
    watch_unref(w);
}
