/* The packets between hostd, the gate (hf-qemu) and their keeper (hf-lease) on unix sockets of type
 * SOCK_SEQPACKET: one packet, one message, in the machine's own byte order (both ends run on one host). hostd
 * sends requests; the keeper answers each once, in any order, and sends HF_KEEPER_CHANGED when its view
 * changed. Raise the version when a layout or an enum changes.
 */
#ifndef HF_HA_KEEPER_WIRE_H
#define HF_HA_KEEPER_WIRE_H

#include <stdint.h>

#include "base/uuid.h"

#define HF_KEEPER_MAGIC        0x4b504648u /* "HFPK" */
#define HF_KEEPER_WIRE_VERSION 4
#define HF_KEEPER_STORAGES_MAX 16
#define HF_KEEPER_RUNS_MAX     256  /* runs that are not over */
#define HF_KEEPER_TOMBS_MAX    1024 /* tombstones kept */
#define HF_KEEPER_DIR_MAX      1024
#define HF_KEEPER_PROFILE_MAX  16
#define HF_KEEPER_TEXT_MAX     512
#define HF_KEEPER_SOCKET       "/run/holdfast/keeper.sock"
#define HF_KEEPER_GATE_SOCKET  "/run/holdfast/gate.sock" /* where QEMU's user may ask */
#define HF_KEEPER_STATE        "/run/holdfast/keeper.state"

enum hf_keeper_op {
    HF_KEEPER_VIEW = 1,
    HF_KEEPER_SET_EPOCH,      /* subject: host, epoch, storages[0]: cluster, dir: profile it was granted by */
    HF_KEEPER_SEE_TERM,       /* number: term */
    HF_KEEPER_ADD_STORAGE,    /* subject: storage, dir, number: session */
    HF_KEEPER_REMOVE_STORAGE, /* subject: storage */
    HF_KEEPER_BEGIN_RUN,      /* subject: instance, epoch, number: run, storages, gated, incoming */
    HF_KEEPER_REGISTER_RUN,   /* subject: instance, number: run, pid (a hint; 0: unknown) */
    HF_KEEPER_END_RUN,        /* subject: instance, number: run, kill, orderly, handed_over */
    HF_KEEPER_END_EPOCH,      /* epoch, starting */
    HF_KEEPER_GATE,  /* by the gate's socket only. subject: instance, number: run, incoming; pid is filled in
                        from the asker */
    HF_KEEPER_GO_ON, /* subject: instance, number: run: an incoming copy becomes an ordinary run */
    HF_KEEPER_REPLY = 64,
    HF_KEEPER_VIEW_REPLY,
    HF_KEEPER_CHANGED,
};

struct hf_keeper_head {
    uint32_t magic;
    uint16_t version;
    uint16_t op;
    uint64_t id; /* of the request; 0 in HF_KEEPER_CHANGED */
};

struct hf_keeper_request {
    struct hf_keeper_head head;
    struct hf_uuid subject;
    uint64_t epoch;
    uint64_t number;
    int32_t pid;
    uint8_t kill;
    uint8_t n_storages;
    uint8_t starting;    /* orders to start are under way: a permit may yet become a process */
    uint8_t gated;       /* its QEMU asks the gate before it is born */
    uint8_t incoming;    /* the target's copy of a migration; GATE: a QEMU that waits to be filled by one */
    uint8_t handed_over; /* its guest is whole at the target of its migration */
    uint8_t orderly;     /* it has closed its files itself: none of its writes is under way */
    uint8_t reserved[5];
    struct hf_uuid storages[HF_KEEPER_STORAGES_MAX];
    char dir[HF_KEEPER_DIR_MAX]; /* ended by zero */
};

struct hf_keeper_reply {
    struct hf_keeper_head head;
    uint32_t code; /* enum hf_code */
    uint32_t reserved;
    char text[HF_KEEPER_TEXT_MAX];
};

/* Followed by n_storages times hf_keeper_wire_storage and n_runs times hf_keeper_wire_run. */
struct hf_keeper_wire_view {
    struct hf_keeper_head head;
    char boot_id[40];
    struct hf_uuid host;
    uint64_t epoch;
    uint64_t max_term;
    uint8_t epoch_closed, clean;
    uint8_t reserved[6];
    char watchdog[16];
    char watchdog_problem[160];
    char profile[HF_KEEPER_PROFILE_MAX]; /* by which it lives now */
    uint32_t n_storages, n_runs;
};

struct hf_keeper_wire_storage {
    struct hf_uuid uuid;
    int64_t age_ms;
    uint8_t closed, suspended;
    uint8_t reserved[6];
    uint64_t session;
};

struct hf_keeper_wire_run {
    struct hf_uuid instance;
    uint64_t run;
    int32_t pid;
    uint8_t state;  /* 0 pending, 1 live, 2 tombstoned */
    uint8_t frozen; /* its processes are told to stand still: a lease that it needs is in doubt */
    uint8_t incoming;
    uint8_t handed_over; /* tombstoned */
};

#define HF_KEEPER_PACKET_MAX                                                                                 \
    (sizeof(struct hf_keeper_wire_view) + HF_KEEPER_STORAGES_MAX * sizeof(struct hf_keeper_wire_storage) +   \
     (HF_KEEPER_RUNS_MAX + HF_KEEPER_TOMBS_MAX) * sizeof(struct hf_keeper_wire_run))

#endif
