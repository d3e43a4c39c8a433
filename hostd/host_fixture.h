/* One simulated host and a leader's end of its stream, for the tests of the core. */
#ifndef HF_HOSTD_HOST_FIXTURE_H
#define HF_HOSTD_HOST_FIXTURE_H

#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/env.h"
#include "holdfast/v1/common.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "hostd/host_core.h"
#include "hostd/keeper_sim.h"
#include "hostd/vm_sim.h"
#include "net/host_net_sim.h"
#include "storage/primary_sim.h"

#define HOST     "000000000000000000000000000000aa"
#define SHARED   "00000000000000000000000000000051"
#define LOCAL    "00000000000000000000000000000052"
#define IMAGE    "00000000000000000000000000000071"
#define L3       "00000000000000000000000000000031"
#define VM1      "00000000000000000000000000000001"
#define VM2      "00000000000000000000000000000002"
#define OTHER    "000000000000000000000000000000bb" /* the other end of a migration, */
#define OTHER_AT "10.0.0.2"                         /* and its address */
#define NIC_MAC  "52:54:00:00:00:01"
#define NIC_IP   "172.20.108.40"

#define STATE(x) HOLDFAST__V1__INSTANCE_REPORT__STATE__##x
#define POWER(x) HOLDFAST__V1__POWER_STATE__POWER_##x

struct said {
    struct said *next;
    int64_t at_ms;
    Holdfast__V1__HostMessage *m;
};

struct world {
    struct hf_env *env;
    struct hf_vm_machine *machine;
    struct hf_keeper_sim *keeper_sim;
    struct hf_disk_sim *shared, *local;
    struct hf_net_sim *net_sim;
    /* the daemon of now */
    struct hf_host *host;
    struct hf_hypervisor *hv;
    struct hf_keeper *keeper;
    struct hf_host_net *net;
    bool closed, stream;
    unsigned redials, lefts;
    bool left_recorded;
    /* the reader of peers' records */
    struct hf_lease_reader_options reader;
    bool reader_open;
    /* its network and its mounts */
    struct hf_host_address addresses[4];
    size_t n_addresses, mounts_kept;
    unsigned storages_opened;
    size_t reader_peers, reader_marks;
    struct hf_lease_mark reader_mark; /* the first */
    /* the leader */
    uint64_t term, epoch;
    struct said *said;
};

struct world *world_new(void);      /* a daemon that has just started */
struct world *world_attached(void); /* in epoch 1 of term 1, with storages and a network, synced */
void world_free(struct world *w);
void world_step(struct world *w, int64_t ms);
void world_restart_hostd(struct world *w); /* guests, keeper and network stay; the stream is lost */

/* The leader's orders; each carries w->term and w->epoch. */
void world_open(struct world *w); /* the stream */
void world_close_stream(struct world *w);
void world_send(struct world *w,
                Holdfast__V1__ControlMessage *m);    /* copied; host_uuid, term, epoch filled in when 0 */
void world_welcome(struct world *w, uint64_t epoch); /* 0: pending */
void world_base(struct world *w);                    /* storages and network */
void world_synced(struct world *w);
void world_end_epoch(struct world *w, uint64_t epoch);
void world_shut_down(struct world *w, bool recorded);
void world_unassign(struct world *w, int kind, const char *uuid);

struct order {
    const char *uuid, *storage; /* NULL: VM1, SHARED */
    uint64_t run;               /* 0: 1 */
    int power;                  /* 0: RUNNING */
    uint64_t epoch;             /* 0: w->epoch */
    bool force_stop, no_nic, end_when_refused;
    unsigned grace_ms;
    uint64_t reboot, reset;
    uint64_t migration; /* run of the target's copy; 0: none */
    bool incoming, go, cancel;
    bool made;        /* its disk: a guest has run with it */
    uint64_t grow_to; /* bytes of its disk under the running guest; 0: nothing is said */
};
void world_instance(struct world *w, struct order o);
void world_instance_at(struct world *w, struct order o, uint64_t term);

/* What the daemon said. NULL: nothing of that kind. */
const Holdfast__V1__Hello *world_hello(struct world *w);
const Holdfast__V1__InstanceReport *world_report(struct world *w, const char *uuid);
const Holdfast__V1__Refusal *world_refusal(struct world *w);
const Holdfast__V1__StorageReport *world_storage(struct world *w, const char *uuid);
const Holdfast__V1__ImageReport *world_image(struct world *w, const char *uuid);
const Holdfast__V1__VolumeReport *world_volume(struct world *w, const char *uuid);
const Holdfast__V1__NetworkReport *world_network(struct world *w, const char *uuid);
const Holdfast__V1__LeaseReport *world_lease(struct world *w);
size_t world_said(struct world *w, Holdfast__V1__HostMessage__BodyCase kind);
/* How often this state was reported for the instance. */
size_t world_said_state(struct world *w, const char *uuid, Holdfast__V1__InstanceReport__State s);
void world_forget(struct world *w);

/* An attached host on which VM1 runs by this order. */
struct world *world_running(struct order o);
/* Orders to start that reached the hypervisor. */
unsigned world_starts(struct world *w);

struct hf_uuid uuid_of(const char *text);
void assert_state(struct world *w, const char *uuid, Holdfast__V1__InstanceReport__State s);

/* STOPPED is a promise: this run of VM1 is tombstoned and nothing of it exists. */
void assert_promise(struct world *w, uint64_t run);

#endif
