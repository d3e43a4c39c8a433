/* Threads for calls that block and may hang: files on a dead storage, a stuck libvirt, netlink. Every job is
 * answered on the loop exactly once and on time; what hangs costs a thread, and when all threads hang, jobs
 * are refused, never queued without end.
 *
 * A job is embedded in its user's struct:
 *   work   on a thread, plain sequential code; leaves its result in the struct.
 *   done   on the loop. OK: work has ended, its result may be read. TIMEOUT: work still runs, look at nothing
 * that it writes. UNAVAILABLE: work has not run and never will. note   on the loop, some time after work
 * called hf_job_notify(), never after done. May be NULL. end    frees the struct, after done and the end of
 * work, on any thread.
 */
#ifndef HF_BASE_WORKER_H
#define HF_BASE_WORKER_H

#include <stdatomic.h>

#include "base/env.h"
#include "base/mailbox.h"
#include "base/status.h"

struct hf_worker;

struct hf_job {
    void (*work)(struct hf_job *job);
    void (*done)(struct hf_job *job, hf_status st); /* st is borrowed */
    void (*note)(struct hf_job *job);
    void (*end)(struct hf_job *job);

    /* The worker's own. */
    struct hf_worker *worker;
    struct hf_job *next;
    struct hf_mail result, notice;
    struct hf_timer deadline;
    int64_t deadline_ns;
    atomic_uint refs;
    atomic_bool expired, noticed;
    int state;
    bool answered;
};

/* name: for the operator and the threads, at most 12 characters. threads_max: started as needed. queue_max:
 * jobs that wait for a thread; one more is answered with UNAVAILABLE. */
struct hf_worker *hf_worker_create(struct hf_env *env, const char *name, unsigned threads_max,
                                   unsigned queue_max);

/* Loop thread. Never calls back before it returns. */
void hf_worker_submit(struct hf_worker *w, struct hf_job *job, unsigned deadline_ms);

/* On the job's thread. */
bool hf_job_expired(struct hf_job *job);           /* nobody waits any more: give up where that is safe */
unsigned hf_job_left_ms(const struct hf_job *job); /* until the deadline */
void hf_job_notify(struct hf_job *job);

/* No more jobs; those under way are answered first. closed (may be NULL) is called on the loop. A thread that
 * hangs is left behind with what it holds. */
void hf_worker_close(struct hf_worker *w, void (*closed)(void *arg), void *arg);

#endif
