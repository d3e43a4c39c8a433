/* Births through a gate, as with hostd/hf_qemu.c for <emulator>: libvirt starts a process that asks, and
 * becomes QEMU only on a yes. libvirt's start ends when it is QEMU, or gone. A libvirtd that dies meanwhile
 * does not come to let the guest go on: the next one ends what was not fully started.
 */
#include "base/mem.h"
#include "hostd/vm_sim_private.h"

static struct hf_sim_vm *find_pid(struct hf_vm_machine *m, int pid)
{
    struct hf_sim_vm *v = m->vms;
    while (v && v->pid != pid)
        v = v->next;
    return v && !v->killed ? v : NULL;
}

void hf_vm_machine_let_in(struct hf_vm_machine *m, int pid)
{
    struct hf_sim_vm *v = find_pid(m, pid);
    if (v && v->phase == HF_VM_SIM_ASKS)
        v->phase = HF_VM_SIM_EXECS;
}

void hf_vm_machine_refuse(struct hf_vm_machine *m, int pid, const char *why)
{
    struct hf_sim_vm *v = find_pid(m, pid);
    if (!v || v->phase == HF_VM_SIM_QEMU)
        return;
    v->refused = hf_strdup(why);
    hf_sim_vm_end(m, v, HF_VM_GONE_CRASHED);
}

void hf_vm_machine_become(struct hf_vm_machine *m, int pid)
{
    struct hf_sim_vm *v = find_pid(m, pid);
    if (!v || v->phase != HF_VM_SIM_EXECS)
        return;
    v->phase = HF_VM_SIM_QEMU;
    v->paused |= v->abandoned;
    hf_sim_vm_tell_runs(m, v);
    hf_sim_vm_started(v, HF_STATUS_OK);
}

void hf_sim_vm_abandon(struct hf_vm_machine *m)
{
    for (struct hf_sim_vm *v = m->vms; v; v = v->next) {
        v->abandoned |= v->phase != HF_VM_SIM_QEMU;
        hf_sim_vm_started(v, hf_error(HF_UNKNOWN_OUTCOME, "the connection to the hypervisor broke"));
    }
}

void hf_sim_vm_end_abandoned(struct hf_vm_machine *m)
{
    for (struct hf_sim_vm *v = m->vms, *next; v; v = next) {
        next = v->next;
        if (v->abandoned)
            hf_sim_vm_kill(m, v, HF_VM_GONE_CRASHED);
    }
}
