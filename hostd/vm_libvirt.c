#include "hostd/vm_libvirt.h"

#include <libxml/parser.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "hostd/domain_xml.h"
#include "hostd/libvirt_conn.h"
#include "hostd/libvirt_domain.h"
#include "hostd/libvirt_migrate.h"
#include "hostd/libvirt_secrets.h"
#include "hostd/libvirt_watch.h"

#define CALL_THREADS_MAX 16
#define CALL_QUEUE_MAX   1024
#define SECRET_MS        10000

struct vm_libvirt {
    struct hf_hypervisor hypervisor;
    struct hf_env *env;
    char *emulator, *cpu_mode, *cache_mode;
    struct hf_domain_xml_options xml;
    bool plain_migration;
    struct hf_libvirt_pool *pool;
    struct hf_libvirt_watch *watch;
    struct hf_libvirt_secrets *secrets;
    struct hf_worker *worker;
    unsigned open_parts;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    atomic_uint refs; /* the owner's and one per call */
    pthread_mutex_t lock;
    struct call *stuck; /* under the lock: calls that are past their deadline and have not come back */
};

struct call {
    struct hf_job job;
    struct vm_libvirt *h;
    hf_status (*run)(struct call *c, virConnectPtr conn);
    struct hf_uuid uuid; /* zero: of no single domain */
    struct call *next_stuck;
    bool is_stuck;
    hf_status st;
    void *arg;
    hf_vm_done_cb done_cb;
    hf_status (*verb)(virConnectPtr conn, const struct hf_uuid *u); /* of run_verb */
    /* start */
    char *xml;
    struct hf_domain_mark mark;
    /* migration */
    struct hf_vm_migration migration;
    char *target_address;
    hf_vm_progress_cb progress_cb;
    struct hf_vm_progress progress;
    /* grow_disk */
    unsigned disk;
    uint64_t size_bytes;
    /* list */
    hf_vm_list_cb list_cb;
    struct hf_vm_seen *seen;
    size_t n_seen;
};

static struct vm_libvirt *of(struct hf_hypervisor *h)
{
    return hf_container_of(h, struct vm_libvirt, hypervisor);
}

static struct call *of_job(struct hf_job *job)
{
    return hf_container_of(job, struct call, job);
}

static void driver_unref(struct vm_libvirt *h)
{
    if (atomic_fetch_sub(&h->refs, 1) != 1)
        return;
    hf_libvirt_pool_free(h->pool);
    hf_libvirt_secrets_free(h->secrets);
    pthread_mutex_destroy(&h->lock);
    free(h->emulator);
    free(h->cpu_mode);
    free(h->cache_mode);
    free(h);
}

/* --- calls --- */

/* A call that hangs in libvirt holds its domain: one more would hang too and cost a thread. */
static bool domain_is_stuck(struct vm_libvirt *h, const struct hf_uuid *u)
{
    pthread_mutex_lock(&h->lock);
    const struct call *c = h->stuck;
    while (c && !hf_uuid_equal(&c->uuid, u))
        c = c->next_stuck;
    pthread_mutex_unlock(&h->lock);
    return c != NULL;
}

static void mark_stuck(struct call *c)
{
    pthread_mutex_lock(&c->h->lock);
    c->is_stuck = true;
    c->next_stuck = c->h->stuck;
    c->h->stuck = c;
    pthread_mutex_unlock(&c->h->lock);
}

static void unmark_stuck(struct call *c)
{
    pthread_mutex_lock(&c->h->lock);
    for (struct call **at = &c->h->stuck; c->is_stuck && *at; at = &(*at)->next_stuck)
        if (*at == c) {
            *at = c->next_stuck;
            break;
        }
    pthread_mutex_unlock(&c->h->lock);
}

static void call_work(struct hf_job *job)
{
    struct call *c = of_job(job);
    char id[HF_UUID_STR];
    virConnectPtr conn;
    if (domain_is_stuck(c->h, &c->uuid)) {
        c->st = hf_error(HF_UNAVAILABLE, "libvirt has not come back from an earlier call to the domain %s",
                         hf_uuid_format(&c->uuid, id));
        return;
    }
    c->st = hf_libvirt_pool_take(c->h->pool, &conn);
    if (!hf_ok(c->st))
        return;
    c->st = c->run(c, conn);
    hf_libvirt_pool_give(c->h->pool, conn);
}

static void call_done(struct hf_job *job, hf_status st)
{
    struct call *c = of_job(job);
    if (hf_status_code(st) == HF_TIMEOUT)
        mark_stuck(c);
    bool ended = hf_ok(st);
    if (ended)
        st = c->st;
    static const struct hf_vm_progress nothing;
    if (c->list_cb)
        c->list_cb(c->arg, st, hf_ok(st) ? c->seen : NULL, hf_ok(st) ? c->n_seen : 0);
    else if (c->progress_cb)
        c->progress_cb(c->arg, st, hf_ok(st) ? &c->progress : &nothing);
    else
        c->done_cb(c->arg, st);
}

static void call_end(struct hf_job *job)
{
    struct call *c = of_job(job);
    unmark_stuck(c);
    hf_status_drop(c->st);
    free(c->xml);
    free(c->target_address);
    free(c->seen);
    driver_unref(c->h);
    free(c);
}

static struct call *new_call(struct hf_hypervisor *hypervisor, const struct hf_uuid *u,
                             hf_status (*run)(struct call *, virConnectPtr), void *arg)
{
    struct vm_libvirt *h = of(hypervisor);
    struct call *c = HF_NEW(struct call);
    HF_ASSERT(!h->closing);
    atomic_fetch_add(&h->refs, 1);
    c->job = (struct hf_job){.work = call_work, .done = call_done, .end = call_end};
    c->h = h;
    c->run = run;
    c->arg = arg;
    if (u)
        c->uuid = *u;
    return c;
}

static hf_status run_verb(struct call *c, virConnectPtr conn)
{
    return c->verb(conn, &c->uuid);
}

static hf_status run_start(struct call *c, virConnectPtr conn)
{
    HF_TRY(hf_libvirt_secrets_define(c->h->secrets, conn));
    return hf_libvirt_domain_start(conn, &c->uuid, c->xml, &c->mark);
}

/* Lists are asked for after each reconnect: so a libvirtd that is new knows the keys before a guest arrives. */
static hf_status run_list(struct call *c, virConnectPtr conn)
{
    hf_status_drop(hf_libvirt_secrets_define(c->h->secrets, conn)); /* a start says why it cannot */
    return hf_libvirt_domain_list(conn, &c->seen, &c->n_seen);
}

static void call_verb(struct hf_hypervisor *h, const struct hf_uuid *u,
                      hf_status (*verb)(virConnectPtr, const struct hf_uuid *), unsigned deadline_ms,
                      hf_vm_done_cb cb, void *arg)
{
    struct call *c = new_call(h, u, run_verb, arg);
    c->done_cb = cb;
    c->verb = verb;
    hf_worker_submit(c->h->worker, &c->job, deadline_ms);
}

/* For specs that no XML can carry: the answer still comes from the loop, later. */
static void work_nothing(struct hf_job *job)
{
    (void)job;
}

static void vm_start(struct hf_hypervisor *h, const struct hf_vm_spec *spec, unsigned deadline_ms,
                     hf_vm_done_cb cb, void *arg)
{
    struct call *c = new_call(h, &spec->uuid, run_start, arg);
    c->done_cb = cb;
    c->mark = (struct hf_domain_mark){.host_uuid = spec->host_uuid, .epoch = spec->epoch, .run = spec->run};
    c->st = hf_domain_xml_build(spec, &c->h->xml, &c->xml);
    if (!hf_ok(c->st))
        c->job.work = work_nothing;
    hf_worker_submit(c->h->worker, &c->job, deadline_ms);
}

static void vm_shutdown(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms,
                        hf_vm_done_cb cb, void *arg)
{
    call_verb(h, u, hf_libvirt_domain_shutdown, deadline_ms, cb, arg);
}

static void vm_destroy(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms,
                       hf_vm_done_cb cb, void *arg)
{
    call_verb(h, u, hf_libvirt_domain_destroy, deadline_ms, cb, arg);
}

static void vm_reboot(struct hf_hypervisor *h, const struct hf_uuid *u, bool reset, unsigned deadline_ms,
                      hf_vm_done_cb cb, void *arg)
{
    call_verb(h, u, reset ? hf_libvirt_domain_reset : hf_libvirt_domain_reboot, deadline_ms, cb, arg);
}

static void vm_pause(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms, hf_vm_done_cb cb,
                     void *arg)
{
    call_verb(h, u, hf_libvirt_domain_pause, deadline_ms, cb, arg);
}

static void vm_resume(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms,
                      hf_vm_done_cb cb, void *arg)
{
    call_verb(h, u, hf_libvirt_domain_resume, deadline_ms, cb, arg);
}

static void vm_list(struct hf_hypervisor *h, unsigned deadline_ms, hf_vm_list_cb cb, void *arg)
{
    struct call *c = new_call(h, NULL, run_list, arg);
    c->list_cb = cb;
    hf_worker_submit(c->h->worker, &c->job, deadline_ms);
}

static hf_status run_migrate(struct call *c, virConnectPtr conn)
{
    c->migration.target_address = c->target_address;
    return hf_libvirt_migrate(conn, &c->migration, !c->h->plain_migration);
}

static hf_status run_progress(struct call *c, virConnectPtr conn)
{
    return hf_libvirt_migrate_progress(conn, &c->uuid, &c->progress);
}

static void vm_migrate(struct hf_hypervisor *h, const struct hf_vm_migration *m, unsigned deadline_ms,
                       hf_vm_done_cb cb, void *arg)
{
    struct call *c = new_call(h, &m->uuid, run_migrate, arg);
    c->done_cb = cb;
    c->migration = *m;
    c->target_address = hf_strdup(m->target_address);
    hf_worker_submit(c->h->worker, &c->job, deadline_ms);
}

static void vm_migrate_abort(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms,
                             hf_vm_done_cb cb, void *arg)
{
    call_verb(h, u, hf_libvirt_migrate_abort, deadline_ms, cb, arg);
}

static void vm_migrate_progress(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms,
                                hf_vm_progress_cb cb, void *arg)
{
    struct call *c = new_call(h, u, run_progress, arg);
    c->progress_cb = cb;
    hf_worker_submit(c->h->worker, &c->job, deadline_ms);
}

static hf_status run_grow_disk(struct call *c, virConnectPtr conn)
{
    return hf_libvirt_domain_grow_disk(conn, &c->uuid, c->disk, c->size_bytes);
}

static void vm_grow_disk(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned disk, uint64_t size_bytes,
                         unsigned deadline_ms, hf_vm_done_cb cb, void *arg)
{
    struct call *c = new_call(h, u, run_grow_disk, arg);
    c->done_cb = cb;
    c->disk = disk;
    c->size_bytes = size_bytes;
    hf_worker_submit(c->h->worker, &c->job, deadline_ms);
}

/* --- life --- */

static void on_part_closed(void *arg)
{
    struct vm_libvirt *h = arg;
    if (--h->open_parts > 0)
        return;
    hf_env_uv_close(h->env);
    if (h->closed)
        h->closed(h->closed_arg);
    driver_unref(h);
}

static void vm_close(struct hf_hypervisor *hypervisor, void (*closed)(void *arg), void *arg)
{
    struct vm_libvirt *h = of(hypervisor);
    HF_ASSERT(!h->closing);
    h->closing = true;
    h->closed = closed;
    h->closed_arg = arg;
    hf_libvirt_watch_close(h->watch, on_part_closed, h);
    hf_worker_close(h->worker, on_part_closed, h);
}

static const struct hf_hypervisor_ops libvirt_ops = {
    .start = vm_start,
    .shutdown = vm_shutdown,
    .destroy = vm_destroy,
    .reboot = vm_reboot,
    .pause = vm_pause,
    .resume = vm_resume,
    .list = vm_list,
    .close = vm_close,
    .migrate = vm_migrate,
    .migrate_abort = vm_migrate_abort,
    .migrate_progress = vm_migrate_progress,
    .grow_disk = vm_grow_disk,
};

static hf_status check_options(const struct hf_vm_libvirt_options *o)
{
    static const char *const cpu_modes[] = {"none", "host-model", "host-passthrough"};
    bool known = !o->cpu_mode;
    for (size_t i = 0; !known && i < sizeof cpu_modes / sizeof cpu_modes[0]; i++)
        known = strcmp(o->cpu_mode, cpu_modes[i]) == 0;
    if (!known)
        return hf_error(HF_INVALID, "the CPU mode '%s' is not none, host-model or host-passthrough",
                        o->cpu_mode);
    if (o->cache_mode && strcmp(o->cache_mode, "none") != 0 && strcmp(o->cache_mode, "writethrough") != 0 &&
        strcmp(o->cache_mode, "writeback") != 0)
        return hf_error(HF_INVALID, "the cache mode '%s' is not none, writethrough or writeback",
                        o->cache_mode);
    return HF_STATUS_OK;
}

hf_status hf_vm_libvirt_create(uv_loop_t *loop, const struct hf_vm_libvirt_options *o,
                               const struct hf_hypervisor_events *events, struct hf_hypervisor **ret)
{
    HF_ASSERT(o->uri && o->accelerator);
    HF_TRY(check_options(o));
    struct vm_libvirt *h = HF_NEW(struct vm_libvirt);
    h->hypervisor = (struct hf_hypervisor){.ops = &libvirt_ops, .events = *events};
    h->env = hf_env_uv_create(loop);
    h->emulator = hf_strdup(o->emulator ? o->emulator : "/usr/bin/qemu-system-x86_64");
    h->cpu_mode = hf_strdup(o->cpu_mode ? o->cpu_mode : "none");
    h->cache_mode = hf_strdup(o->cache_mode ? o->cache_mode : "none");
    h->plain_migration = o->plain_migration;
    h->xml = (struct hf_domain_xml_options){.kvm = strcmp(o->accelerator, "kvm") == 0,
                                            .emulator = h->emulator,
                                            .cpu_mode = h->cpu_mode,
                                            .cache_mode = h->cache_mode};
    atomic_init(&h->refs, 1);
    HF_ASSERT(pthread_mutex_init(&h->lock, NULL) == 0);
    xmlInitParser();
    hf_libvirt_start_events();
    h->secrets = hf_libvirt_secrets_create();
    h->pool = hf_libvirt_pool_create(o->uri);
    h->worker = hf_worker_create(h->env, "libvirt", CALL_THREADS_MAX, CALL_QUEUE_MAX);
    h->watch = hf_libvirt_watch_start(h->env, o->uri, events);
    h->open_parts = 2;
    *ret = &h->hypervisor;
    return HF_STATUS_OK;
}

static hf_status run_define(struct call *c, virConnectPtr conn)
{
    return hf_libvirt_secrets_define(c->h->secrets, conn);
}

static void on_defined(void *arg, hf_status st)
{
    (void)arg;
    if (!hf_ok(st)) /* tried again with the next list and the next start */
        hf_warn("libvirt does not have the key of a Ceph storage: %s", hf_status_message(st));
}

void hf_vm_libvirt_set_secret(struct hf_hypervisor *h, const struct hf_uuid *storage, const char *key)
{
    struct call *c = new_call(h, NULL, run_define, NULL);
    c->done_cb = on_defined;
    hf_libvirt_secrets_set(of(h)->secrets, storage, key);
    hf_worker_submit(c->h->worker, &c->job, SECRET_MS); /* a guest may arrive before any is started here */
}
