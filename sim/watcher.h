/* A client that watches: it follows the changes of instances and zones by one stream after the other, each at
 * whichever node takes it, and goes on where the last one ended. Now and then it lists them, and compares
 * what the list says at its revision with what the stream has told up to there: no event may be missing.
 */
#ifndef HF_SIM_WATCHER_H
#define HF_SIM_WATCHER_H

#include "sim/client.h"

struct sim_watcher;

struct sim_watcher *sim_watcher_create(struct sim_world *w);
void sim_watcher_begin(struct sim_watcher *t);
void sim_watcher_end(struct sim_watcher *t); /* no more lists; the stream goes on */
uint64_t sim_watcher_events(const struct sim_watcher *t);
uint64_t sim_watcher_compared(const struct sim_watcher *t); /* lists that agreed */
/* Ends its process, while there is a queue. */
void sim_watcher_stop(struct sim_watcher *t);
void sim_watcher_free(struct sim_watcher *t);

#endif
