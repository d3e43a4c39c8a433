#include "control/fake_bmc.h"

static void carry_out(void *arg)
{
    struct bmc_order *o = arg;
    struct bmcs *b = o->bmcs;
    struct fake_host *h = &b->cloud->hosts[0];
    enum bmc_mode mode = o->pdu ? b->pdu : b->bmc;
    o->open = false;
    if (mode == BMC_HANGS) {
        o->answered(o->arg, HF_POWER_UNKNOWN, "no answer within 20 s");
    } else if (mode == BMC_REFUSES || strcmp(o->secret, BMC_PASSWORD) != 0) {
        o->answered(o->arg, HF_POWER_REFUSED, "wrong password");
    } else if (o->verb == HF_POWER_STATUS) {
        bool off = mode == BMC_LIES || (!h->up && mode != BMC_KEEPS_ON);
        o->answered(o->arg, off ? HF_POWER_IS_OFF : HF_POWER_IS_ON, "");
    } else {
        if (o->verb == HF_POWER_OFF && !is_fenced(b->cloud, 0, 1))
            b->off_before_fence = true;
        if (o->verb == HF_POWER_ON && mode == BMC_WORKS && !h->up)
            host_power_on(h);
        if (o->verb == HF_POWER_OFF && mode == BMC_WORKS) {
            b->offs++;
            if (h->up)
                host_power_off(h);
        }
        o->answered(o->arg, HF_POWER_ACCEPTED, "");
    }
}

static void *bmcs_run(struct hf_power_runner *r, const struct hf_power_order *order,
                      hf_power_answered answered, void *arg)
{
    struct bmcs *b = hf_container_of(r, struct bmcs, runner);
    assert_true(b->orders < BMC_ORDERS_MAX);
    struct bmc_order *o = &b->list[b->orders++];
    *o = (struct bmc_order){.bmcs = b, .open = true, .verb = order->verb, .answered = answered, .arg = arg};
    for (size_t i = 0; i < order->n_options; i++) {
        if (strcmp(order->options[i].name, "ip") == 0)
            o->pdu = strcmp(order->options[i].value, "pdu") == 0;
        if (order->options[i].secret)
            snprintf(o->secret, sizeof o->secret, "%s", order->options[i].value);
    }
    bool hangs = (o->pdu ? b->pdu : b->bmc) == BMC_HANGS;
    hf_timer_start(b->cloud->raft.env, &o->timer, hangs ? order->timeout_ms : BMC_AGENT_MS, carry_out, o);
    return o;
}

static void bmcs_cancel(struct hf_power_runner *r, void *run)
{
    struct bmcs *b = hf_container_of(r, struct bmcs, runner);
    struct bmc_order *o = run;
    assert_true(o->open);
    o->open = false;
    b->cancelled++;
    hf_timer_stop(&o->timer);
}

static const struct hf_power_runner_ops ops = {bmcs_run, bmcs_cancel};

struct bmcs *bmcs_create(struct cloud *c)
{
    struct bmcs *b = HF_NEW(struct bmcs);
    b->runner.ops = &ops;
    b->cloud = c;
    for (unsigned i = 0; i < MEMBERS; i++)
        c->controls[i].power = &b->runner;
    return b;
}

static Holdfast__V1__PowerDevice__Option **one_option(const char *name, const char *value, size_t *ret_n)
{
    Holdfast__V1__PowerDevice__Option **list = hf_alloc_array(1, sizeof *list);
    list[0] = HF_NEW(Holdfast__V1__PowerDevice__Option);
    holdfast__v1__power_device__option__init(list[0]);
    hf_pb_set(&list[0]->name, name);
    hf_pb_set(&list[0]->value, value);
    *ret_n = 1;
    return list;
}

Holdfast__V1__PowerDevice *bmc_device(const char *name, uint32_t level)
{
    Holdfast__V1__PowerDevice *d = HF_NEW(Holdfast__V1__PowerDevice);
    holdfast__v1__power_device__init(d);
    hf_pb_set(&d->name, name);
    hf_pb_set(&d->agent, "fence_x");
    d->level = level;
    d->options = one_option("ip", name, &d->n_options);
    d->secrets = one_option("password", BMC_PASSWORD, &d->n_secrets);
    return d;
}
