/* What the keeper's threads (disks, processes) tell its loop: letters under a lock and an eventfd to poll. */
#ifndef HF_HOSTD_KEEPER_INBOX_H
#define HF_HOSTD_KEEPER_INBOX_H

#include <pthread.h>

#include "ha/lease_rules.h"

struct hf_keeper_letter {
    struct hf_keeper_letter *next;
    struct hf_lease_event event; /* RENEWED or SURVEYED; points into the letter */
    char text[HF_LEASE_EFFECT_TEXT / 2];
    struct hf_lease_proc procs[];
};

/* A letter with room for so many processes, about something that went as st says, which is dropped. */
struct hf_keeper_letter *hf_keeper_letter(enum hf_lease_event_kind kind, hf_status st, size_t n_procs);

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

/* The clock of the rules: milliseconds of CLOCK_BOOTTIME, which counts pauses. */
int64_t hf_keeper_now_ms(void);

/* A thread with a small stack (all memory of the keeper is locked) that nobody joins: it may hang in the
 * kernel. */
void hf_keeper_thread_start(void *(*main_fn)(void *), void *arg);

#endif
