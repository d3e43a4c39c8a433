/* A simulated machine with a hypervisor, behind the vtable of hypervisor.h: QEMUs are entries of a list. The
 * machine outlives its connections, as QEMU outlives the host daemon. Used by tests, by the simulator, and by
 * whoever has no KVM.
 */
#ifndef HF_HOSTD_VM_SIM_H
#define HF_HOSTD_VM_SIM_H

#include "base/env.h"
#include "base/sim.h"
#include "hostd/hypervisor.h"

struct hf_vm_machine;

enum hf_vm_sim_op {
    HF_VM_SIM_START,
    HF_VM_SIM_SHUTDOWN,
    HF_VM_SIM_DESTROY,
    HF_VM_SIM_REBOOT,
    HF_VM_SIM_PAUSE,
    HF_VM_SIM_RESUME,
    HF_VM_SIM_LIST,
    HF_VM_SIM_MIGRATE,
    HF_VM_SIM_MIGRATE_ABORT,
    HF_VM_SIM_MIGRATE_PROGRESS,
    HF_VM_SIM_GROW_DISK,
};

struct hf_vm_machine *hf_vm_machine_create(struct hf_env *env);
void hf_vm_machine_free(struct hf_vm_machine *m);

/* How far a process has come. On a machine without a gate (hf_qemu.c) it is QEMU from the first moment. */
enum hf_vm_sim_phase {
    HF_VM_SIM_QEMU,
    HF_VM_SIM_ASKS,  /* it stands before the gate: a process with QEMU's arguments */
    HF_VM_SIM_EXECS, /* it was let in, and is about to become QEMU: its arguments cannot be read */
};

/* A QEMU process. disks: as its start named them, borrowed. */
struct hf_vm_sim_guest {
    struct hf_uuid uuid;
    uint64_t epoch, run;
    int pid;
    enum hf_vm_sim_phase phase;
    bool frozen;   /* by hf_vm_machine_freeze() */
    bool runs;     /* virtual CPUs execute */
    bool incoming; /* waits to be filled by a migration */
    const char *const *disks;
    size_t n_disks;
};

/* Who looks on at the machine's QEMUs, apart from the hypervisor. Called at once; must not change the
 * machine. */
struct hf_vm_sim_watch {
    void (*runs)(void *arg, const struct hf_vm_sim_guest *g); /* born, or g->runs has changed */
    void (*ended)(void *arg, const struct hf_vm_sim_guest *g, enum hf_vm_gone why);
    /* The machine has a gate (not NULL), and this process stands before it: hf_vm_machine_let_in() or
     * hf_vm_machine_refuse() comes later. */
    void (*asks)(void *arg, const struct hf_vm_sim_guest *g);
    /* A write of this guest is under way (NULL: none ever is): a migration hands it over only when none is.
     */
    bool (*writes)(void *arg, const struct hf_uuid *uuid);
    /* The kernel holds I/O of this QEMU, or it waits for it itself before it ends: its virtual CPUs end at
     * once, the process when it is let go. */
    bool (*held)(void *arg, const struct hf_uuid *uuid, enum hf_vm_gone why);
    void *arg;
};
void hf_vm_machine_watch(struct hf_vm_machine *m, const struct hf_vm_sim_watch *w);
void hf_vm_machine_each(const struct hf_vm_machine *m, void (*cb)(void *arg, const struct hf_vm_sim_guest *g),
                        void *arg);

/* A connection; closed by its close operation (calls under way are then never answered). */
struct hf_hypervisor *hf_vm_sim_connect(struct hf_vm_machine *m, const struct hf_hypervisor_events *events);

/* Who connected ends: calls under way are answered with CANCELLED at once and do nothing. Close comes next.
 */
void hf_vm_sim_cancel(struct hf_hypervisor *h);

struct hf_sim_faults *hf_vm_machine_faults(struct hf_vm_machine *m);
/* The hypervisor's daemon is down: calls fail with UNAVAILABLE, guests go on. */
void hf_vm_machine_set_down(struct hf_vm_machine *m, bool down);
/* How long after its deadline a HF_SIM_LATE order is done. Until then the driver takes no other order for the
 * domain. */
void hf_vm_machine_set_late(struct hf_vm_machine *m, unsigned late_ms);
/* What each call takes. */
void hf_vm_machine_set_latency(struct hf_vm_machine *m, unsigned call_ms, unsigned start_ms);

/* --- live migration --- */

/* The machine that answers at an address; NULL: none. Nobody does until this is called. */
void hf_vm_machine_set_peers(struct hf_vm_machine *m,
                             struct hf_vm_machine *(*find)(void *arg, const char *address), void *arg);
/* The gate of this machine, asked at the birth of a QEMU that a migration leads here. All are let in until
 * this is called. */
void hf_vm_machine_set_admit(struct hf_vm_machine *m,
                             bool (*admit)(void *arg, const struct hf_uuid *uuid, uint64_t run,
                                           bool incoming),
                             void *arg);
/* From the birth of the target's QEMU to the hand-over. */
void hf_vm_machine_set_move_ms(struct hf_vm_machine *m, unsigned ms);
/* What the gate does with process pid; nothing when it has gone. It may become QEMU, which takes it until
 * hf_vm_machine_become(); or it ends with a sentence, which whoever ordered the start hears: refused by the
 * gate, or later, because QEMU cannot begin. */
void hf_vm_machine_let_in(struct hf_vm_machine *m, int pid);
void hf_vm_machine_refuse(struct hf_vm_machine *m, int pid, const char *why);
void hf_vm_machine_become(struct hf_vm_machine *m, int pid);

/* What happens to QEMU processes. */
bool hf_vm_machine_exists(struct hf_vm_machine *m, const struct hf_uuid *uuid, uint64_t *ret_run,
                          int *ret_pid);
bool hf_vm_machine_runs(struct hf_vm_machine *m, const struct hf_uuid *uuid);      /* virtual CPUs execute */
unsigned hf_vm_machine_boots(struct hf_vm_machine *m, const struct hf_uuid *uuid); /* 1 after the start */
/* The largest size that a disk of it was told; 0: none was. */
uint64_t hf_vm_machine_grown_bytes(struct hf_vm_machine *m, const struct hf_uuid *uuid);
size_t hf_vm_machine_count(const struct hf_vm_machine *m);
void hf_vm_machine_guest_ignores_acpi(struct hf_vm_machine *m, bool ignores);
void hf_vm_machine_guest_power_off(struct hf_vm_machine *m, const struct hf_uuid *uuid);
/* SIGKILL; false: it does not die (see set_unkillable). */
bool hf_vm_machine_kill(struct hf_vm_machine *m, const struct hf_uuid *uuid);
bool hf_vm_machine_kill_all(struct hf_vm_machine *m);
void hf_vm_machine_set_unkillable(struct hf_vm_machine *m, bool unkillable);
/* The kernel holds nothing of it any more: a QEMU that was killed meanwhile ends. */
void hf_vm_machine_let_go(struct hf_vm_machine *m, const struct hf_uuid *uuid);
/* SIGSTOP and SIGCONT, which whoever asks the hypervisor does not see; nothing when there is none. */
void hf_vm_machine_freeze(struct hf_vm_machine *m, const struct hf_uuid *uuid, bool frozen);
/* QEMU stops the guest by itself, as after an I/O error: paused until it is resumed. */
void hf_vm_machine_guest_stop(struct hf_vm_machine *m, const struct hf_uuid *uuid);

#endif
