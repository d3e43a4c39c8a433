/* The observers' side of lease_record.h: the keeper never reads a record. */
#include <string.h>

#include "ha/lease_record_layout.h"

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static bool all_zero(const uint8_t *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static enum hf_lease_decode decode_body(const uint8_t *slot, struct hf_lease_record *ret)
{
    uint32_t n = get32(slot + AT_N_RUNS), flags = get32(slot + AT_FLAGS);
    bool closed = flags & FLAG_CLOSED, killed = flags & FLAG_KILLED;
    if (n > HF_LEASE_RECORD_RUNS_MAX || (killed && !closed))
        return HF_LEASE_NOT_A_RECORD;
    memset(ret, 0, sizeof *ret);
    memcpy(ret->cluster.b, slot + AT_CLUSTER, 16);
    memcpy(ret->host.b, slot + AT_HOST, 16);
    memcpy(ret->boot_id, slot + AT_BOOT_ID, HF_LEASE_BOOT_ID_MAX - 1);
    ret->epoch = get64(slot + AT_EPOCH);
    ret->sequence = get64(slot + AT_SEQUENCE);
    ret->session = get64(slot + AT_SESSION);
    ret->closed = closed;
    ret->killed = killed;
    ret->n_runs = n;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = slot + AT_RUNS + i * RUN_BYTES;
        memcpy(ret->runs[i].instance.b, p, 16);
        ret->runs[i].run = get64(p + 16);
        ret->runs[i].live = get32(p + 24) & RUN_LIVE;
        ret->runs[i].incoming = get32(p + 24) & RUN_INCOMING;
        ret->runs[i].handed_over = get32(p + 24) & RUN_HANDED_OVER;
    }
    return HF_LEASE_GOOD;
}

enum hf_lease_decode hf_lease_record_decode(const uint8_t *slot, size_t len, const struct hf_uuid *cluster,
                                            const struct hf_uuid *host, struct hf_lease_record *ret)
{
    if (all_zero(slot, len))
        return HF_LEASE_EMPTY;
    if (len < HF_LEASE_SLOT_BYTES)
        return HF_LEASE_TORN;
    if (memcmp(slot + AT_MAGIC, LEASE_MAGIC, 8) != 0)
        return HF_LEASE_NOT_A_RECORD;
    if (get32(slot + AT_CRC) != hf_lease_slot_crc(slot))
        return HF_LEASE_TORN;
    if (get32(slot + AT_VERSION) != LEASE_VERSION)
        return HF_LEASE_NEWER_VERSION;
    if (cluster && memcmp(slot + AT_CLUSTER, cluster->b, 16) != 0)
        return HF_LEASE_OTHER_CLUSTER;
    if (memcmp(slot + AT_HOST, host->b, 16) != 0)
        return HF_LEASE_OTHER_HOST;
    return decode_body(slot, ret);
}

static bool is_newer(const struct hf_lease_record *a, const struct hf_lease_record *b)
{
    return a->epoch != b->epoch ? a->epoch > b->epoch : a->sequence > b->sequence;
}

enum hf_lease_decode hf_lease_file_decode(const uint8_t *file, size_t len, const struct hf_uuid *cluster,
                                          const struct hf_uuid *host, struct hf_lease_record *ret)
{
    size_t first = len < HF_LEASE_SLOT_BYTES ? len : HF_LEASE_SLOT_BYTES;
    size_t second = len - first < HF_LEASE_SLOT_BYTES ? len - first : HF_LEASE_SLOT_BYTES;
    struct hf_lease_record other;
    enum hf_lease_decode a = hf_lease_record_decode(file, first, cluster, host, ret);
    enum hf_lease_decode b = hf_lease_record_decode(file + first, second, cluster, host, &other);
    /* A slot that is readable and not ours makes the whole file doubtful: nothing is proven by the other one.
     */
    if (a >= HF_LEASE_NOT_A_RECORD)
        return a;
    if (b >= HF_LEASE_NOT_A_RECORD)
        return b;
    if (b == HF_LEASE_GOOD && (a != HF_LEASE_GOOD || is_newer(&other, ret))) {
        *ret = other;
        return HF_LEASE_GOOD;
    }
    if (a == HF_LEASE_EMPTY)
        return b;
    return a;
}

const char *hf_lease_decode_text(enum hf_lease_decode d)
{
    switch (d) {
    case HF_LEASE_GOOD:
        return "the record is good";
    case HF_LEASE_EMPTY:
        return "the record was never written";
    case HF_LEASE_TORN:
        return "the record is half written or damaged";
    case HF_LEASE_NOT_A_RECORD:
        return "the file is not a lease record";
    case HF_LEASE_NEWER_VERSION:
        return "the record is of a version that this release does not know";
    case HF_LEASE_OTHER_CLUSTER:
        return "the record belongs to another cluster";
    case HF_LEASE_OTHER_HOST:
        return "the record belongs to another host";
    }
    return "the record cannot be read";
}
