/* Who stands before the gate (hostd/hf_qemu.c in small): a process that libvirt has started in QEMU's place
 * asks the keeper on a connection of its own and becomes QEMU on a yes. A keeper that is not there, dies, or
 * does not answer in time has not said yes. From exec to the question, and from the yes to QEMU, time passes:
 * the keeper, libvirt and the host daemon may be lost meanwhile, leases too.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "sim/host_private.h"

#define EXEC_LOW_NS  (1 * HF_MS_NS)
#define EXEC_HIGH_NS (1 * HF_S_NS) /* a machine that is short of memory loads its programs slowly */
#define ANSWER_NS    (10 * HF_S_NS)

struct sim_asker {
    struct sim_asker *next; /* while it waits for its answer */
    struct sim_host *host;
    uint64_t number;
    struct hf_uuid instance;
    uint64_t run;
    int pid;
    bool incoming;
};

/* A packet either way, or the end of a wait. */
struct gate_packet {
    struct sim_host *host;
    uint64_t number; /* of the asker */
    struct hf_uuid instance;
    uint64_t run;
    int pid;
    bool incoming;
    enum hf_code code;
    char *text;
};

static void packet_free(void *arg)
{
    struct gate_packet *p = arg;
    free(p->text);
    free(p);
}

static int64_t exec_ns(struct sim_host *h)
{
    int64_t ns = sim_rng_skewed(&h->rng, EXEC_LOW_NS, EXEC_HIGH_NS);
    return h->exec.slow_ms > 0 ? ns + sim_rng_between(&h->rng, 0, h->exec.slow_ms * HF_MS_NS) : ns;
}

/* --- answers --- */

static void on_become(void *arg)
{
    struct gate_packet *p = arg;
    struct sim_host *h = p->host;
    if (h->exec.fails_percent > 0 && (int64_t)sim_rng_below(&h->rng, 100) < h->exec.fails_percent)
        hf_vm_machine_refuse(h->vms, p->pid, "cannot set up guest memory: Cannot allocate memory");
    else
        hf_vm_machine_become(h->vms, p->pid);
    packet_free(p);
}

static struct sim_asker *take(struct sim_host *h, uint64_t number)
{
    struct sim_asker **at = &h->askers;
    while (*at && (*at)->number != number)
        at = &(*at)->next;
    struct sim_asker *a = *at;
    if (a)
        *at = a->next;
    return a;
}

/* Takes the packet. */
static void answered(struct gate_packet *p)
{
    struct sim_host *h = p->host;
    struct sim_asker *a = take(h, p->number);
    if (a && p->code == HF_OK) {
        hf_vm_machine_let_in(h->vms, a->pid);
        p->pid = a->pid;
        sim_proc_post(&h->machine, exec_ns(h), on_become, packet_free, p);
    } else {
        if (a)
            hf_vm_machine_refuse(h->vms, a->pid, p->text);
        packet_free(p);
    }
    free(a);
}

static void answer_arrives(void *arg)
{
    answered(arg);
}

static struct gate_packet *answer_new(struct sim_host *h, uint64_t number, enum hf_code code,
                                      const char *text)
{
    struct gate_packet *p = HF_NEW(struct gate_packet);
    p->host = h;
    p->number = number;
    p->code = code;
    p->text = hf_strdup(text);
    return p;
}

void sim_gate_answer(struct sim_host *h, uint64_t number, enum hf_code code, const char *text)
{
    sim_proc_post(&h->machine, SIM_SYSCALL_NS, answer_arrives, packet_free,
                  answer_new(h, number, code, text));
}

void sim_gate_broke(struct sim_host *h)
{
    for (const struct sim_asker *a = h->askers; a; a = a->next)
        sim_gate_answer(h, a->number, HF_UNAVAILABLE, "start refused: the keeper (hf-lease) does not answer");
}

/* --- the question --- */

static void request_arrives(void *arg)
{
    struct gate_packet *p = arg;
    struct hf_keeper_request q = {.head.op = HF_KEEPER_GATE,
                                  .subject = p->instance,
                                  .number = p->run,
                                  .pid = p->pid,
                                  .incoming = p->incoming};
    sim_keeper_gate(p->host, p->number, &q);
    packet_free(p);
}

static void ask(void *arg)
{
    struct sim_asker *a = arg;
    struct sim_host *h = a->host;
    if (!h->keeper) {
        hf_vm_machine_refuse(h->vms, a->pid, "start refused: the keeper (hf-lease) cannot be asked");
        free(a);
        return;
    }
    a->number = ++h->asker_serial;
    a->next = h->askers;
    h->askers = a;
    struct gate_packet *p = HF_NEW(struct gate_packet);
    *p = (struct gate_packet){.host = h,
                              .number = a->number,
                              .instance = a->instance,
                              .run = a->run,
                              .pid = a->pid,
                              .incoming = a->incoming};
    sim_proc_post(&h->procs[SIM_KEEPER], SIM_SYSCALL_NS, request_arrives, packet_free, p);
    sim_proc_post(
        &h->machine, ANSWER_NS, answer_arrives, packet_free,
        answer_new(h, a->number, HF_TIMEOUT, "start refused: the keeper (hf-lease) does not answer"));
}

void sim_gate_stands(struct sim_host *h, const struct hf_vm_sim_guest *g)
{
    struct sim_asker *a = HF_NEW(struct sim_asker);
    *a = (struct sim_asker){
        .host = h, .instance = g->uuid, .run = g->run, .pid = g->pid, .incoming = g->incoming};
    sim_proc_post(&h->machine, exec_ns(h), ask, free, a);
}

void sim_gate_end(struct sim_host *h)
{
    while (h->askers) {
        struct sim_asker *a = h->askers;
        h->askers = a->next;
        free(a);
    }
}
