#include "hostd/keeper_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Views outlive packets, so what they name is a literal. */
static const char *watchdog_literal(const char *text, size_t len)
{
    static const char *const kinds[] = {"hardware", "stand-in", "software"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strncmp(text, kinds[i], len) == 0)
            return kinds[i];
    }
    return "none";
}

static bool fits(const struct hf_keeper_wire_view *w, size_t len)
{
    return len >= sizeof *w && w->n_storages <= HF_KEEPER_STORAGES_MAX &&
           w->n_runs <= HF_KEEPER_RUNS_MAX + HF_KEEPER_TOMBS_MAX &&
           len == sizeof *w + w->n_storages * sizeof(struct hf_keeper_wire_storage) +
                      w->n_runs * sizeof(struct hf_keeper_wire_run);
}

hf_status hf_keeper_view_decode(const uint8_t *packet, size_t len, struct hf_keeper_view_packet *ret)
{
    const struct hf_keeper_wire_view *w = (const void *)packet;
    if (!fits(w, len))
        return hf_error(HF_INTERNAL, "the keeper's view is malformed");
    const struct hf_keeper_wire_storage *ws = (const void *)(w + 1);
    const struct hf_keeper_wire_run *wr = (const void *)(ws + w->n_storages);
    ret->runs = hf_alloc_array(w->n_runs + 1, sizeof *ret->runs);
    for (uint32_t i = 0; i < w->n_storages; i++)
        ret->storages[i] = (struct hf_keeper_storage){.uuid = ws[i].uuid,
                                                      .age_ms = ws[i].age_ms,
                                                      .closed = ws[i].closed,
                                                      .suspended = ws[i].suspended,
                                                      .session = ws[i].session};
    for (uint32_t i = 0; i < w->n_runs; i++)
        ret->runs[i] = (struct hf_keeper_run){.instance = wr[i].instance,
                                              .run = wr[i].run,
                                              .state = (enum hf_keeper_run_state)wr[i].state,
                                              .frozen = wr[i].frozen != 0,
                                              .incoming = wr[i].incoming != 0,
                                              .handed_over = wr[i].handed_over != 0,
                                              .pid = wr[i].pid};
    _Static_assert(sizeof ret->profile == sizeof w->profile + 1, "room for an end mark");
    memset(ret->profile, 0, sizeof ret->profile);
    memcpy(ret->profile, w->profile, sizeof w->profile);
    _Static_assert(sizeof ret->watchdog_problem == sizeof w->watchdog_problem + 1, "room for an end mark");
    memset(ret->watchdog_problem, 0, sizeof ret->watchdog_problem);
    memcpy(ret->watchdog_problem, w->watchdog_problem, sizeof w->watchdog_problem);
    ret->view = (struct hf_keeper_view){.host_uuid = w->host,
                                        .epoch = w->epoch,
                                        .epoch_closed = w->epoch_closed,
                                        .clean = w->clean,
                                        .max_term = w->max_term,
                                        .watchdog = watchdog_literal(w->watchdog, sizeof w->watchdog),
                                        .watchdog_problem = ret->watchdog_problem,
                                        .profile = ret->profile,
                                        .storages = ret->storages,
                                        .n_storages = w->n_storages,
                                        .runs = ret->runs,
                                        .n_runs = w->n_runs};
    memcpy(ret->view.boot_id, w->boot_id, sizeof ret->view.boot_id - 1);
    return HF_STATUS_OK;
}

void hf_keeper_view_done(struct hf_keeper_view_packet *p)
{
    free(p->runs);
}
