#include "ha/keeper_state.h"

#include <string.h>

#include "base/crc32c.h"
#include "ha/lease_record.h"

#define MAGIC   "HFKEEPER"
#define VERSION 4u

struct head {
    char magic[8];
    uint32_t version;
    uint32_t crc; /* of boot id and state */
    char boot_id[HF_LEASE_BOOT_ID_MAX];
    uint8_t reserved[8];
};
_Static_assert(sizeof(struct head) == HF_KEEPER_STATE_HEAD, "the head has no holes");

static uint32_t crc_of(const struct head *h, const uint8_t *state)
{
    return hf_crc32c(hf_crc32c(0, h->boot_id, sizeof h->boot_id), state, sizeof(struct hf_keeper_state));
}

void hf_keeper_state_encode(const struct hf_keeper_state *s, const char *boot_id,
                            uint8_t out[HF_KEEPER_STATE_BYTES])
{
    struct head h = {.magic = {'H', 'F', 'K', 'E', 'E', 'P', 'E', 'R'}, .version = VERSION};
    memcpy(h.boot_id, boot_id, strnlen(boot_id, sizeof h.boot_id - 1));
    memcpy(out + sizeof h, s, sizeof *s);
    h.crc = crc_of(&h, out + sizeof h);
    memcpy(out, &h, sizeof h);
}

static bool counts_fit(const struct hf_keeper_state *s)
{
    if (s->n_storages > HF_KEEPER_STORAGES_MAX || s->n_closed > HF_KEEPER_CLOSED_MAX ||
        s->n_runs > HF_KEEPER_RUNS_MAX || s->n_tombs > HF_KEEPER_TOMBS_MAX)
        return false;
    for (uint32_t i = 0; i < s->n_runs; i++) {
        if (s->runs[i].n_storages > HF_KEEPER_STORAGES_MAX)
            return false;
    }
    for (uint32_t i = 0; i < s->n_storages; i++) {
        if (memchr(s->storages[i].dir, '\0', HF_KEEPER_DIR_MAX) == NULL)
            return false;
    }
    return true;
}

static const char *problem(const uint8_t *data, size_t len, const char *boot_id, struct hf_keeper_state *ret)
{
    struct head h;
    if (len != HF_KEEPER_STATE_BYTES)
        return "it has another length";
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, MAGIC, 8) != 0)
        return "it is not a keeper's state";
    if (h.version != VERSION)
        return "it is of another version";
    if (h.crc != crc_of(&h, data + sizeof h))
        return "its checksum does not fit";
    if (strncmp(h.boot_id, boot_id, sizeof h.boot_id - 1) != 0)
        return "it is of an earlier boot";
    memcpy(ret, data + sizeof h, sizeof *ret);
    return counts_fit(ret) ? NULL : "its counts are out of range";
}

bool hf_keeper_state_decode(const uint8_t *data, size_t len, const char *boot_id, struct hf_keeper_state *ret,
                            const char **why)
{
    const char *p = problem(data, len, boot_id, ret);
    if (why)
        *why = p;
    return p == NULL;
}
