/* What vm_sim.c (connections and their orders), vm_sim_qemu.c (the machine and its QEMUs) and vm_sim_gate.c
 * (births through a gate) share. */
#ifndef HF_HOSTD_VM_SIM_PRIVATE_H
#define HF_HOSTD_VM_SIM_PRIVATE_H

#include "hostd/vm_sim.h"

struct hf_sim_vm {
    struct hf_sim_vm *next;
    struct hf_uuid uuid;
    uint64_t epoch, run;
    int pid;
    enum hf_vm_sim_phase phase;
    struct hf_sim_vm_order *start; /* waits until it is QEMU, or gone; NULL: nobody waits */
    char *refused;                 /* the gate's sentence */
    bool abandoned;                /* the hypervisor's daemon died before it was QEMU: the next one ends it */
    bool paused;
    bool io_stopped;     /* by itself, after an error */
    bool incoming;       /* waits to be filled by a migration; paused */
    bool frozen;         /* its process is stopped by a signal: the hypervisor does not know */
    bool killed;         /* it has ended, but the kernel holds the process */
    enum hf_vm_gone why; /* how */
    unsigned boots;
    uint64_t grown_bytes; /* the largest size that a disk of it was told; 0: none was */
    char **disks;
    size_t n_disks;
};

struct hf_sim_vm_connection;
struct hf_sim_vm_move;

/* Who waits for the end of a migration; cb NULL: nobody. */
struct hf_sim_vm_answer {
    const struct hf_sim_vm_connection *c;
    hf_vm_done_cb cb;
    void *arg;
};
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
    struct hf_sim_vm_move *moves; /* migrations from here */
    struct hf_vm_sim_watch watch;
    struct hf_vm_machine *(*find_peer)(void *arg, const char *address);
    void *peers_arg;
    bool (*admit)(void *arg, const struct hf_uuid *uuid, uint64_t run, bool incoming);
    void *admit_arg;
    int next_pid;
    bool down, ignores_acpi, unkillable;
    unsigned call_ms, start_ms, late_ms, move_ms;
};

/* --- vm_sim_qemu.c --- */
struct hf_sim_vm *hf_sim_vm_find(struct hf_vm_machine *m, const struct hf_uuid *uuid);
/* A QEMU is born; takes vm and its disks, sets the rest. */
void hf_sim_vm_add(struct hf_vm_machine *m, struct hf_sim_vm *vm);
void hf_sim_vm_tell_runs(struct hf_vm_machine *m, const struct hf_sim_vm *v);
void hf_sim_vm_set_paused(struct hf_vm_machine *m, struct hf_sim_vm *v, bool paused);
/* Its virtual CPUs execute no more. False: the process is still there, until the kernel lets it go. */
bool hf_sim_vm_end(struct hf_vm_machine *m, struct hf_sim_vm *v, enum hf_vm_gone why);
/* SIGKILL; false: the process is still there. */
bool hf_sim_vm_kill(struct hf_vm_machine *m, struct hf_sim_vm *v, enum hf_vm_gone why);
void hf_sim_disks_free(char **disks, size_t n);

/* --- vm_sim_move.c --- */
/* An error: it did not begin. Else it is answered later, if answer is not NULL. */
hf_status hf_sim_vm_move_begin(struct hf_vm_machine *m, const struct hf_vm_migration *o,
                               const struct hf_sim_vm_answer *answer, unsigned deadline_ms) HF_MUST_USE;
/* OK: none is under way. */
hf_status hf_sim_vm_move_abort(struct hf_vm_machine *m, const struct hf_uuid *uuid) HF_MUST_USE;
void hf_sim_vm_move_progress(struct hf_vm_machine *m, const struct hf_uuid *uuid, struct hf_vm_progress *ret);
/* This connection's migrations go on without it; tell: it is answered with CANCELLED. */
void hf_sim_vm_moves_forget(struct hf_vm_machine *m, const struct hf_sim_vm_connection *c, bool tell);
/* --- vm_sim_gate.c --- */
/* The hypervisor's daemon has died, or a new one is there. */
void hf_sim_vm_abandon(struct hf_vm_machine *m);
void hf_sim_vm_end_abandoned(struct hf_vm_machine *m);

/* --- vm_sim.c --- */
/* The order to start it is answered, if one waits; takes the status. */
void hf_sim_vm_started(struct hf_sim_vm *v, hf_status take_st);
/* Every connection hears that it has gone. */
void hf_sim_vm_tell_gone(struct hf_vm_machine *m, const struct hf_uuid *uuid, enum hf_vm_gone why);

#endif
