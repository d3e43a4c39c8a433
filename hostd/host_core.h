/* The host daemon without its drivers: makes true what the leader assigns, and reports what it sees.
 *
 * It owns no truth of its own. What runs here is known by the keeper (permits and tombstones, which outlive
 * this process) and by the hypervisor; what shall run here comes from the leader, anew on every stream. So a
 * restarted daemon adopts everything and starts nothing twice. The records (instance_rec.h, storage_rec.h, …)
 * are level-triggered reconcilers: each takes one step at a time, and every step may be repeated.
 *
 * Loop thread only. All waiting goes through hf_env and the drivers' callbacks; this library links neither
 * libuv nor libvirt. DESIGN.md section 5 binds it: rule 1 (terms, epochs, runs), rule 4 (stopped is a
 * promise), rule 17 (a time-out is not a failure).
 */
#ifndef HF_HOSTD_HOST_CORE_H
#define HF_HOSTD_HOST_CORE_H

#include "base/env.h"
#include "base/status.h"
#include "base/uuid.h"
#include "holdfast/v1/host_link.pb-c.h"
#include "hostd/hypervisor.h"
#include "hostd/keeper_client.h"
#include "hostd/lease_reader.h"
#include "hostd/storage_place.h"
#include "net/host_net.h"
#include "storage/primary.h"

#define HF_HOST_SECRET 32

/* Borrowed strings live as long as the core. */
struct hf_host_options {
    struct hf_uuid uuid;
    uint8_t secret[HF_HOST_SECRET];
    const char *hostname, *management_ip, *accelerator, *version;
    unsigned cpus;
    uint64_t memory_bytes;
    bool gated;              /* the hypervisor starts guests through the gate */
    const char *console_dir; /* serial console logs, "<dir>/<instance uuid>.log"; NULL: none */
    const char *mount_base;  /* NFS storages are mounted below it; NULL: this host takes none */
    const char *ceph_base;   /* the ways to its Ceph clusters lie there; NULL: this host takes none */
};

/* The outside of the core. All but arg must be there; they outlive the core. */
struct hf_host_drivers {
    struct hf_env *env;
    struct hf_hypervisor *hypervisor;
    struct hf_keeper *keeper;
    struct hf_host_net *net;
    /* A storage's files. */
    hf_status (*open_storage)(void *arg, const struct hf_storage_place *place, struct hf_primary **ret);
    /* Of everything mounted below the mount base, these storages are kept and the rest is unmounted when
     * nothing uses it. */
    void (*keep_mounts)(void *arg, const struct hf_uuid *storages, size_t n);
    /* This host's addresses at this moment. */
    size_t (*addresses)(void *arg, struct hf_host_address *out, size_t max);
    /* The reader of the peers' lease records on one storage: hf_lease_reader_create and its verbs, or a
     * simulated one. */
    struct hf_lease_reader *(*reader_create)(struct hf_env *env, const struct hf_lease_reader_options *o);
    void (*reader_set_peers)(struct hf_lease_reader *r, const struct hf_uuid *hosts, size_t n);
    void (*reader_set_marks)(struct hf_lease_reader *r, const struct hf_lease_mark *marks, size_t n);
    void (*reader_close)(struct hf_lease_reader *r);
    /* One message up the open stream; m is borrowed. */
    void (*send)(void *arg, const Holdfast__V1__HostMessage *m);
    /* End the stream and dial again: what came over it cannot be trusted to be complete. */
    void (*redial)(void *arg, const char *why);
    /* The host has left: its epoch is closed, nothing of it runs, the daemon may end. recorded: the leader
     * knows. It must not close the core from inside this call. */
    void (*left)(void *arg, bool recorded);
    void *arg;
};

struct hf_host;

/* A core that does nothing yet: drivers need its event functions when they are made. */
struct hf_host *hf_host_create(const struct hf_host_options *o);
struct hf_hypervisor_events hf_host_hypervisor_events(struct hf_host *h);
struct hf_keeper_events hf_host_keeper_events(struct hf_host *h);
/* Asks the keeper and the hypervisor what runs and begins to work. */
void hf_host_start(struct hf_host *h, const struct hf_host_drivers *d);

/* On the stream that is open the leader has granted or confirmed this host's epoch. */
bool hf_host_attached(const struct hf_host *h);

/* The machine is about to be switched off: the host is emptied, by the leader as long as patience lasts, else
 * here; its epoch is closed; then `left` is called. Once begun it is not taken back. */
void hf_host_leave(struct hf_host *h, int64_t patience_ms);

/* Takes no more steps; closed runs on the loop when the last call under way has come back, at the earliest in
 * this call (it must not free the core from inside). Guests go on running. */
void hf_host_close(struct hf_host *h, void (*closed)(void *arg), void *arg);
/* After hf_host_close(). Drivers must be silent: closed was called, or they are gone. */
void hf_host_free(struct hf_host *h);

/* The stream to the leader, from whoever holds it. message takes m. */
void hf_host_stream_opened(struct hf_host *h);
void hf_host_stream_message(struct hf_host *h, Holdfast__V1__ControlMessage *m);
void hf_host_stream_closed(struct hf_host *h);

#endif
