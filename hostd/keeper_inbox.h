/* What the keeper's threads (disks, processes) tell its loop: letters under a lock and an eventfd to poll. */
#ifndef HF_HOSTD_KEEPER_INBOX_H
#define HF_HOSTD_KEEPER_INBOX_H

#include <pthread.h>

#include "ha/lease_rules.h"

struct hf_keeper_letter {
    struct hf_keeper_letter *next;
    enum hf_lease_event_kind kind; /* RENEWED or SURVEYED */
    struct hf_uuid storage;
    bool ok, marked;
    char text[HF_LEASE_EFFECT_TEXT / 2];
    uint64_t survey;
    size_t n_procs;
    struct hf_lease_proc procs[];
};

struct hf_keeper_inbox {
    int fd; /* readable while letters wait */
    pthread_mutex_t lock;
    struct hf_keeper_letter *first, **last;
};

hf_status hf_keeper_inbox_init(struct hf_keeper_inbox *b) HF_MUST_USE;
/* Any thread; takes the letter (from malloc). */
void hf_keeper_inbox_post(struct hf_keeper_inbox *b, struct hf_keeper_letter *letter);
/* The oldest letter, the caller's from here on, or NULL. */
struct hf_keeper_letter *hf_keeper_inbox_take(struct hf_keeper_inbox *b);

/* A thread with a small stack (all memory of the keeper is locked) that nobody joins: it may hang in the
 * kernel. */
void hf_keeper_thread_start(void *(*main_fn)(void *), void *arg);

#endif
