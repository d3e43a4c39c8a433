#include "hostd/keeper_inbox.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"

#define STACK_BYTES (256 * 1024)

hf_status hf_keeper_inbox_init(struct hf_keeper_inbox *b)
{
    b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (b->fd < 0)
        return hf_errno(errno, "create an eventfd");
    pthread_mutex_init(&b->lock, NULL);
    b->first = NULL;
    b->last = &b->first;
    return HF_STATUS_OK;
}

struct hf_keeper_letter *hf_keeper_letter(enum hf_lease_event_kind kind, hf_status st, size_t n_procs)
{
    struct hf_keeper_letter *l = hf_alloc(sizeof *l + n_procs * sizeof l->procs[0]);
    l->event = (struct hf_lease_event){
        .kind = kind, .ok = hf_ok(st), .text = l->text, .procs = l->procs, .n_procs = n_procs};
    snprintf(l->text, sizeof l->text, "%s", hf_status_message(st));
    hf_status_drop(st);
    return l;
}

void hf_keeper_inbox_post(struct hf_keeper_inbox *b, struct hf_keeper_letter *letter)
{
    letter->next = NULL;
    pthread_mutex_lock(&b->lock);
    *b->last = letter;
    b->last = &letter->next;
    pthread_mutex_unlock(&b->lock);
    uint64_t one = 1;
    ssize_t n = write(b->fd, &one, sizeof one);
    (void)n; /* a full counter is readable all the same */
}

struct hf_keeper_letter *hf_keeper_inbox_take(struct hf_keeper_inbox *b)
{
    pthread_mutex_lock(&b->lock);
    struct hf_keeper_letter *letter = b->first;
    if (letter) {
        b->first = letter->next;
        if (!b->first)
            b->last = &b->first;
    } else {
        uint64_t count;
        ssize_t n = read(b->fd, &count, sizeof count);
        (void)n;
    }
    pthread_mutex_unlock(&b->lock);
    return letter;
}

int64_t hf_keeper_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void hf_keeper_thread_start(void *(*main_fn)(void *), void *arg)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int err = pthread_create(&thread, &attr, main_fn, arg);
    HF_ASSERT(err == 0); /* a keeper that cannot do its work must not stand in the way of the watchdog */
    pthread_attr_destroy(&attr);
}
