/* The record that a host's keeper writes into each shared storage: proof of life, the host's own list of
 * runs, and "closed" (DESIGN.md section 5, rule 9). One file per host in the storage's root, named
 * heartbeat-file-kvm-host-<32 hex digits of the host>.hb.
 *
 * The file has two slots, written in turn (sequence modulo 2), each in one write that passes all caches: a
 * write torn by a power cut leaves the other slot readable. Numbers are little-endian; a CRC32C ends the
 * head. Pure.
 */
#ifndef HF_HA_LEASE_RECORD_H
#define HF_HA_LEASE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/uuid.h"

#define HF_LEASE_SLOT_BYTES    16384
#define HF_LEASE_FILE_BYTES    (2 * HF_LEASE_SLOT_BYTES)
#define HF_LEASE_FILE_NAME_MAX 72
#define HF_LEASE_BOOT_ID_MAX   40
#define HF_LEASE_ALL_SESSIONS  UINT64_MAX /* the whole epoch is meant */
/* Live runs are never left out of a record; of the tombstones the newest that fit are in it. */
#define HF_LEASE_RECORD_RUNS_MAX 496

struct hf_lease_run {
    struct hf_uuid instance;
    uint64_t run;
    bool live;        /* permit given or running; false: tombstoned */
    bool incoming;    /* live, the target's copy of a migration */
    bool handed_over; /* tombstoned, its guest is whole at the target of its migration */
};

struct hf_lease_record {
    struct hf_uuid cluster, host;
    char boot_id[HF_LEASE_BOOT_ID_MAX];
    uint64_t epoch;
    uint64_t sequence; /* raised by every write of this epoch */
    uint64_t session;  /* of this storage in this epoch, to which closed and killed refer; 0: not said */
    bool closed;       /* (epoch, storage, session) is closed for ever */
    bool killed;       /* and everything that needed it is verified gone */
    size_t n_runs;
    struct hf_lease_run runs[HF_LEASE_RECORD_RUNS_MAX];
};

enum hf_lease_decode {
    HF_LEASE_GOOD,
    HF_LEASE_EMPTY,         /* zeros or no bytes: never written */
    HF_LEASE_TORN,          /* the checksum does not fit: half written or damaged */
    HF_LEASE_NOT_A_RECORD,  /* another magic number */
    HF_LEASE_NEWER_VERSION, /* written by a release that this one does not know */
    HF_LEASE_OTHER_CLUSTER,
    HF_LEASE_OTHER_HOST,
};

/* Fills one slot of HF_LEASE_SLOT_BYTES. */
void hf_lease_record_encode(const struct hf_lease_record *r, uint8_t slot[HF_LEASE_SLOT_BYTES]);

/* Decodes one slot; ret is set on HF_LEASE_GOOD only. cluster may be NULL (not checked). */
enum hf_lease_decode hf_lease_record_decode(const uint8_t *slot, size_t len, const struct hf_uuid *cluster,
                                            const struct hf_uuid *host, struct hf_lease_record *ret);

/* The newest good slot of a whole file; when none is good, what is wrong with the better one. */
enum hf_lease_decode hf_lease_file_decode(const uint8_t *file, size_t len, const struct hf_uuid *cluster,
                                          const struct hf_uuid *host, struct hf_lease_record *ret);

/* A short sentence for people: "the record is half written or damaged". */
const char *hf_lease_decode_text(enum hf_lease_decode d);

/* "heartbeat-file-kvm-host-….hb"; returns out. */
char *hf_lease_file_name(const struct hf_uuid *host, char out[HF_LEASE_FILE_NAME_MAX]);

#endif
