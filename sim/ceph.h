/* The Ceph cluster behind a simulated storage: who its clients are, by which addresses it knows the hosts,
 * and its blocklist. Objects and images are the storage's (storage.h), which asks here whom the OSDs still
 * serve.
 *
 * A host has one address towards all clusters while it is up, by the seed: its own, or one that it shares
 * with another host (NAT), with an OSD (hyperconverged) or with a control node; some hosts have another one
 * after each boot. A client is an address and a number of its own.
 *
 * The map is changed at one instant: from then on no OSD takes anything from who is on the list. What was
 * under way and had not landed is refused as well.
 */
#ifndef HF_SIM_CEPH_H
#define HF_SIM_CEPH_H

#include "base/uuid.h"
#include "sim/checks.h"
#include "sim/sim.h"

#define SIM_CEPH_ADDRESS 24
#define SIM_CEPH_ENTRY   40 /* "10.9.0.3:0/0", or a client's number instead of the last 0 */
#define SIM_CEPH_KEY     "AQAAAAAAAAAAABAAc2ltdWxhdGVkIGtleSAxNg==" /* of every user */

struct sim_ceph;

struct sim_ceph_client {
    char address[SIM_CEPH_ADDRESS];
    uint32_t number;
};

/* Cluster number so-and-so. shared_ppm: the share of hosts that have no address of their own. nodes: control
 * nodes. Used by one storage or several; freed by the last. */
struct sim_ceph *sim_ceph_create(struct sim *s, unsigned number, unsigned nodes, uint32_t shared_ppm);
struct sim_ceph *sim_ceph_ref(struct sim_ceph *c);
void sim_ceph_unref(struct sim_ceph *c);                /* NULL is fine */
const char *sim_ceph_monitor(const struct sim_ceph *c); /* its address */
const char *sim_ceph_fsid(const struct sim_ceph *c);

/* --- addresses --- */
/* Boot number so-and-so of this host begins. */
void sim_ceph_host_boots(struct sim_ceph *c, unsigned host, uint64_t boot);
const char *sim_ceph_host_address(const struct sim_ceph *c, unsigned host);
/* Of the connections that this control node opens. */
const char *sim_ceph_node_address(unsigned node, char out[SIM_CEPH_ADDRESS]);
/* A daemon of the cluster has this address: its name, or NULL. */
const char *sim_ceph_daemon_at(const struct sim_ceph *c, const char *address);
/* The number of the clients that a host's processes are; of the one that a QEMU is. */
#define SIM_CEPH_DAEMON 1
uint32_t sim_ceph_guest_number(const struct hf_uuid *instance, uint64_t run);

/* --- images --- */
/* This client owns the image's lock from now on, until the next one does: for ever, if it is lost. image: a
 * text with its name in it. */
void sim_ceph_locked(struct sim_ceph *c, const char *image, const struct sim_ceph_client *who);
/* Who owns the lock of the image of this name, or NULL. */
const struct sim_ceph_client *sim_ceph_owner(const struct sim_ceph *c, const char *name);

/* --- the blocklist --- */
/* Present for so long; again: with the end that it has, as in Ceph. */
void sim_ceph_block(struct sim_ceph *c, const char *entry, int64_t for_ns);
void sim_ceph_block_client(struct sim_ceph *c, const struct sim_ceph_client *who, int64_t for_ns);
void sim_ceph_unblock(struct sim_ceph *c, const char *entry); /* not being there is fine */
bool sim_ceph_lists(const struct sim_ceph *c, const char *entry);
bool sim_ceph_blocks(const struct sim_ceph *c, const struct sim_ceph_client *who);
uint64_t sim_ceph_osdmap_epoch(const struct sim_ceph *c);
/* Hears of each change; at most SIM_CEPH_WATCHES. */
#define SIM_CEPH_WATCHES 4
void sim_ceph_watch(struct sim_ceph *c, void (*changed)(void *arg, const char *entry, enum sim_listed what),
                    void *arg);

/* --- the MONs --- */
struct sim_ceph_mons {
    bool no_quorum;   /* commands wait: until there is one again, or are given up */
    bool fails;       /* are refused */
    bool loses;       /* are carried out, and not answered */
    int64_t delay_ms; /* take up to so much longer, and are carried out though the asker has given up */
    /* who had the list changed is struck so long after it */
    enum { SIM_ASKER_LIVES, SIM_ASKER_DIES, SIM_ASKER_HANDS_OVER, SIM_ASKER_PAUSES } asker;
    int64_t asker_ms;
};
struct sim_ceph_mons *sim_ceph_mons(struct sim_ceph *c); /* holds until changed */

#endif
