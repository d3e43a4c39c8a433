/* The machine's watchdog: hardware that counts by a clock of its own, also while the machine stands still. It
 * fires between its time-out and the grain of its timer after the last pet. */
#include "sim/host_private.h"

static void on_dog(void *arg)
{
    struct sim_host *h = arg;
    int64_t now = sim_now_ns(h->sim);
    h->dog.waits = false;
    if (!h->dog.armed)
        return;
    if (now < h->dog.fires_ns) {
        h->dog.waits = true;
        sim_at(h->sim, h->dog.fires_ns, on_dog, NULL, h);
        return;
    }
    sim_trace(h->sim, h->name, "watchdog: reset");
    sim_mix(h->sim, ++h->dog.fired);
    sim_guests_tell_kill(h, NULL, SIM_KILLED_BY_WATCHDOG);
    sim_host_reset(h);
}

/* On true time what its clock takes for so long. */
static int64_t true_ns(const struct sim_host *h, int64_t ms)
{
    return ms * HF_MS_NS - ms * h->o.watchdog_rate_ppm;
}

void sim_watchdog_pet(struct sim_host *h)
{
    const struct hf_ha_timing *t = h->world->timing;
    int64_t grain_ns = (t->watchdog_worst_ms - t->watchdog_timeout_ms) * HF_MS_NS;
    h->dog.fires_ns =
        sim_now_ns(h->sim) + true_ns(h, t->watchdog_timeout_ms) + sim_rng_between(&h->rng, 0, grain_ns);
    h->dog.armed = true;
    if (h->dog.waits)
        return;
    h->dog.waits = true;
    sim_at(h->sim, h->dog.fires_ns, on_dog, NULL, h);
}

void sim_watchdog_off(struct sim_host *h)
{
    h->dog.armed = false;
}
