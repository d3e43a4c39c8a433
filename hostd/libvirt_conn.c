#include "hostd/libvirt_conn.h"

#include <libvirt/virterror.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

#define KEEPALIVE_S     2 /* silence before a libvirtd is asked for a sign of life */
#define KEEPALIVE_COUNT 3 /* unanswered ones that end the connection */
#define IDLE_MAX        8

struct hf_libvirt_pool {
    char *uri;
    pthread_mutex_t lock; /* for all below */
    virConnectPtr idle[IDLE_MAX];
    unsigned n_idle;
};

/* An error that the client side raised while a call was on its way says nothing of what libvirtd made of it.
 */
static enum hf_code code_of(const virError *e)
{
    switch (e->code) {
    case VIR_ERR_NO_DOMAIN:
        return HF_NOT_FOUND;
    case VIR_ERR_DOM_EXIST:
        return HF_EXISTS;
    case VIR_ERR_OPERATION_INVALID:
        return HF_PRECONDITION;
    case VIR_ERR_XML_ERROR:
    case VIR_ERR_XML_DETAIL:
    case VIR_ERR_INVALID_ARG:
    case VIR_ERR_CONFIG_UNSUPPORTED:
        return HF_INVALID;
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_ACCESS_DENIED:
    case VIR_ERR_AUTH_FAILED:
        return HF_DENIED;
    case VIR_ERR_NO_MEMORY:
        return HF_EXHAUSTED;
    default:
        return e->domain == VIR_FROM_RPC || e->domain == VIR_FROM_REMOTE ? HF_UNKNOWN_OUTCOME
                                                                         : HF_UNAVAILABLE;
    }
}

hf_status hf_libvirt_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *context = hf_vprintf(fmt, ap);
    va_end(ap);
    const virError *e = virGetLastError();
    hf_status st =
        e ? hf_error(code_of(e), "%s: %s", context, e->message ? e->message : "libvirt gives no reason")
          : hf_error(HF_UNAVAILABLE, "%s: libvirt gives no reason", context);
    free(context);
    return st;
}

static void *run_events(void *arg)
{
    (void)arg;
    for (;;)
        (void)virEventRunDefaultImpl(); /* an error is that of one handle: the next turn goes on */
    return NULL;
}

static void quiet(void *arg, virErrorPtr e)
{
    (void)arg; /* errors are read where they happen, not written to standard error */
    (void)e;
}

static void start_events(void)
{
    pthread_t thread;
    sigset_t all, before;
    virSetErrorFunc(NULL, quiet);
    HF_ASSERT(virInitialize() == 0 && virEventRegisterDefaultImpl() == 0);
    sigfillset(&all);
    HF_ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    HF_ASSERT(pthread_create(&thread, NULL, run_events, NULL) == 0);
    HF_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    pthread_setname_np(thread, "libvirt-events");
    pthread_detach(thread);
}

void hf_libvirt_start_events(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_events);
}

hf_status hf_libvirt_connect(const char *uri, virConnectPtr *ret, bool *ret_wire)
{
    virConnectPtr conn = virConnectOpen(uri);
    if (!conn) {
        hf_status why = hf_libvirt_error("connect to libvirt at '%s'", uri);
        hf_status st = hf_error(HF_UNAVAILABLE, "%s", hf_status_message(why)); /* nothing was asked for yet */
        hf_status_drop(why);
        return st;
    }
    bool wire = virConnectSetKeepAlive(conn, KEEPALIVE_S, KEEPALIVE_COUNT) == 0;
    if (ret_wire)
        *ret_wire = wire;
    *ret = conn;
    return HF_STATUS_OK;
}

struct hf_libvirt_pool *hf_libvirt_pool_create(const char *uri)
{
    struct hf_libvirt_pool *p = HF_NEW(struct hf_libvirt_pool);
    p->uri = hf_strdup(uri);
    HF_ASSERT(pthread_mutex_init(&p->lock, NULL) == 0);
    return p;
}

void hf_libvirt_pool_free(struct hf_libvirt_pool *p)
{
    for (unsigned i = 0; i < p->n_idle; i++)
        virConnectClose(p->idle[i]);
    pthread_mutex_destroy(&p->lock);
    free(p->uri);
    free(p);
}

static virConnectPtr take_idle(struct hf_libvirt_pool *p)
{
    pthread_mutex_lock(&p->lock);
    virConnectPtr conn = p->n_idle > 0 ? p->idle[--p->n_idle] : NULL;
    pthread_mutex_unlock(&p->lock);
    return conn;
}

hf_status hf_libvirt_pool_take(struct hf_libvirt_pool *p, virConnectPtr *ret)
{
    virConnectPtr conn;
    while ((conn = take_idle(p)) != NULL) {
        if (virConnectIsAlive(conn) == 1) {
            *ret = conn;
            return HF_STATUS_OK;
        }
        virConnectClose(conn);
    }
    return hf_libvirt_connect(p->uri, ret, NULL);
}

void hf_libvirt_pool_give(struct hf_libvirt_pool *p, virConnectPtr conn)
{
    bool keep = virConnectIsAlive(conn) == 1;
    pthread_mutex_lock(&p->lock);
    keep = keep && p->n_idle < IDLE_MAX;
    if (keep)
        p->idle[p->n_idle++] = conn;
    pthread_mutex_unlock(&p->lock);
    if (!keep)
        virConnectClose(conn);
}
