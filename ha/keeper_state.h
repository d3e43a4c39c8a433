/* What a keeper must not forget while its host is up: identity, epoch, highest term, runs, tombstones, closed
 * storages. It lies in /run, so a reboot forgets it, and is written before any answer that rests on it
 * leaves. Pure.
 */
#ifndef HF_HA_KEEPER_STATE_H
#define HF_HA_KEEPER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ha/keeper_wire.h"

#define HF_KEEPER_CLOSED_MAX 64 /* storages closed in one epoch */

struct hf_keeper_state_run {
    struct hf_uuid instance;
    uint64_t run;
    uint16_t live;    /* a process was seen, or let through the gate */
    uint8_t gated;    /* none is born without the gate's yes */
    uint8_t incoming; /* the target's copy of a migration: it waits to be filled and told to go on */
    uint32_t n_storages;
    struct hf_uuid storages[HF_KEEPER_STORAGES_MAX]; /* leases that it needs */
};

/* Runs up to and including this one never start again in this boot. */
struct hf_keeper_tomb {
    struct hf_uuid instance;
    uint64_t run;
    uint64_t epoch;      /* in which it was set */
    uint8_t handed_over; /* this run's guest went to another host, whole */
    uint8_t reserved[7];
};

struct hf_keeper_state_storage {
    struct hf_uuid uuid;
    uint64_t session; /* of this epoch, counted from 1 */
    char dir[HF_KEEPER_DIR_MAX];
};

/* Sessions of this storage up to and including this one are closed in this epoch. */
struct hf_keeper_state_closed {
    struct hf_uuid uuid;
    uint64_t session;
};

struct hf_keeper_state {
    struct hf_uuid host, cluster;
    uint64_t epoch;
    uint64_t max_term;
    uint32_t epoch_closed;
    uint32_t n_storages, n_closed, n_runs, n_tombs;
    uint32_t reserved;
    char profile[HF_KEEPER_PROFILE_MAX]; /* whose durations this epoch lives by; "": none was begun */
    struct hf_keeper_state_storage storages[HF_KEEPER_STORAGES_MAX];
    struct hf_keeper_state_closed closed[HF_KEEPER_CLOSED_MAX];
    struct hf_keeper_state_run runs[HF_KEEPER_RUNS_MAX];
    struct hf_keeper_tomb tombs[HF_KEEPER_TOMBS_MAX]; /* oldest first */
};

/* The file: a head with version, boot id and checksum, then the state in the machine's own byte order. */
#define HF_KEEPER_STATE_HEAD  64
#define HF_KEEPER_STATE_BYTES (HF_KEEPER_STATE_HEAD + sizeof(struct hf_keeper_state))

void hf_keeper_state_encode(const struct hf_keeper_state *s, const char *boot_id,
                            uint8_t out[HF_KEEPER_STATE_BYTES]);
/* false: not a state of this version and this boot, whole and undamaged; why (if not NULL) gets a literal. */
bool hf_keeper_state_decode(const uint8_t *data, size_t len, const char *boot_id, struct hf_keeper_state *ret,
                            const char **why);

#endif
