/* How a host leaves: its machine is about to be switched off, and nothing of it shall be fenced or lost.
 *
 *   asked      by its own operating system: the leader is asked to empty the host (Leave), for as long as the
 * caller's patience lasts, and shorter without a stream; then every instance is stopped here, cleanly ordered
 * by the leader (ShutDown), which has nothing placed here any more closing    either way: the keeper closes
 * the epoch, kills what is left and verifies (host_attach.c) closed     the Hello says so; the leader's
 * ShutDown (recorded) is the end, or a few seconds without one: the lease records say the same
 *
 * A daemon that merely ends (SIGTERM) does nothing of this: guests go on running.
 */
#ifndef HF_HOSTD_HOST_LEAVE_H
#define HF_HOSTD_HOST_LEAVE_H

#include "hostd/host.h"

#define HF_LEAVE_ALONE_MS   15000 /* without a stream for so long the leader is not waited for any more */
#define HF_LEAVE_STOP_MS    90000 /* for the clean stops; then what is left is killed */
#define HF_LEAVE_GOODBYE_MS 10000 /* for the leader's answer to the last Hello */

/* It is leaving, so every Hello is preceded by Leave and no new epoch is taken. */
bool hf_leave_begun(const struct hf_host *h);
/* Every instance here is to be stopped, whatever is assigned. */
bool hf_leave_stops_all(const struct hf_host *h);

/* Leave, up the stream that is open. */
void hf_leave_say(struct hf_host *h);
/* The leader's order. */
hf_status hf_leave_ordered(struct hf_host *h, const Holdfast__V1__ShutDown *d);
/* The epoch is closed and nothing of it runs. */
void hf_leave_closed(struct hf_host *h);
void hf_leave_done(struct hf_host *h);

#endif
