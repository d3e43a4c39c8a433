/* Who asks Ceph clusters on behalf of a control node: ceph_child.h has a process of its own for each
 * question, tests have theirs. All calls and answers are on the loop.
 *
 * A question and its answer are JSON (hf_ceph.c tells which); both may hold keys. Each is answered exactly
 * once, not later than its time-out and never from within ask(). TIMEOUT: what was asked for may have
 * happened, but the process that asked is gone.
 */
#ifndef HF_CONTROL_CEPH_RUNNER_H
#define HF_CONTROL_CEPH_RUNNER_H

#include "base/status.h"

#define HF_CEPH_ANSWER_MAX (1u << 20)

/* st and answer are borrowed; answer is NULL when st is not OK. */
typedef void (*hf_ceph_answered)(void *arg, hf_status st, const char *answer);

struct hf_ceph_runner;

struct hf_ceph_runner_ops {
    void (*ask)(struct hf_ceph_runner *r, const char *question, unsigned timeout_ms,
                hf_ceph_answered answered, void *arg);
};

struct hf_ceph_runner {
    const struct hf_ceph_runner_ops *ops;
};

#endif
