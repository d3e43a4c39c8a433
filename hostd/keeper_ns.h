/* For tests of the keeper: a PID namespace of their own, since a keeper kills every guest that it can see,
 * and processes that look like guests. */
#ifndef HF_HOSTD_KEEPER_NS_H
#define HF_HOSTD_KEEPER_NS_H

#include <sys/types.h>

#include "base/uuid.h"

#define KEEPER_NS_SKIP 77

/* First thing in main(). In a copy that plays a guest it never returns. Else it runs body in new PID and
 * mount namespaces, with /proc of its own and a tmpfs at /mnt, and returns its exit code, or KEEPER_NS_SKIP
 * where that is not allowed. */
int keeper_ns_main(int argc, char **argv, int (*body)(void));

enum guest_kind {
    GUEST_PLAIN,
    GUEST_IN_KERNEL,    /* its first thread hangs in the kernel (state D), another one runs */
    GUEST_STUCK,        /* hangs in a file system that does not answer (hung_fs_mount): no signal ends it */
    GUEST_LEADER_ENDED, /* its first thread has ended, another one lives: what a half-dead QEMU looks like */
    GUEST_FOREIGN,      /* a QEMU that is not ours: its name is no UUID */
};

/* A process with the arguments of a guest. It dies only by a signal and is not reaped: a zombie must count as
 * gone. */
pid_t guest_start(const struct hf_uuid *instance, enum guest_kind kind);
/* A file system at /mnt/hung whose server answers nothing: whoever looks a name up there waits in the kernel
 * until hung_fs_release, killed or not. -1: this machine has no FUSE. */
int hung_fs_mount(void);
/* Somebody waits there by now. */
bool hung_fs_waits(void);
void hung_fs_release(int fd);
/* Whether it still runs; reaps it if not. */
bool guest_lives(pid_t pid);

#endif
