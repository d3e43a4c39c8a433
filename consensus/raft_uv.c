#include "consensus/raft_uv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "consensus/raft_private.h"

#define SEGMENT_BYTES                                                                                        \
    ((size_t)64 << 20)          /* the loop stands still for some 30 ms when a segment is full: have few */
#define OPEN_SEGMENTS         2 /* that libraft keeps ready */
#define RESERVE_BYTES         ((uint64_t)64 << 20)
#define ELECTION_MS           1000
#define HEARTBEAT_MS          100
#define PROBE_MS              1
#define ENTRIES_IN_FLIGHT_MAX 16384
#define CONNECT_RETRY_MS      250
#define INSTALL_SNAPSHOT_MS   30000

/* --- the turn --- */

static void on_idle(uv_idle_t *handle)
{
    (void)handle; /* its being there keeps the loop from waiting */
}

void hf_raft_uv_wake(struct hf_raft_uv *u)
{
    if (!u->closing)
        uv_idle_start(&u->idle, on_idle);
}

static void on_dirty(void *arg)
{
    hf_raft_uv_wake(arg);
}

static void turn(struct hf_raft_uv *u)
{
    uv_idle_stop(&u->idle);
    hf_replica_tick(u->replica);
    hf_raft_members_turn(u);
    if (raft_state(&u->raft) == RAFT_UNAVAILABLE && !u->reported_unavailable) {
        u->reported_unavailable = true;
        hf_err("Raft has stopped on this node and needs a restart: %s", raft_errmsg(&u->raft));
    }
}

static void on_prepare(uv_prepare_t *handle)
{
    turn(handle->data);
}

static void on_check(uv_check_t *handle)
{
    turn(handle->data);
}

static void maybe_free(struct hf_raft_uv *u)
{
    if (u->handles > 0 || !u->raft_closed || u->statfs_runs)
        return;
    void (*closed)(void *arg) = u->closed;
    void *arg = u->closed_arg;
    hf_raft_tcp_done(&u->tcp); /* not in libraft's callback, which looks at it once more */
    hf_raft_dir_close(&u->dir);
    free(u);
    if (closed != NULL)
        closed(arg);
}

/* --- once a second --- */

static void on_statfs(uv_fs_t *request)
{
    struct hf_raft_uv *u = request->data;
    u->statfs_runs = false;
    if (request->result == 0 && !u->closing) {
        const uv_statfs_t *s = request->ptr;
        uint64_t free_bytes = s->f_bavail * s->f_bsize;
        char why[512];
        snprintf(why, sizeof why,
                 "the disk of this control node is nearly full: '%s' has %llu MiB left, %llu MiB are kept in "
                 "reserve; free "
                 "some space",
                 u->dir.path, (unsigned long long)free_bytes >> 20, (unsigned long long)u->reserve >> 20);
        hf_replica_refuse_writes(u->replica, free_bytes < u->reserve ? why : NULL);
    }
    uv_fs_req_cleanup(request);
    if (u->closing)
        maybe_free(u);
}

static void on_second(uv_timer_t *timer)
{
    struct hf_raft_uv *u = timer->data;
    uint64_t stored = u->raft.last_stored, applied = raft_last_applied(&u->raft);
    hf_raft_dir_raise_floor(&u->dir, stored < applied ? stored : applied);
    if (u->dir.is_new && raft_current_term(&u->raft) > 0) {
        hf_status st = hf_raft_dir_mark_used(&u->dir); /* a member that joins: it has state now */
        if (!hf_ok(st))
            hf_err("%s", hf_status_message(st));
        hf_status_drop(st);
    }
    if (u->statfs_runs)
        return;
    u->statfs.data = u;
    u->statfs_runs = uv_fs_statfs(u->loop, &u->statfs, u->dir.path, on_statfs) == 0;
}

/* --- end --- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct hf_raft_uv *u = handle->data;
    u->handles--;
    maybe_free(u);
}

static void on_raft_closed(struct raft *raft)
{
    struct hf_raft_uv *u = hf_container_of(raft, struct hf_raft_uv, raft);
    raft_uv_close(&u->io);
    u->raft_closed = true;
    hf_replica_on_dirty(u->replica, NULL, NULL);
    hf_replica_unbind(u->replica);
    hf_leader_io_free(u->leader_io);
    hf_io_filter_free(u->filter);
    hf_raft_members_close(u);
    uv_handle_t *handles[] = {(uv_handle_t *)&u->prepare, (uv_handle_t *)&u->check, (uv_handle_t *)&u->idle,
                              (uv_handle_t *)&u->second};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
        uv_close(handles[i], on_handle_closed);
}

void hf_raft_uv_close(struct hf_raft_uv *u, void (*closed)(void *arg), void *arg)
{
    HF_ASSERT(!u->closing);
    u->closed = closed;
    u->closed_arg = arg;
    u->closing = true;
    uv_timer_stop(&u->second);
    raft_close(&u->raft, on_raft_closed);
}

/* --- start --- */

static void init_handles(struct hf_raft_uv *u)
{
    uv_prepare_init(u->loop, &u->prepare);
    uv_check_init(u->loop, &u->check);
    uv_idle_init(u->loop, &u->idle);
    uv_timer_init(u->loop, &u->second);
    u->prepare.data = u->check.data = u->idle.data = u->second.data = u;
    u->handles = 4;
    /* libuv runs the last started first: these must run after libraft's own, which fire what has completed.
     */
    uv_prepare_start(&u->prepare, on_prepare);
    uv_check_start(&u->check, on_check);
}

static hf_status check_room(const struct hf_raft_uv *u, size_t segment)
{
    uint64_t free_bytes, needed = u->reserve + OPEN_SEGMENTS * (uint64_t)segment;
    HF_TRY(hf_raft_dir_free_bytes(u->dir.path, &free_bytes));
    if (free_bytes < needed)
        return hf_error(HF_EXHAUSTED,
                        "the disk of data directory '%s' has %llu MiB left; %llu MiB are needed to start",
                        u->dir.path, (unsigned long long)free_bytes >> 20, (unsigned long long)needed >> 20);
    return HF_STATUS_OK;
}

static void tune(struct hf_raft_uv *u, const struct hf_raft_options *o, size_t segment)
{
    raft_set_election_timeout(&u->raft, o->election_ms != 0 ? o->election_ms : ELECTION_MS);
    raft_set_heartbeat_timeout(&u->raft, o->heartbeat_ms != 0 ? o->heartbeat_ms : HEARTBEAT_MS);
    raft_set_pre_vote(&u->raft, true);
    raft_set_max_inflight_entries(&u->raft, ENTRIES_IN_FLIGHT_MAX);
    /* libraft counts prepared bytes in 16 bits of KiB: 64 MiB segments look like no room at all. We watch the
     * disk. */
    raft_set_capacity_threshold(&u->raft, 0);
    raft_set_install_snapshot_timeout(&u->raft, INSTALL_SNAPSHOT_MS);
    raft_uv_set_segment_size(&u->io, segment);
    raft_uv_set_connect_retry_delay(&u->io, CONNECT_RETRY_MS);
    /* It would move damaged segments aside and go on without the entries that were in them. */
    raft_uv_set_auto_recovery(&u->io, false);
}

static hf_status bootstrap(struct hf_raft_uv *u, const struct hf_raft_options *o)
{
    if (!u->dir.is_new || u->dir.joining)
        return HF_STATUS_OK;
    bool is_member = false;
    for (size_t i = 0; i < o->n_members; i++)
        is_member |= o->members[i].id == o->id;
    if (!is_member)
        return hf_error(HF_INVALID,
                        "member %llu is not among the %zu first members of the cluster: start it with join",
                        (unsigned long long)o->id, o->n_members);
    struct raft_configuration members;
    raft_configuration_init(&members);
    int rv = 0;
    for (size_t i = 0; i < o->n_members && rv == 0; i++)
        rv = raft_configuration_add(&members, o->members[i].id, o->members[i].address, RAFT_VOTER);
    if (rv == 0)
        rv = raft_bootstrap(&u->raft, &members);
    raft_configuration_close(&members);
    if (rv != 0 && rv != RAFT_CANTBOOTSTRAP) /* a first start that was cut short got that far */
        return hf_error(rv == RAFT_DUPLICATEID || rv == RAFT_DUPLICATEADDRESS ? HF_INVALID : HF_IO,
                        "write the first configuration of %zu members to '%s': %s", o->n_members, u->dir.path,
                        raft_strerror(rv));
    return hf_raft_dir_mark_used(&u->dir);
}

static hf_status start_raft(struct hf_raft_uv *u)
{
    int rv = raft_start(&u->raft);
    const char *why = raft_errmsg(&u->raft);
    if (why[0] == 0)
        why = u->io.errmsg[0] != 0 ? u->io.errmsg : raft_strerror(rv);
    if (rv != 0)
        return hf_raft_dir_damaged(&u->dir, why);
    if (raft_last_index(&u->raft) < u->dir.floor) {
        char lost[128];
        snprintf(lost, sizeof lost, "its log ends at entry %llu, but entry %llu was stored once",
                 (unsigned long long)raft_last_index(&u->raft), (unsigned long long)u->dir.floor);
        return hf_raft_dir_damaged(&u->dir, lost);
    }
    return HF_STATUS_OK;
}

/* Up to raft_init: what fails here leaves nothing behind. */
static hf_status init_raft(struct hf_raft_uv *u, const struct hf_raft_options *o)
{
    HF_TRY(hf_raft_tcp_init(&u->tcp, u->loop));
    int rv = raft_uv_init(&u->io, u->loop, o->dir, &u->tcp.outer);
    if (rv != 0) {
        hf_raft_tcp_done(&u->tcp);
        return hf_error(HF_IO, "open '%s' for Raft: %s", o->dir, raft_strerror(rv));
    }
    u->io.version = 2;
    rv = raft_init(&u->raft, &u->io, hf_replica_fsm(u->replica), o->id, o->address);
    if (rv != 0) {
        hf_status st = hf_raft_dir_damaged(&u->dir, u->io.errmsg[0] != 0 ? u->io.errmsg : raft_strerror(rv));
        raft_uv_close(&u->io);
        hf_raft_tcp_done(&u->tcp);
        return st;
    }
    return HF_STATUS_OK;
}

hf_status hf_raft_uv_start(uv_loop_t *loop, struct hf_replica *r, const struct hf_raft_options *o,
                           struct hf_raft_uv **ret)
{
    struct hf_raft_uv *u = HF_NEW(struct hf_raft_uv);
    size_t segment = o->segment_bytes != 0 ? o->segment_bytes : SEGMENT_BYTES;
    u->loop = loop;
    u->replica = r;
    u->reserve = o->disk_reserve_bytes != 0 ? o->disk_reserve_bytes : RESERVE_BYTES;
    hf_status st = hf_raft_dir_open(o->dir, o->id, o->address, o->join, &u->dir);
    if (!hf_ok(st)) {
        free(u);
        return st;
    }
    st = check_room(u, segment);
    if (hf_ok(st))
        st = hf_raft_tcp_check(o->address);
    if (hf_ok(st))
        st = init_raft(u, o);
    if (!hf_ok(st)) {
        hf_raft_dir_close(&u->dir);
        free(u);
        return st;
    }
    signal(SIGPIPE, SIG_IGN); /* libuv's sockets raise it when a peer has gone */
    hf_replica_bind(r, &u->raft);
    u->filter = hf_io_filter_create(r, &u->raft);
    u->leader_io = hf_leader_io_create(r, &u->raft);
    tune(u, o, segment);
    hf_raft_dir_trim(&u->dir);
    init_handles(u);
    hf_replica_on_dirty(r, on_dirty, u);
    st = bootstrap(u, o);
    if (hf_ok(st))
        st = start_raft(u);
    if (!hf_ok(st)) {
        uv_prepare_stop(&u->prepare); /* the replica takes no more steps while the rest closes */
        uv_check_stop(&u->check);
        hf_raft_uv_close(u, NULL, NULL);
        return st;
    }
    /* raft_start has set the clock that sends heartbeats. libraft also takes this time for the pause between
     * messages to a member that it has not heard of since its last look, and in a quiet cluster a write would
     * wait for the heartbeat. */
    raft_set_heartbeat_timeout(&u->raft, PROBE_MS);
    uv_timer_start(&u->second, on_second, 1000, 1000);
    *ret = u;
    return HF_STATUS_OK;
}
