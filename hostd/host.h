/* What the records of one host daemon share, private to the core: the drivers, the keeper's view, the lists
 * of records, and the way up to the leader. A record never reaches into another one; it asks through that
 * one's header.
 *
 * Life of a record: calls to drivers hold it (hf_host_call_begin/end count them for the whole core, each
 * record counts its own); a record that was dropped while a call is under way is freed by that call's end.
 */
#ifndef HF_HOSTD_HOST_H
#define HF_HOSTD_HOST_H

#include "hostd/backoff.h"
#include "hostd/host_core.h"

#define HF_HOST_LOOK_MS          10000 /* list the hypervisor's domains at least this often while runs are here */
#define HF_HOST_LIST_DEADLINE_MS 10000
#define HF_HOST_LEASE_REPORT_MS  1000  /* until the keeper has told its profile */
#define HF_HOST_INBOX_MAX        65536 /* messages of the leader that wait for the keeper; more: dial again */
#define HF_HOST_RUNS_MAX         65536 /* runs of a keeper's view; more are not looked at */
#define HF_HOST_RECORDS_MAX      16384 /* records of one kind; more assignments are refused */

struct hf_instance_rec;
struct hf_storage_rec;
struct hf_image_rec;
struct hf_volume_rec;
struct hf_network_rec;

/* How far the conversation with the leader is. */
enum hf_attach_state {
    HF_ATTACH_DOWN,    /* no stream */
    HF_ATTACH_VIEW,    /* stream open, the keeper's answer is awaited before the hello */
    HF_ATTACH_HELLO,   /* hello said */
    HF_ATTACH_PENDING, /* not added to the cloud yet */
    HF_ATTACH_GRANTED, /* epoch confirmed: reports flow, assignments are taken */
};

/* What an ordered step of the attachment waits for; the inbox stands still meanwhile. */
enum hf_attach_gate { HF_GATE_NONE, HF_GATE_TERM, HF_GATE_EPOCH };

struct hf_inbox_entry {
    struct hf_inbox_entry *next;
    Holdfast__V1__ControlMessage *m;
};

struct hf_attach {
    enum hf_attach_state state;
    enum hf_attach_gate gate;
    struct hf_inbox_entry *first, **last;
    size_t inbox_len;
    uint64_t granting; /* HF_GATE_EPOCH: the epoch that the keeper is asked to take */
    uint64_t sync;     /* raised by every welcome; an assignment carries it until the leader says Synced */
    bool synced;       /* at least once in this epoch: the set of assignments is whole */
    char said_watchdog[16], said_problem[160],
        said_profile[16]; /* in the last hello: what the leader judges this host's silence by */
    bool said_unclean;    /* the leader grants nothing before it hears that nothing of an earlier life runs */
    bool ending;          /* the epoch is being closed: no record takes a step */
    bool end_call;        /* keeper.end_epoch under way */
    unsigned end_starts;  /* starts under way when that call was made */
    struct hf_timer end_timer, hello_timer, lease_timer;
    struct hf_backoff end_backoff;
};

/* How far it is on its way out (host_leave.h). */
enum hf_leave_state {
    HF_LEAVE_NOT,
    HF_LEAVE_ASKED,    /* the leader is asked to empty the host */
    HF_LEAVE_STOPPING, /* every instance is stopped here */
    HF_LEAVE_CLOSING,  /* the epoch is being closed */
    HF_LEAVE_CLOSED,   /* it is: the leader is told */
    HF_LEAVE_DONE,
};

struct hf_leave {
    enum hf_leave_state state;
    int64_t since_ms;        /* that it is in this state */
    int64_t patience_end_ms; /* ASKED: then it is done here */
    int64_t heard_ms;        /* ASKED: a leader was there */
    struct hf_timer timer;
};

/* The keeper's last answer, copied. */
struct hf_host_view {
    int64_t at_ms;      /* of the answer */
    bool known, up;     /* up: the keeper answers now */
    bool asking, again; /* a view call is under way; ask once more after it */
    char boot_id[40], watchdog[16], watchdog_problem[160], profile[16];
    uint64_t epoch, max_term;
    bool epoch_closed, clean, foreign; /* foreign: it serves another host's UUID */
    struct hf_keeper_run *runs;
    size_t n_runs;
    struct hf_keeper_storage *storages;
    size_t n_storages;
};

struct hf_host {
    struct hf_host_options o;
    struct hf_host_drivers d;
    char id[HF_UUID_STR];
    bool started, closing;
    void (*closed)(void *arg);
    void *closed_arg;
    unsigned calls;  /* driver calls under way */
    unsigned starts; /* hypervisor starts among them */

    struct hf_uuid cluster; /* from the last welcome; zero: not told */
    struct hf_host_view view;
    struct hf_attach attach;
    struct hf_leave leave;
    struct hf_timer view_timer;

    struct hf_timer look_timer;
    uint64_t look_seq; /* number of the last list that was begun */
    bool looking, look_again;

    struct hf_instance_rec *instances;
    struct hf_storage_rec *storages;
    struct hf_image_rec *images;
    struct hf_volume_rec *volumes;
    struct hf_network_rec *networks;
    bool networks_ticking, networks_again;
    bool giving_lease_up; /* the keeper is asked to remove a storage that is not assigned */
    size_t n_instances, n_storages, n_images, n_volumes, n_networks;
};

/* --- host_core.c --- */

/* Every driver call is framed by these two. */
void hf_host_call_begin(struct hf_host *h);
void hf_host_call_end(struct hf_host *h);

/* Records may take steps: the keeper answers and its epoch is open. */
bool hf_host_ready(const struct hf_host *h);

/* Asks for a list of the domains soon. One with at least the returned number is news to the caller. */
uint64_t hf_host_look(struct hf_host *h);

/* Asks the keeper for its view. */
void hf_host_refresh(struct hf_host *h);

/* One step of every record of a kind, after something that they wait for has changed. */
void hf_host_tick_all(struct hf_host *h);
void hf_host_tick_instances(struct hf_host *h);
void hf_host_tick_networks(struct hf_host *h);
void hf_host_tick_volumes(struct hf_host *h);

/* Drops every instance record: the epoch in which they lived is over and nothing of it runs. */
void hf_host_drop_instances(struct hf_host *h);

/* --- host_attach.c: terms, epochs and the order of messages --- */

void hf_attach_init(struct hf_host *h);
void hf_attach_done(struct hf_host *h);
/* A new view of the keeper is here. */
void hf_attach_view(struct hf_host *h);
/* A hello with a fresh view; reports and assignments rest until the next welcome. */
void hf_attach_hello_again(struct hf_host *h);
/* Kills all, verifies, says hello. */
void hf_attach_end_epoch(struct hf_host *h, const char *why);
/* A start has ended: closing the epoch may go on. */
void hf_attach_start_ended(struct hf_host *h);
bool hf_attach_granted(const struct hf_host *h);
void hf_attach_refuse(struct hf_host *h, const Holdfast__V1__ControlMessage *m, const char *subject,
                      hf_status why);

/* --- host_assign.c: assignments to records --- */

/* An object of the present epoch; an error becomes a refusal. */
hf_status hf_assign_take(struct hf_host *h, const Holdfast__V1__ControlMessage *m,
                         const char **ret_subject) HF_MUST_USE;
/* What was not assigned since the last welcome is not assigned. */
void hf_assign_sweep(struct hf_host *h);
void hf_assign_report_all(struct hf_host *h);

/* A report: sent when the host is attached, else forgotten (after the next welcome all is reported anew). */
void hf_host_send(struct hf_host *h, Holdfast__V1__HostMessage *m);

#endif
