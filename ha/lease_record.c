#include "ha/lease_record.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "ha/lease_record_layout.h"

static void put32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

uint32_t hf_lease_slot_crc(const uint8_t *slot)
{
    static const uint8_t zero[4];
    uint32_t crc = hf_crc32c(0, slot, AT_CRC);
    crc = hf_crc32c(crc, zero, sizeof zero);
    return hf_crc32c(crc, slot + AT_CRC + 4, HF_LEASE_SLOT_BYTES - AT_CRC - 4);
}

void hf_lease_record_encode(const struct hf_lease_record *r, uint8_t slot[HF_LEASE_SLOT_BYTES])
{
    HF_ASSERT(r->n_runs <= HF_LEASE_RECORD_RUNS_MAX);
    HF_ASSERT(!r->killed || r->closed);
    memset(slot, 0, HF_LEASE_SLOT_BYTES);
    memcpy(slot + AT_MAGIC, LEASE_MAGIC, 8);
    put32(slot + AT_VERSION, LEASE_VERSION);
    memcpy(slot + AT_CLUSTER, r->cluster.b, 16);
    memcpy(slot + AT_HOST, r->host.b, 16);
    memcpy(slot + AT_BOOT_ID, r->boot_id, strnlen(r->boot_id, HF_LEASE_BOOT_ID_MAX - 1));
    put64(slot + AT_EPOCH, r->epoch);
    put64(slot + AT_SEQUENCE, r->sequence);
    put32(slot + AT_FLAGS, (r->closed ? FLAG_CLOSED : 0) | (r->killed ? FLAG_KILLED : 0));
    put32(slot + AT_N_RUNS, (uint32_t)r->n_runs);
    put64(slot + AT_SESSION, r->session);
    for (size_t i = 0; i < r->n_runs; i++) {
        uint8_t *p = slot + AT_RUNS + i * RUN_BYTES;
        memcpy(p, r->runs[i].instance.b, 16);
        put64(p + 16, r->runs[i].run);
        put32(p + 24, (r->runs[i].live ? RUN_LIVE : 0) | (r->runs[i].incoming ? RUN_INCOMING : 0) |
                          (r->runs[i].handed_over ? RUN_HANDED_OVER : 0));
    }
    put32(slot + AT_CRC, hf_lease_slot_crc(slot));
}

char *hf_lease_file_name(const struct hf_uuid *host, char out[HF_LEASE_FILE_NAME_MAX])
{
    char text[HF_UUID_STR];
    snprintf(out, HF_LEASE_FILE_NAME_MAX, "heartbeat-file-kvm-host-%s.hb", hf_uuid_format(host, text));
    return out;
}
