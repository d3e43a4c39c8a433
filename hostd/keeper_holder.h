/* The watchdog's holder: a process of its own, hf-lease again, that keeps the device open when the keeper
 * dies. Linux pets a device that is closed without being disarmed, and a process that dies closes its files:
 * such a pet rests on no lease, and T has no room for it (docs/model.md, finding 1). The holder has one
 * descriptor and no other job: its memory is locked, it takes no signal but SIGKILL, and it gives a copy to
 * the next keeper. A keeper sees at once that its holder has ended, and makes another; only both killed at
 * the same time pet.
 *
 * A process rather than the descriptor store of a service manager, so that it holds on every host, also where
 * none looks after the keeper.
 */
#ifndef HF_HOSTD_KEEPER_HOLDER_H
#define HF_HOSTD_KEEPER_HOLDER_H

#include "base/status.h"

struct hf_keeper_holder {
    char path[108]; /* its socket */
    int fd;         /* connection to it, to be polled: it has ended when something comes; -1: there is none */
};

/* Finds the holder that an earlier keeper left, or starts one. ret_device: the descriptor that it has kept,
 * the caller's from here on, or -1. */
hf_status hf_keeper_holder_open(struct hf_keeper_holder *h, const char *path, int *ret_device) HF_MUST_USE;
/* There is none any more (fd is -1): starts another one. */
hf_status hf_keeper_holder_renew(struct hf_keeper_holder *h) HF_MUST_USE;
/* From here on it keeps a copy of this descriptor, in place of one that it had. */
void hf_keeper_holder_keep(struct hf_keeper_holder *h, int device);
/* It closes its copy and ends; waited for, but not for long. */
void hf_keeper_holder_let_go(struct hf_keeper_holder *h);

/* The holder itself: fds 3 and 4 are its listening socket and the connection of the keeper that made it. */
#define HF_KEEPER_HOLDER_ARGUMENT "--hold-watchdog"
int hf_keeper_holder_main(void);

#endif
