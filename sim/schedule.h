/* The faults of one run, drawn before it begins: a list that can be written to a file, read again, and made
 * smaller until only what is needed for a failure is left.
 *
 * As text, one fault per line, sorted by time, which counts from the moment when the world is ready:
 *     12.345678  host-power    h3 for 40.000
 *     13.000000  net-one-way   h1 n2 for 5.500
 *     14.000000  at-act        h2/keeper crash act 3
 *     15.000000  node-pause    leader for 2.000
 * Each kind has one subject or two, a word, a number after its unit, and a duration, as sim_fault_shape()
 * says.
 */
#ifndef HF_SIM_SCHEDULE_H
#define HF_SIM_SCHEDULE_H

#include "sim/profile.h"

#define SIM_SCHEDULE_MAX 65536 /* faults; a file with more is refused */
#define SIM_SUBJECT      32

struct sim_fault {
    int64_t at_ns, for_ns; /* for_ns 0: it has no duration */
    enum sim_fault_kind kind;
    char subject[SIM_SUBJECT], other[SIM_SUBJECT]; /* "h3", "n1", "h2/keeper", "shared1"; other: "" if none */
    int64_t number; /* what the kind says: rate, number of the act, calls, jump in ms, …; 0 if none */
    char word[SIM_SUBJECT]; /* what the kind says: "crash", "stop", "hang", … ; "" if none */
};

struct sim_schedule {
    struct sim_fault *faults; /* owned; sorted by time */
    size_t n;
};

struct sim_sizes { /* of one world, drawn from seed and profile */
    unsigned nodes, hosts, instances, clients, shared_storages;
    unsigned ceph;               /* bit i: number i of the shared storages is a Ceph cluster */
    int64_t fault_ns, settle_ns; /* whole seconds */
    char timing[16];
};

/* What may stand where in a fault. */
enum sim_subject {
    SIM_SUBJECT_NONE,
    SIM_SUBJECT_HOST,    /* h1 … */
    SIM_SUBJECT_NODE,    /* n1 …, or "leader": who leads when it strikes */
    SIM_SUBJECT_MACHINE, /* a host or a node */
    SIM_SUBJECT_PLACES,  /* a machine, or "all" */
    SIM_SUBJECT_PROCESS, /* h1/hostd, h1/keeper, h1/libvirt, n1 or "leader" */
    SIM_SUBJECT_STORAGE, /* shared1 … */
    SIM_SUBJECT_CEPH,    /* the same; drawn: one that is a Ceph cluster */
    SIM_SUBJECT_ON_HOST, /* shared1 …, or "local": the host's own */
    SIM_SUBJECT_CALL,    /* to the hypervisor: start, shutdown, … */
    SIM_SUBJECT_POINT,   /* of base/buggify.h */
};

struct sim_fault_shape {
    enum sim_subject subject, other;
    bool lasts;              /* it has a duration */
    const char *words[8];    /* one of them must be named; none: NULL first */
    const char *number;      /* its unit, which stands before it: "act 3"; NULL: there is none */
    struct sim_range limits; /* of the number. May be left out where 0 is allowed */
    const char *about;       /* for people */
};
const struct sim_fault_shape *sim_fault_shape(enum sim_fault_kind k);
/* Number i of the calls to the hypervisor that can fail (enum hf_vm_sim_op); NULL past the last. */
const char *sim_hypervisor_call(unsigned i);
/* Which one "h12" or "n3" names, from 0; -1 if it does not begin with that letter, or has no number. */
int sim_subject_number(const char *subject, char letter);

/* --- drawing --- */
struct sim_sizes sim_sizes_draw(uint64_t seed, const struct sim_profile *p);
/* Drawn from seed and profile; every fault ends within sizes->fault_ns. */
struct sim_schedule sim_schedule_draw(uint64_t seed, const struct sim_profile *p,
                                      const struct sim_sizes *sizes);
struct sim_schedule sim_schedule_copy(const struct sim_schedule *s);
void sim_schedule_done(struct sim_schedule *s);

/* --- as text --- */
/* INVALID names the line and what is wrong with it. sizes: subjects must exist; NULL: not looked at. */
hf_status sim_schedule_load(const char *path, const struct sim_sizes *sizes,
                            struct sim_schedule *ret) HF_MUST_USE;
/* title: a comment at its head, "" for none. */
hf_status sim_schedule_save(const char *path, const char *title, const struct sim_schedule *s) HF_MUST_USE;
/* The line, without newline; as snprintf. */
int sim_fault_print(const struct sim_fault *f, char *buf, size_t len);
/* The same without the time. */
int sim_fault_describe(const struct sim_fault *f, char *buf, size_t len);

/* --- in a world --- */
/* Puts the faults of a schedule (copied) into a world's queue, with their ends; from now on until the world's
 * end its checks are told what is wrong with whom. A fault that lasts beyond sizes.fault_ns ends then. */
struct sim_world;
void sim_schedule_arm(struct sim_world *w, const struct sim_schedule *s);

#endif
