/* The keeper's view as it comes over its socket: a packet of ha/keeper_wire.h, taken apart. Pure. */
#ifndef HF_HOSTD_KEEPER_VIEW_H
#define HF_HOSTD_KEEPER_VIEW_H

#include "ha/keeper_wire.h"
#include "hostd/keeper_client.h"

/* What hf_keeper_view_decode() fills in; view points into it, so it must not move. */
struct hf_keeper_view_packet {
    struct hf_keeper_view view;
    struct hf_keeper_storage storages[HF_KEEPER_STORAGES_MAX];
    struct hf_keeper_run *runs; /* from malloc */
    char profile[17];           /* as in the packet, and an end mark */
    char watchdog_problem[161];
};

/* packet: aligned to 8 bytes, with its head, which the caller has looked at. INTERNAL: it is malformed, then
 * nothing is to be freed. */
hf_status hf_keeper_view_decode(const uint8_t *packet, size_t len,
                                struct hf_keeper_view_packet *ret) HF_MUST_USE;
void hf_keeper_view_done(struct hf_keeper_view_packet *p);

#endif
