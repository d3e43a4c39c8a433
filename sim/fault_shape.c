/* What each kind of fault is about: subjects, words, numbers. */
#include <stdlib.h>

#include "sim/schedule.h"

/* clang-format off */
static const struct sim_fault_shape shapes[SIM_FAULT_KINDS] = {
    [SIM_FAULT_HOST_POWER] = {.subject = SIM_SUBJECT_HOST, .lasts = true,
        .about = "power is cut, and comes back"},
    [SIM_FAULT_HOST_PAUSE] = {.subject = SIM_SUBJECT_HOST, .lasts = true,
        .about = "the machine stands still, guests included; its watchdog counts on"},
    [SIM_FAULT_HOSTD_CRASH] = {.subject = SIM_SUBJECT_HOST,
        .about = "the host daemon dies; its supervisor starts it again"},
    [SIM_FAULT_HOSTD_PAUSE] = {.subject = SIM_SUBJECT_HOST, .lasts = true,
        .about = "the host daemon stands still"},
    [SIM_FAULT_KEEPER_CRASH] = {.subject = SIM_SUBJECT_HOST,
        .about = "the lease keeper dies; its supervisor starts it again"},
    [SIM_FAULT_KEEPER_PAUSE] = {.subject = SIM_SUBJECT_HOST, .lasts = true,
        .about = "the lease keeper stands still"},
    [SIM_FAULT_LIBVIRT_DOWN] = {.subject = SIM_SUBJECT_HOST,
        .about = "libvirtd is down for a while; guests go on"},
    [SIM_FAULT_LIBVIRT_CALL] = {.subject = SIM_SUBJECT_HOST, .other = SIM_SUBJECT_CALL, .lasts = true,
        .words = {"fails", "lost-order", "lost-answer", "late"}, .number = "times", .limits = {1, 1000},
        .about = "the next calls of one kind fail, get lost, lose their answer, or are done after their deadline"},
    [SIM_FAULT_UNKILLABLE] = {.subject = SIM_SUBJECT_HOST, .lasts = true,
        .about = "QEMU processes are stuck in the kernel: no signal ends them"},
    [SIM_FAULT_GUEST_CRASH] = {.subject = SIM_SUBJECT_HOST, .number = "guest", .limits = {0, 1000000},
        .about = "a guest ends by itself (the n-th of those that run there, counted around)"},
    [SIM_FAULT_NODE_POWER] = {.subject = SIM_SUBJECT_NODE, .lasts = true,
        .about = "power is cut, and comes back"},
    [SIM_FAULT_NODE_CRASH] = {.subject = SIM_SUBJECT_NODE,
        .about = "the control node's process dies; its supervisor starts it again"},
    [SIM_FAULT_NODE_PAUSE] = {.subject = SIM_SUBJECT_NODE, .lasts = true,
        .about = "the control node stands still"},
    [SIM_FAULT_NODE_DISK] = {.subject = SIM_SUBJECT_NODE, .lasts = true,
        .words = {"slow", "hang", "full"}, .number = "ms", .limits = {0, 60000},
        .about = "its disk takes up to so much longer, hangs, or is full"},
    [SIM_FAULT_LEADER_CHANGE] = {.about = "the leader hands over"},
    [SIM_FAULT_NET_CUT] = {.subject = SIM_SUBJECT_MACHINE, .lasts = true,
        .about = "the machine is cut off from all others, both ways"},
    [SIM_FAULT_NET_ONE_WAY] = {.subject = SIM_SUBJECT_MACHINE, .other = SIM_SUBJECT_MACHINE, .lasts = true,
        .about = "nothing passes from the first machine to the second"},
    [SIM_FAULT_NET_PARTITION] = {.lasts = true, .number = "groups", .limits = {0, INT32_MAX},
        .about = "the network falls into two groups, drawn from the number"},
    [SIM_FAULT_NET_POOR] = {.subject = SIM_SUBJECT_PLACES, .lasts = true,
        .words = {"light", "heavy"}, .number = "ms", .limits = {1, 60000},
        .about = "datagrams are lost, doubled, overtake each other; everything takes up to so much longer"},
    [SIM_FAULT_STORAGE_HANG] = {.subject = SIM_SUBJECT_HOST, .other = SIM_SUBJECT_ON_HOST, .lasts = true,
        .words = {"hang", "cut"},
        .about = "the host's I/O waits; with 'cut' what is under way is lost"},
    [SIM_FAULT_STORAGE_ERROR] = {.subject = SIM_SUBJECT_HOST, .other = SIM_SUBJECT_ON_HOST, .lasts = true,
        .about = "the host's I/O is answered with an error"},
    [SIM_FAULT_STORAGE_LATE] = {.subject = SIM_SUBJECT_HOST, .other = SIM_SUBJECT_ON_HOST, .lasts = true,
        .number = "ms", .limits = {1, 60000},
        .about = "the host's I/O takes up to so much longer, and a write may land after its writer's death"},
    [SIM_FAULT_STORAGE_OUT] = {.subject = SIM_SUBJECT_STORAGE, .lasts = true, .words = {"hang", "error"},
        .about = "the storage serves no host"},
    [SIM_FAULT_CLOCK_RATE] = {.subject = SIM_SUBJECT_MACHINE, .lasts = true,
        .number = "ppm", .limits = {-1000000, 1000000},
        .about = "the machine's clock runs faster or slower; within the drift that the timing header allows for"},
    [SIM_FAULT_WALL_JUMP] = {.subject = SIM_SUBJECT_MACHINE, .number = "ms", .limits = {-864000000, 864000000},
        .about = "the machine's wall clock jumps"},
    [SIM_FAULT_AT_ACT] = {.subject = SIM_SUBJECT_PROCESS, .lasts = true,
        .words = {"crash", "stop", "pause", "power"}, .number = "act", .limits = {1, 1000000},
        .about = "before its n-th act the process dies or stands still, or its machine stands still or loses power"},
    [SIM_FAULT_BUGGIFY] = {.subject = SIM_SUBJECT_POINT, .lasts = true,
        .about = "a rare legal path of the code is taken often"},
    [SIM_FAULT_EXEC] = {.subject = SIM_SUBJECT_HOST, .lasts = true,
        .words = {"slow", "fails"}, .number = "up-to", .limits = {1, 60000},
        .about = "programs take up to so many ms longer to begin, the gate's before its question and QEMU after the "
                 "yes; or so many percent of the QEMUs end as they begin"},
    [SIM_FAULT_STORAGE_HALF] = {.subject = SIM_SUBJECT_HOST, .other = SIM_SUBJECT_ON_HOST, .lasts = true,
        .words = {"write-error", "write-hang", "read-error", "read-hang", "marks-hang", "full", "stale"},
        .about = "the host's writes, or its reads, fail or hang, or those of fence marks alone; nothing new fits; or "
                 "its reads find what was there when this began"},
    [SIM_FAULT_STORAGE_SICK] = {.subject = SIM_SUBJECT_STORAGE, .lasts = true,
        .words = {"write-error", "write-hang", "read-error", "read-hang", "marks-hang", "full"},
        .about = "the same for every host"},
    [SIM_FAULT_RECORDS_GONE] = {.subject = SIM_SUBJECT_STORAGE,
        .about = "the lease directory is emptied: records and marks are gone"},
    [SIM_FAULT_RECORD_JUNK] = {.subject = SIM_SUBJECT_HOST, .other = SIM_SUBJECT_ON_HOST,
        .words = {"damaged", "newer-version", "other-cluster"},
        .about = "the host's lease record is overwritten with what is none of it"},
    [SIM_FAULT_RUN_FULL] = {.subject = SIM_SUBJECT_HOST, .lasts = true,
        .about = "the keeper cannot save its state: its file system is full"},
    [SIM_FAULT_CEPH_MONS] = {.subject = SIM_SUBJECT_CEPH, .lasts = true,
        .words = {"no-quorum", "error", "lost-answer", "late"}, .number = "ms", .limits = {0, 60000},
        .about = "what control nodes ask of the cluster waits for its MONs, is refused, is done without an answer, or "
                 "up to so much later, also when nobody waits any more"},
    [SIM_FAULT_CEPH_ASKER] = {.subject = SIM_SUBJECT_CEPH, .lasts = true,
        .words = {"crash", "hand-over", "pause"}, .number = "ms", .limits = {0, 60000},
        .about = "so long after the cluster has changed its blocklist the control node that asked for it dies, hands "
                 "over, or stands still for a while"},
    [SIM_FAULT_CLIENT_REFUSED] = {.subject = SIM_SUBJECT_HOST, .lasts = true,
        .about = "somebody has put the clients of the guests that are there on their Ceph clusters' blocklists, each alone"},
};
/* clang-format on */

const struct sim_fault_shape *sim_fault_shape(enum sim_fault_kind k)
{
    return &shapes[k];
}

static const char *const calls[] = {"start", "shutdown", "destroy", "reboot", "pause", "resume", "list",
                                    "migrate", "migrate-abort", "migrate-progress"};

const char *sim_hypervisor_call(unsigned i)
{
    return i < sizeof calls / sizeof calls[0] ? calls[i] : NULL;
}

int sim_subject_number(const char *subject, char letter)
{
    if (subject[0] != letter || subject[1] < '1' || subject[1] > '9')
        return -1;
    int number = 0;
    for (const char *p = subject + 1; *p && *p != '/'; p++) {
        if (*p < '0' || *p > '9' || number > 9999)
            return -1;
        number = number * 10 + (*p - '0');
    }
    return number - 1;
}
