/* What vm_sim.c (connections and their orders) and vm_sim_qemu.c (the machine and its QEMUs) share. */
#ifndef HF_HOSTD_VM_SIM_PRIVATE_H
#define HF_HOSTD_VM_SIM_PRIVATE_H

#include "hostd/vm_sim.h"

struct hf_sim_vm {
    struct hf_sim_vm *next;
    struct hf_uuid uuid;
    uint64_t epoch, run;
    int pid;
    bool paused;
    bool frozen;         /* its process is stopped by a signal: the hypervisor does not know */
    bool killed;         /* it has ended, but the kernel holds the process */
    enum hf_vm_gone why; /* how */
    unsigned boots;
    char **disks;
    size_t n_disks;
};

struct hf_sim_vm_connection;
struct hf_sim_vm_order;
struct hf_sim_vm_late;

struct hf_vm_machine {
    struct hf_env *env;
    struct hf_sim_faults faults;
    struct hf_sim_queue queue; /* late orders */
    struct hf_sim_vm *vms;
    struct hf_sim_vm_connection *connections;
    struct hf_sim_vm_order *orders; /* that will be done; for each domain one after the other */
    struct hf_sim_vm_late *lates;
    struct hf_vm_sim_watch watch;
    int next_pid;
    bool down, ignores_acpi, unkillable;
    unsigned call_ms, start_ms, late_ms;
};

/* --- vm_sim_qemu.c --- */
struct hf_sim_vm *hf_sim_vm_find(struct hf_vm_machine *m, const struct hf_uuid *uuid);
/* A QEMU is born; takes vm and its disks, sets the rest. */
void hf_sim_vm_add(struct hf_vm_machine *m, struct hf_sim_vm *vm);
void hf_sim_vm_set_paused(struct hf_vm_machine *m, struct hf_sim_vm *v, bool paused);
/* Its virtual CPUs execute no more. False: the process is still there, until the kernel lets it go. */
bool hf_sim_vm_end(struct hf_vm_machine *m, struct hf_sim_vm *v, enum hf_vm_gone why);
/* SIGKILL; false: the process is still there. */
bool hf_sim_vm_kill(struct hf_vm_machine *m, struct hf_sim_vm *v, enum hf_vm_gone why);
void hf_sim_disks_free(char **disks, size_t n);

/* --- vm_sim.c --- */
/* Every connection hears that it has gone. */
void hf_sim_vm_tell_gone(struct hf_vm_machine *m, const struct hf_uuid *uuid, enum hf_vm_gone why);

#endif
