#include "base/mailbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

#include "base/assert.h"
#include "base/mem.h"

struct hf_mailbox {
    uv_async_t async;
    void (*closed)(void *arg);
    void *closed_arg;
    pthread_mutex_t lock; /* for all below */
    struct hf_mail *first, **end;
    bool open;
    unsigned refs;
};

static struct hf_mail *take_all(struct hf_mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    struct hf_mail *mail = m->first;
    m->first = NULL;
    m->end = &m->first;
    pthread_mutex_unlock(&m->lock);
    return mail;
}

static void deliver(struct hf_mail *mail)
{
    while (mail) {
        struct hf_mail *next = mail->next;
        mail->deliver(mail);
        mail = next;
    }
}

static void on_async(uv_async_t *async)
{
    deliver(take_all(async->data));
}

struct hf_mailbox *hf_mailbox_create(struct hf_env *env)
{
    struct hf_mailbox *m = HF_NEW(struct hf_mailbox);
    HF_ASSERT(uv_async_init(hf_env_uv_loop(env), &m->async, on_async) == 0);
    m->async.data = m;
    HF_ASSERT(pthread_mutex_init(&m->lock, NULL) == 0);
    m->end = &m->first;
    m->open = true;
    m->refs = 1;
    return m;
}

struct hf_mailbox *hf_mailbox_ref(struct hf_mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    m->refs++;
    pthread_mutex_unlock(&m->lock);
    return m;
}

void hf_mailbox_unref(struct hf_mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    HF_ASSERT(m->refs > 0);
    bool last = --m->refs == 0;
    pthread_mutex_unlock(&m->lock);
    if (!last)
        return;
    HF_ASSERT(!m->open && !m->first);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

bool hf_mailbox_post(struct hf_mailbox *m, struct hf_mail *mail)
{
    pthread_mutex_lock(&m->lock);
    bool open = m->open;
    if (open) {
        mail->next = NULL;
        *m->end = mail;
        m->end = &mail->next;
        /* Under the lock, so that the handle cannot be closed between the look and the call. */
        HF_ASSERT(uv_async_send(&m->async) == 0);
    }
    pthread_mutex_unlock(&m->lock);
    return open;
}

static void on_closed(uv_handle_t *handle)
{
    struct hf_mailbox *m = handle->data;
    if (m->closed)
        m->closed(m->closed_arg);
    hf_mailbox_unref(m);
}

void hf_mailbox_close(struct hf_mailbox *m, void (*closed)(void *arg), void *arg)
{
    pthread_mutex_lock(&m->lock);
    HF_ASSERT(m->open);
    m->open = false;
    pthread_mutex_unlock(&m->lock);
    m->closed = closed;
    m->closed_arg = arg;
    uv_close((uv_handle_t *)&m->async, on_closed);
    deliver(take_all(m));
}
