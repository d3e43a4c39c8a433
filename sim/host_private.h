/* What the parts of one simulated machine share: power and processes (host.c), guests (host_guest.c), the
 * watchdog (host_watchdog.c), libvirtd (host_libvirt.c), the keeper and its socket (host_keeper.c,
 * host_keeper_procs.c, host_keeper_link.c), the gate (host_gate.c), the host daemon (host_daemon.c), its
 * reader (host_reader.c).
 */
#ifndef HF_SIM_HOST_PRIVATE_H
#define HF_SIM_HOST_PRIVATE_H

#include "ha/keeper_state.h"
#include "hostd/host_core.h"
#include "hostd/vm_sim.h"
#include "net/host_net_sim.h"
#include "sim/host.h"
#include "sim/world.h"

#define SIM_SYSCALL_NS                                                                                       \
    50000 /* a packet through a unix socket; the same each time: packets keep their order */

struct sim_guest;
struct sim_asker;
struct sim_keeper;
struct sim_daemon;

struct sim_host {
    /* fixed */
    struct sim_world *world;
    struct sim *sim;
    unsigned number, place;
    char name[8], management_ip[16];
    struct sim_host_options o;
    struct hf_uuid uuid;
    uint8_t secret[HF_HOST_SECRET];
    /* the machine */
    struct sim_rng rng;
    struct sim_proc procs[SIM_HOST_PROCS];
    struct sim_proc
        machine; /* its kernel and its QEMUs: stands still with the machine, is never lost alone */
    bool powered;
    unsigned pauses;
    struct sim_host_exec exec;
    bool run_full;                  /* no state can be saved */
    bool start_due[SIM_HOST_PROCS]; /* its time came while the machine stood still */
    uint64_t boot;                  /* number of this boot, from 1; raised by power off as well */
    char boot_id[HF_LEASE_BOOT_ID_MAX];
    struct {               /* the watchdog: hardware */
        bool armed, waits; /* waits: its event is in the queue */
        int64_t fires_ns;  /* true time */
        unsigned fired;
    } dog;
    /* this boot's */
    struct hf_vm_machine *vms;
    struct hf_hypervisor *libvirt; /* libvirtd's own connection to them */
    struct hf_net_sim *bridges;
    struct sim_guest *guests;
    struct hf_keeper_state *saved; /* the keeper's state file, which is in memory: NULL: none */
    /* the keeper's socket: serial of the connection that is open, or 0 */
    uint64_t keeper_conn, keeper_serial;
    struct sim_asker *askers; /* who waits at the gate for its answer */
    uint64_t asker_serial;
    /* processes that are up */
    struct sim_keeper *keeper;
    struct sim_daemon *daemon;
};

/* --- host.c --- */
/* The machine is reset: at once everything on it ends, and it boots again after a while. */
void sim_host_reset(struct sim_host *h);
/* By a path on this host: its storage, or NULL. */
struct sim_storage *sim_host_storage_at(const struct sim_host *h, const char *path);
/* Every storage that this host uses: number i, or NULL past the last. */
struct sim_storage *sim_host_storage(const struct sim_host *h, unsigned i);
static inline struct sim_checks *sim_host_checks(const struct sim_host *h)
{
    return h->world->checks;
}

/* --- host_guest.c: what QEMUs do --- */
void sim_guests_begin(struct sim_host *h);     /* with the machine's QEMUs, which are none */
void sim_guests_end(struct sim_host *h);       /* the machine is without power */
void sim_guests_see_pause(struct sim_host *h); /* the machine stands still, or goes on */
/* Somebody has ordered its end. NULL: of all. */
void sim_guests_ordered(struct sim_host *h, const struct hf_uuid *instance);
/* Tells the checks that this one is about to be killed, unless its end was ordered. NULL: all. */
void sim_guests_tell_kill(struct sim_host *h, const struct hf_uuid *instance, enum sim_killer by);

/* --- host_watchdog.c --- */
void sim_watchdog_pet(struct sim_host *h);
void sim_watchdog_off(struct sim_host *h);

/* --- host_libvirt.c --- */
void sim_libvirt_begin(struct sim_host *h); /* the process starts */
void sim_libvirt_end(struct sim_host *h);   /* it has been lost */
/* The daemon's driver; closed after sim_libvirt_client_cancel(). */
struct hf_hypervisor *sim_libvirt_connect(struct sim_host *h, const struct hf_hypervisor_events *events);
/* Its process ends: answers calls under way with CANCELLED, so that the core can free what waits for them. */
void sim_libvirt_client_cancel(struct hf_hypervisor *hv);
/* For this host's libvirtd (arg) the machine at an address, if its own answers. */
struct hf_vm_machine *sim_libvirt_peer(void *arg, const char *address);
/* The machine's QEMUs, from the machine's own side. */
struct hf_hypervisor *sim_libvirt_open(struct sim_host *h);

/* --- host_keeper.c --- */
void sim_keeper_begin(struct sim_host *h);
void sim_keeper_end(struct sim_host *h);
/* One packet of the daemon has arrived; in the keeper. */
void sim_keeper_packet(struct sim_host *h, uint64_t serial, const struct hf_keeper_request *q);
/* Asker number so-and-so stands before the gate; in the keeper. */
void sim_keeper_gate(struct sim_host *h, uint64_t number, const struct hf_keeper_request *q);

/* --- host_keeper_link.c --- */
struct hf_keeper *sim_keeper_connect(struct sim_host *h, const struct hf_keeper_events *events);
void sim_keeper_link_cancel(struct hf_keeper *k);
void sim_keeper_link_free(struct hf_keeper *k);
/* The keeper sends a packet to this connection, if it is still open: from an act of its. Copied. */
void sim_keeper_link_send(struct sim_host *h, uint64_t serial, const void *packet, size_t len);
/* The keeper has died, and its end of the socket with it. */
void sim_keeper_link_broke(struct sim_host *h);

/* --- host_gate.c --- */
/* A process of the machine has begun where QEMU stands later. */
void sim_gate_stands(struct sim_host *h, const struct hf_vm_sim_guest *g);
/* The keeper's answer to this asker: from an act of its. */
void sim_gate_answer(struct sim_host *h, uint64_t number, enum hf_code code, const char *text);
void sim_gate_broke(struct sim_host *h); /* the keeper has died */
void sim_gate_end(struct sim_host *h);   /* the machine is without power */

/* --- host_daemon.c --- */
void sim_daemon_begin(struct sim_host *h);
void sim_daemon_end(struct sim_host *h);
bool sim_daemon_attached(const struct sim_host *h);
/* Its drivers, for packets that arrive; NULL while it is not up. */
struct hf_keeper *sim_daemon_keeper(const struct sim_host *h);
struct hf_hypervisor *sim_daemon_hypervisor(const struct sim_host *h);

/* --- host_reader.c: hf_host_drivers' reader; env is that of the host's daemon --- */
struct hf_lease_reader *sim_reader_create(struct hf_env *env, const struct hf_lease_reader_options *o);
void sim_reader_set_peers(struct hf_lease_reader *r, const struct hf_uuid *hosts, size_t n);
void sim_reader_set_marks(struct hf_lease_reader *r, const struct hf_lease_mark *marks, size_t n);
void sim_reader_close(struct hf_lease_reader *r);

#endif
