/* Messages from other threads to the loop: a list under a lock and a uv_async. Posting may happen on any
 * thread as long as a reference is held, also after the loop's side has closed it: a thread that hangs may
 * come back late.
 */
#ifndef HF_BASE_MAILBOX_H
#define HF_BASE_MAILBOX_H

#include <stdbool.h>

#include "base/env.h"

/* Lives in its sender's struct; the sender's until posted, the mailbox's until delivered. */
struct hf_mail {
    struct hf_mail *next;
    void (*deliver)(struct hf_mail *mail); /* on the loop */
};

struct hf_mailbox;

/* env must be one of hf_env_uv_create(). */
struct hf_mailbox *hf_mailbox_create(struct hf_env *env);
struct hf_mailbox *hf_mailbox_ref(struct hf_mailbox *m);
void hf_mailbox_unref(struct hf_mailbox *m);

/* False when the mailbox is closed: the mail stays the sender's. Any thread. */
bool hf_mailbox_post(struct hf_mailbox *m, struct hf_mail *mail);

/* Delivers what lies in it, refuses all later mail, drops the loop's reference. closed (may be NULL) is
 * called in a later turn of the loop. */
void hf_mailbox_close(struct hf_mailbox *m, void (*closed)(void *arg), void *arg);

#endif
