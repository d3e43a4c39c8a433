/* One client of a simulated cloud: it sends a request every now and then, follows each to its end, and tells
 * the checks what it asked and what it heard. It alone starts and stops its own instances; it looks at those
 * of others, and some shared objects are changed by all.
 */
#ifndef HF_SIM_USER_H
#define HF_SIM_USER_H

#include "sim/setup.h"

#define SIM_USER_EXTRA    3 /* instances that it makes and deletes besides its first ones */
#define SIM_USER_SENT_MAX 6 /* requests under way; more wait for their turn */
#define SIM_USER_OPS_MAX  8 /* operations that it remembers; more push the oldest out */
#define SIM_SHARED_KINDS  5 /* objects that all change: zone, cluster, offering, image, L2 network */

enum sim_known_state {
    SIM_KNOWN_NONE,  /* a free place */
    SIM_KNOWN_ASKED, /* its creation is under way */
    SIM_KNOWN_DOUBT, /* nobody told whether it was created */
    SIM_KNOWN_THERE,
    SIM_KNOWN_LEAVING, /* its deletion is under way, or was acknowledged */
};

enum sim_power { SIM_POWER_RUNS, SIM_POWER_STOPPED, SIM_POWER_PAUSED };

/* An instance as its owner knows it. */
struct sim_known {
    enum sim_known_state state;
    char uuid[HF_UUID_STR];
    char name[32];
    bool local;           /* on LocalStorage */
    bool extra;           /* not one of the first: it may be deleted */
    enum sim_power power; /* as its owner last asked */
};

/* A data volume, which goes from one stopped instance of its owner to the next. */
struct sim_data_volume {
    enum sim_known_state state;
    char uuid[HF_UUID_STR];
    char name[32];
    bool attached;
    bool unsure; /* whether it is attached must be asked */
};

/* A zone that its owner makes and deletes, and that others read. */
struct sim_mark {
    enum sim_known_state state;
    char uuid[HF_UUID_STR];
    char name[32];
};

/* An operation that a client was told of. */
struct sim_told {
    char uuid[HF_UUID_STR]; /* "": a free place */
    char what[48];          /* "StopInstance of vm3" */
    int64_t told_ns;
};

struct sim_sent;

struct sim_user {
    struct sim_workload *l;
    struct sim_client client;
    unsigned number;
    struct sim_rng rng; /* of its choices */
    struct hf_timer next;
    LIST_HEAD(sim_sent_list, sim_sent) sent;
    size_t n_sent;
    struct sim_known *known; /* its own; of fixed length */
    size_t n_known;
    struct sim_mark mark;
    struct sim_data_volume volume;
    char disabled_host[HF_UUID_STR]; /* by this client, in one way or another; "": none */
    unsigned duty;                   /* which way */
    struct sim_told told[SIM_USER_OPS_MAX];
    size_t n_told; /* since the beginning: the place of the next is n_told % max */
    uint64_t shared_revision[SIM_SHARED_KINDS]; /* as last seen; 0: never */
    unsigned names;                             /* given away so far */
};

struct sim_workload {
    struct sim_world *w;
    struct sim_setup *setup;
    struct sim_user *users;
    unsigned n_users;
    struct sim_watcher *watcher; /* NULL: no clients */
    uint64_t told;               /* operations that clients were told of */
    bool ended;                  /* no new requests */
};

/* --- user.c --- */

void sim_user_init(struct sim_user *u, struct sim_workload *l, unsigned number);
/* The cloud is set up: it has its first instances, and begins. */
void sim_user_begin(struct sim_user *u);
void sim_user_stop(struct sim_user *u); /* while there is a queue */
void sim_user_done(struct sim_user *u);

/* --- user_send.c: one request, from its first try to the last word about it --- */

struct sim_request {
    const char *service, *method;
    ProtobufCMessage *take_message;
    /* Its place in the history. object: the UUID that it is about; NULL: a create, or nobody knows. */
    bool recorded;
    enum sim_op_kind kind;
    const char *object;
    const char *label;    /* of what it is about, for the trace; NULL: none */
    enum hf_code refusal; /* not OK: the request is wrong and must be refused so */
    int64_t deadline_ms;  /* 0: drawn */
    /* The last word; may be NULL. thing: the caller's. */
    void (*done)(struct sim_user *u, void *thing, const struct sim_answer *a);
    void *thing;
};
void sim_user_send(struct sim_user *u, const struct sim_request *r);
void sim_user_forget_sent(struct sim_user *u); /* its process has ended */

/* A new request id. */
char *sim_user_id(struct sim_user *u, char id[HF_UUID_STR]);
/* A text that nobody has used yet. */
void sim_user_text(struct sim_user *u, char *text, size_t len);

/* --- user_instances.c, user_volumes.c, user_objects.c, user_wrong.c: what it does --- */

void sim_user_power(struct sim_user *u);
void sim_user_create_instance(struct sim_user *u);
void sim_user_delete_instance(struct sim_user *u);
void sim_user_update_instance(struct sim_user *u);
void sim_user_get_instance(struct sim_user *u);
void sim_user_list_instances(struct sim_user *u);
void sim_user_settle_doubt(struct sim_user *u);

/* One of its own in this state, drawn; NULL: there is none. */
struct sim_known *sim_user_draw_own(struct sim_user *u, enum sim_known_state state);

void sim_user_volume(struct sim_user *u);

void sim_user_host(struct sim_user *u);
void sim_user_enable_host(struct sim_user *u); /* that it has disabled */
void sim_user_get_shared(struct sim_user *u);
void sim_user_update_shared(struct sim_user *u);
void sim_user_mark(struct sim_user *u);
void sim_user_get_mark(struct sim_user *u);
void sim_user_follow_operation(struct sim_user *u);
void sim_user_cancel_operation(struct sim_user *u);
void sim_user_told(struct sim_user *u, const struct sim_answer *a); /* of an operation, if all went well */

void sim_user_wrong(struct sim_user *u);

#endif
