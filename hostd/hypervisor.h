/* What the host daemon asks of a hypervisor. Behind it: vm_libvirt.c (libvirt, QEMU) and simulated ones.
 *
 * Every call returns at once and calls back on the loop exactly once, also after its deadline: then with TIMEOUT, which is
 * not "failed": what was ordered may still happen (DESIGN.md section 5, rule 17). Domains are transient (rule 3), named by
 * the instance's UUID; epoch, run and host stand in the domain's metadata.
 */
#ifndef HF_HOSTD_HYPERVISOR_H
#define HF_HOSTD_HYPERVISOR_H

#include <stdint.h>

#include "base/status.h"
#include "base/uuid.h"

struct hf_rbd_access; /* storage/primary.h */

struct hf_vm_disk {
    const char *path;    /* absolute; rbd: "pool/image" */
    const char *format;  /* "qcow2", "raw" */
    const struct hf_rbd_access *rbd; /* NULL: a file; borrowed for the call */
};

struct hf_vm_nic {
    const char *mac;     /* 52:54:… */
    const char *bridge;
};

struct hf_vm_spec {
    struct hf_uuid uuid, host_uuid;
    uint64_t epoch, run;
    const char *title;           /* the instance's name, for people */
    unsigned cpus;
    uint64_t memory_bytes;
    const struct hf_vm_disk *disks; /* the first is the boot disk */
    size_t n_disks;
    const struct hf_vm_nic *nics;
    size_t n_nics;
    const char *console_log;     /* file for the serial console, or NULL */
};

/* INCOMING: it stands in the middle of a migration: being filled, or having been sent. IO_STOPPED: paused by QEMU
 * itself, because a disk of it failed. */
enum hf_vm_state { HF_VM_RUNNING, HF_VM_PAUSED, HF_VM_SHUTTING_DOWN, HF_VM_INCOMING, HF_VM_IO_STOPPED };

struct hf_vm_seen {
    struct hf_uuid uuid;
    uint64_t epoch, run;         /* from the metadata; 0: not ours */
    enum hf_vm_state state;
    int pid;                     /* of QEMU; 0 unknown */
};

enum hf_vm_gone {
    HF_VM_GONE_GUEST,
    HF_VM_GONE_DESTROYED,
    HF_VM_GONE_CRASHED,
    HF_VM_GONE_UNKNOWN,
    HF_VM_GONE_MIGRATED, /* the hypervisor has handed it over whole; see migrate */
};

/* A live migration, seen from its source. What becomes the copy at the target has a mark of its own. */
struct hf_vm_migration {
    struct hf_uuid uuid;
    uint64_t run;                 /* of the copy here: another one is not sent */
    struct hf_uuid target_host;
    uint64_t target_epoch, target_run;
    const char *target_address;   /* of the target host */
};

struct hf_vm_progress {
    uint64_t done_bytes, total_bytes; /* 0, 0: nothing is known */
};

/* st is borrowed. */
typedef void (*hf_vm_done_cb)(void *arg, hf_status st);
typedef void (*hf_vm_list_cb)(void *arg, hf_status st, const struct hf_vm_seen *vms, size_t n);
typedef void (*hf_vm_progress_cb)(void *arg, hf_status st, const struct hf_vm_progress *p);

struct hf_hypervisor_events {
    /* The domain's QEMU has ended. A hint to look, not a proof: the keeper verifies. */
    void (*gone)(void *arg, const struct hf_uuid *uuid, enum hf_vm_gone why);
    /* The connection to the hypervisor was lost or is back: list again. */
    void (*connection)(void *arg, bool up);
    /* QEMU has stopped the guest, because a disk of it failed. A hint to look. May be NULL. */
    void (*io_stopped)(void *arg, const struct hf_uuid *uuid);
    void *arg;
};

struct hf_hypervisor;

struct hf_hypervisor_ops {
    void (*start)(struct hf_hypervisor *h, const struct hf_vm_spec *spec, unsigned deadline_ms, hf_vm_done_cb cb, void *arg);
    void (*shutdown)(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms, hf_vm_done_cb cb, void *arg); /* ACPI request */
    void (*destroy)(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms, hf_vm_done_cb cb, void *arg);  /* OK also when there was none */
    void (*reboot)(struct hf_hypervisor *h, const struct hf_uuid *u, bool reset, unsigned deadline_ms, hf_vm_done_cb cb, void *arg);
    void (*pause)(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms, hf_vm_done_cb cb, void *arg);
    void (*resume)(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms, hf_vm_done_cb cb, void *arg);
    void (*list)(struct hf_hypervisor *h, unsigned deadline_ms, hf_vm_list_cb cb, void *arg);
    void (*close)(struct hf_hypervisor *h, void (*closed)(void *arg), void *arg);
    /* Sends a running domain to the hypervisor of another host. OK: it is there, whole and paused, and the domain here
     * has ended: it will never execute again. Any other answer: it may go on here at once or stand paused, what is at
     * the target is not to be used; of an unknown class: it may also be under way still, until migrate_abort says OK. The
     * target never executes by this call. CANCELLED: by migrate_abort. */
    void (*migrate)(struct hf_hypervisor *h, const struct hf_vm_migration *m, unsigned deadline_ms, hf_vm_done_cb cb, void *arg);
    /* OK: no migration of this domain is under way (any more), also when there is no domain. */
    void (*migrate_abort)(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms, hf_vm_done_cb cb, void *arg);
    void (*migrate_progress)(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned deadline_ms, hf_vm_progress_cb cb, void *arg);
    /* Has this disk of a domain (its number in the spec) be so large at least, and the guest know it; never smaller. */
    void (*grow_disk)(struct hf_hypervisor *h, const struct hf_uuid *u, unsigned disk, uint64_t size_bytes, unsigned deadline_ms, hf_vm_done_cb cb, void *arg);
};

struct hf_hypervisor {
    const struct hf_hypervisor_ops *ops;
    struct hf_hypervisor_events events;
};

#endif
