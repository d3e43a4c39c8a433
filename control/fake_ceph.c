#include "control/fake_ceph.h"

#include <jansson.h>

#include "control/ceph_runner.h"

#define ASK_MS 50

struct fake_ceph {
    struct hf_ceph_runner runner;
    struct hf_env *env;
    struct question *asked; /* not answered yet */
};

struct question {
    struct fake_ceph *ceph;
    struct question *next;
    hf_ceph_answered answered;
    void *arg;
    struct hf_timer timer;
};

static void say(void *arg)
{
    static const char answer[] =
        "{\"fsid\":\"f\",\"health\":\"HEALTH_OK\",\"health_message\":\"\",\"keys\":[],"
        "\"entries\":[\"10.0.0.5:0/0\"],\"by_clients\":false,\"shared_with\":\"\",\"osdmap_epoch\":7}";
    struct question *q = arg, **at = &q->ceph->asked;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    q->answered(q->arg, HF_STATUS_OK, answer);
    free(q);
}

static void ask(struct hf_ceph_runner *r, const char *question, unsigned timeout_ms,
                hf_ceph_answered answered, void *arg)
{
    struct fake_ceph *f = hf_container_of(r, struct fake_ceph, runner);
    struct question *q = HF_NEW(struct question);
    (void)question;
    (void)timeout_ms;
    *q = (struct question){.ceph = f, .next = f->asked, .answered = answered, .arg = arg};
    f->asked = q;
    hf_timer_start(f->env, &q->timer, ASK_MS, say, q);
}

static const struct hf_ceph_runner_ops ops = {.ask = ask};

void fake_ceph_play(struct cloud *c)
{
    struct fake_ceph *f = HF_NEW(struct fake_ceph);
    *f = (struct fake_ceph){.runner.ops = &ops, .env = c->controls[0].env};
    for (unsigned i = 0; i < MEMBERS; i++)
        c->controls[i].ceph = &f->runner;
    c->ceph = f;
}

void fake_ceph_free(struct fake_ceph *f)
{
    while (f != NULL && f->asked != NULL) {
        struct question *q = f->asked;
        f->asked = q->next;
        hf_timer_stop(&q->timer);
        hf_status st = hf_error(HF_CANCELLED, "the test ends");
        q->answered(q->arg, st, NULL);
        hf_status_drop(st);
        free(q);
    }
    free(f);
}
