/* Some simulated hosts without a control plane: a scripted leader gives them epochs, storages, a network and
 * instances, and what they tell the checks is written down. For tests of hosts alone. */
#ifndef HF_SIM_HOST_FIXTURE_H
#define HF_SIM_HOST_FIXTURE_H

#include "sim/host.h"
#include "sim/world.h"

#define FIXTURE_HOSTS_MAX 10
#define FIXTURE_VMS_MAX   100

/* An instance, as the leader wants it. */
struct fixture_vm {
    char uuid[HF_UUID_STR];
    unsigned host;
    uint64_t run;   /* of the placement */
    uint64_t ended; /* highest run that was reported STOPPED */
    bool running;   /* as reported for this run */
    bool stop;      /* wanted: stopped */
    bool on_local;  /* its disk */
};

struct fixture_member {
    struct fixture *fixture;
    unsigned host;
    struct sim_conn *conn;
    uint64_t epoch;
    unsigned hellos, lease_reports;
    int64_t unchanged_ms; /* longest that it has seen a peer's record stand still, in good samples, lately */
    bool synced;
};

/* What the checks would have heard: struct sim_checks of these tests. */
struct sim_checks {
    struct sim_world *world;
    uint64_t copies_begun, copies_ended, writes, old_writes, kills[2], renewals, let_in;
    unsigned executing[FIXTURE_VMS_MAX], most_executing; /* copies of one instance at one time */
    uint64_t newest_run[FIXTURE_VMS_MAX];                /* that a write was of */
    bool lost[FIXTURE_HOSTS_MAX];
};

struct fixture {
    struct sim_world w;
    struct sim_checks checks;
    struct sim_proc leader;
    struct sim_listener listener;
    struct fixture_member members[FIXTURE_HOSTS_MAX];
    struct fixture_vm vms[FIXTURE_VMS_MAX];
    unsigned n_vms;
    uint64_t term;
};

/* Powered on, nothing has run yet. timing: profile's name. */
struct fixture *fixture_new(uint64_t seed, unsigned hosts, const char *timing);
/* Another instance for this host, with run 1. */
struct fixture_vm *fixture_add(struct fixture *f, unsigned host, bool on_local);
/* Power off, and everything freed. Returns the digest. */
uint64_t fixture_free(struct fixture *f);
void fixture_run(struct fixture *f, int64_t ms);
/* Steps until every instance that is wanted runs, or the time is over; false: it is over. */
bool fixture_settle(struct fixture *f, int64_t ms);
/* A way of a host to the shared storage: change what it points to, then call fixture_kick(). */
struct sim_storage_way *fixture_way(struct fixture *f, unsigned host);
void fixture_kick(struct fixture *f, unsigned host);
/* The leader wants it stopped. */
void fixture_stop(struct fixture *f, struct fixture_vm *vm);

#endif
