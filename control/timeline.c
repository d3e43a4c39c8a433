#include "control/timeline.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "control/kinds.h"

typedef Holdfast__V1__TimelineEvent Event;

#define WHAT_MAX 512

void hf_timeline_add(Event ***list, size_t *n, int64_t at_ms, const char *source, const char *what, ...)
{
    if (*n >= HF_TIMELINE_MAX)
        return;
    char text[WHAT_MAX];
    va_list ap;
    va_start(ap, what);
    vsnprintf(text, sizeof text, what, ap);
    va_end(ap);
    Event *e = HF_NEW(Event);
    holdfast__v1__timeline_event__init(e);
    e->at_ms = at_ms;
    hf_pb_set(&e->source, source);
    hf_pb_set(&e->what, text);
    *list = hf_realloc_array(*list, *n + 1, sizeof **list);
    (*list)[(*n)++] = e;
}

bool hf_timeline_has(Event *const *list, size_t n, const char *source, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i]->source, source) == 0 && strcmp(list[i]->what, what) == 0)
            return true;
    return false;
}

void hf_timeline_sort(Event **list, size_t n)
{
    for (size_t i = 1; i < n; i++) /* nearly in order as it is */
        for (size_t k = i; k > 0 && list[k]->at_ms < list[k - 1]->at_ms; k--) {
            Event *later = list[k - 1];
            list[k - 1] = list[k];
            list[k] = later;
        }
}

const char *hf_timeline_leader(const struct hf_control *c, char out[HF_TIMELINE_NAME_MAX])
{
    struct hf_replica_state st;
    hf_replica_state(c->replica, &st);
    snprintf(out, HF_TIMELINE_NAME_MAX, "leader (node %" PRIu64 ")", st.id);
    return out;
}

const char *hf_timeline_observer(const char *host_name, char out[HF_TIMELINE_NAME_MAX])
{
    snprintf(out, HF_TIMELINE_NAME_MAX, "observer %s", host_name);
    return out;
}

const char *hf_timeline_keeper(const char *host_name, char out[HF_TIMELINE_NAME_MAX])
{
    snprintf(out, HF_TIMELINE_NAME_MAX, "%s's keeper", host_name);
    return out;
}
