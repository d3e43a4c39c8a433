/* What all HTTP/2 connections of one server or channel share on their loop: the list of connections that have
 * something to send, flushed once per loop turn, work put off to the end of the turn, and the timers. Loop
 * thread only.
 */
#ifndef HF_RPC_H2_DRIVER_H
#define HF_RPC_H2_DRIVER_H

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/env.h"

#define HF_H2_IN_MAX  (128u << 10) /* bytes read from a socket at once */
#define HF_H2_OUT_MAX (256u << 10) /* bytes written to a socket at once */

/* Something to do before the loop sleeps next. Lives in its user's struct; all zero is not queued. */
struct hf_h2_task {
    TAILQ_ENTRY(hf_h2_task) link;
    void (*run)(struct hf_h2_task *task);
    bool queued;
};

struct hf_h2_driver {
    uv_loop_t *loop;
    struct hf_env *env;             /* deadlines and keepalives */
    uv_prepare_t prepare;           /* runs the tasks, in every turn, right before the loop sleeps */
    uv_idle_t idle;                 /* active while tasks wait, so that the loop does not sleep on them */
    TAILQ_HEAD(, hf_h2_task) tasks; /* in the order they were queued */
    uint8_t *in, *out;              /* HF_H2_IN_MAX and HF_H2_OUT_MAX bytes, shared by all connections: what a
                                       socket does not take at once moves to memory of the connection */
    unsigned handles_open;          /* of the two above, while closing */
    void (*closed)(struct hf_h2_driver *d);
};

void hf_h2_driver_init(struct hf_h2_driver *d, uv_loop_t *loop);
/* No task may be queued any more. closed is called in a later turn; then d may be freed. */
void hf_h2_driver_close(struct hf_h2_driver *d, void (*closed)(struct hf_h2_driver *d));

/* Runs the task before the loop sleeps next; queueing it twice is queueing it once. */
void hf_h2_driver_queue(struct hf_h2_driver *d, struct hf_h2_task *task);
void hf_h2_driver_unqueue(struct hf_h2_driver *d, struct hf_h2_task *task);

#endif
