#include "hostd/keeper_inbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

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
