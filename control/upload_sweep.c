#include "control/upload_sweep.h"

#include <stdlib.h>

#include "base/mem.h"
#include "control/upload_record.h"

struct hf_upload_sweep {
    struct hf_control *control;
    struct hf_timer timer;
    int64_t led_ms; /* loop clock: since then a leader has been known; 0: none is */
    bool settled;
};

struct look {
    const struct hf_store *store;
    uint64_t node_id;
};

static bool wanted(void *arg, const struct hf_uuid *image)
{
    const struct look *l = arg;
    char text[HF_UUID_STR];
    struct hf_upload_file file;
    hf_status st = hf_upload_record_find(l->store, hf_uuid_format(image, text), l->node_id, &file);
    bool here = hf_ok(st);
    hf_status_drop(st);
    return here;
}

static void look(void *arg)
{
    struct hf_upload_sweep *s = arg;
    struct hf_control *c = s->control;
    struct hf_replica_state state;
    int64_t now = hf_env_now_ms(c->env);
    hf_replica_state(c->replica, &state);
    if (state.leader_id == 0)
        s->led_ms = 0;
    else if (s->led_ms == 0)
        s->led_ms = now;
    else if (now - s->led_ms >= HF_UPLOAD_SETTLE_MS)
        s->settled = true;
    if (s->settled) {
        struct look l = {hf_control_store(c), state.id};
        c->uploads->ops->sweep(c->uploads, wanted, &l);
    }
    hf_timer_start(c->env, &s->timer, HF_UPLOAD_SWEEP_MS, look, s);
}

struct hf_upload_sweep *hf_upload_sweep_start(struct hf_control *c)
{
    struct hf_upload_sweep *s = HF_NEW(struct hf_upload_sweep);
    s->control = c;
    hf_timer_start(c->env, &s->timer, HF_UPLOAD_SWEEP_MS, look, s);
    return s;
}

void hf_upload_sweep_stop(struct hf_upload_sweep *s)
{
    hf_timer_stop(&s->timer);
    free(s);
}
