/* The timeline that a fence and a failover keep: who saw, decided or did what, and when. Pure, but for the
 * name of the node. */
#ifndef HF_CONTROL_TIMELINE_H
#define HF_CONTROL_TIMELINE_H

#include "base/status.h"
#include "control/control.h"
#include "holdfast/v1/ha.pb-c.h"

#define HF_TIMELINE_MAX      64 /* events of one object; later ones are dropped: the first tell why it began */
#define HF_TIMELINE_NAME_MAX 128

/* Appends an event to a list as protobuf-c keeps it (repeated TimelineEvent). */
void hf_timeline_add(Holdfast__V1__TimelineEvent ***list, size_t *n, int64_t at_ms, const char *source,
                     const char *what, ...) HF_PRINTF(5, 6);

bool hf_timeline_has(Holdfast__V1__TimelineEvent *const *list, size_t n, const char *source,
                     const char *what);

/* Sorts by time; what happened at the same time stays in order. */
void hf_timeline_sort(Holdfast__V1__TimelineEvent **list, size_t n);

/* "leader (node 2)" */
const char *hf_timeline_leader(const struct hf_control *c, char out[HF_TIMELINE_NAME_MAX]);

/* "observer host-3", "host-1's keeper" */
const char *hf_timeline_observer(const char *host_name, char out[HF_TIMELINE_NAME_MAX]);
const char *hf_timeline_keeper(const char *host_name, char out[HF_TIMELINE_NAME_MAX]);

#endif
