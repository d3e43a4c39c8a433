#include "control/power_evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool answered_off(const Holdfast__V1__Evidence *e, const Holdfast__V1__PowerDevice *d)
{
    for (size_t i = 0; i < e->n_power; i++)
        if (strcmp(e->power[i]->device, d->name) == 0 && strcmp(e->power[i]->agent, d->agent) == 0 &&
            e->power[i]->level == d->level && strcmp(e->power[i]->status, "off") == 0)
            return true;
    return false;
}

/* The host has devices of this level, and each of them says off. */
static bool level_is_off(const Holdfast__V1__Evidence *e, const Holdfast__V1__Host *host, uint32_t level)
{
    size_t n = 0;
    for (size_t i = 0; host != NULL && host->spec != NULL && i < host->spec->n_power_fencing; i++) {
        const Holdfast__V1__PowerDevice *d = host->spec->power_fencing[i];
        if (d->level != level)
            continue;
        if (!answered_off(e, d))
            return false;
        n++;
    }
    return n > 0;
}

const char *hf_power_evidence_problem(const Holdfast__V1__Evidence *e, const Holdfast__V1__Host *host,
                                      bool fenced_before, char *why, size_t len)
{
    if (!fenced_before) {
        snprintf(why, len, "power counts only when it is off behind the committed fence");
        return why;
    }
    if (e->required_ms <= 0 || e->silent_ms < e->required_ms) {
        snprintf(why, len, "power that is off for %" PRId64 " ms is no evidence: %" PRId64 " ms are needed",
                 e->silent_ms, e->required_ms);
        return why;
    }
    for (size_t i = 0; i < e->n_power; i++)
        if (level_is_off(e, host, e->power[i]->level))
            return NULL;
    snprintf(why, len, "it has no level of power devices that all say off");
    return why;
}
