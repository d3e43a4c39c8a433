/* hf-lease, the keeper: renews the host's storage leases, pets its watchdog, remembers what must not be
 * forgotten, kills what may not run any longer. The decisions are ha/lease_rules.h's; this file plugs in
 * clock, disks, processes, watchdog, state file and socket. One thread decides; disks and processes have
 * threads of their own, which may hang.
 *
 * It never waits for hostd, libvirt or a storage. It outlives hostd, and when it dies itself the watchdog,
 * kept open by its holder, resets the host unless a new one takes over in time.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "hostd/keeper_disk.h"
#include "hostd/keeper_procs.h"
#include "hostd/keeper_server.h"
#include "hostd/keeper_store.h"
#include "hostd/keeper_watchdog.h"

#define REALTIME_PRIORITY 20
#define FDS_OWN           4 /* timer, inbox, signals, the watchdog's holder */

struct options {
    const char *profile, *socket, *gate, *state, *watchdog, *stand_in;
    bool lab;
};

struct keeper {
    struct options options;
    const struct hf_ha_timing *timing;
    char boot_id[HF_LEASE_BOOT_ID_MAX];
    struct hf_lease_rules *rules;
    struct hf_lease_effects effects;
    struct hf_keeper_inbox inbox;
    struct hf_keeper_procs *procs;
    struct disk_slot {
        struct hf_keeper_disk *disk; /* made at first use */
        struct hf_uuid storage;      /* of its last write */
        bool busy;
        bool open; /* it may hold the storage's file */
    } disks[HF_KEEPER_STORAGES_MAX];
    struct hf_keeper_watchdog watchdog;
    struct hf_keeper_server server;
    int timer_fd, signal_fd;
    bool unsaved; /* the last save failed */
    bool stop;
};

/* --- effects --- */

static void save(struct keeper *k)
{
    hf_status st = hf_keeper_store_save(k->options.state, k->boot_id, hf_lease_rules_state(k->rules));
    if (!hf_ok(st) && !k->unsaved)
        hf_err("%s", hf_status_message(st));
    k->unsaved = !hf_ok(st);
    hf_lease_rules_saved(k->rules, hf_ok(st));
    hf_status_drop(st);
}

/* An idle disk, best the one that has this storage's file open. There is one for each lease, and a lease has
 * at most one write in flight. */
static struct disk_slot *pick_disk(struct keeper *k, const struct hf_uuid *storage)
{
    struct disk_slot *pick = NULL;
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        struct disk_slot *s = &k->disks[i];
        if (!s->busy && s->disk && hf_uuid_equal(&s->storage, storage))
            return s;
        if (!s->busy && (!pick || (pick->disk && !s->disk)))
            pick = s;
    }
    HF_ASSERT(pick);
    if (!pick->disk)
        pick->disk = hf_keeper_disk_create(&k->inbox);
    return pick;
}

static void renew(struct keeper *k, const struct hf_uuid *storage, uint64_t sequence)
{
    static struct hf_lease_record record;
    struct disk_slot *s = pick_disk(k, storage);
    hf_lease_rules_record(k->rules, storage, sequence, &record);
    s->storage = *storage;
    s->busy = s->open = true;
    hf_keeper_disk_write(s->disk, storage, hf_lease_rules_dir(k->rules, storage), &record);
}

static void disk_is_idle(struct keeper *k, const struct hf_uuid *storage)
{
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        if (k->disks[i].busy && hf_uuid_equal(&k->disks[i].storage, storage))
            k->disks[i].busy = false;
    }
}

/* Leases that were given up: their storages may be unmounted. */
static void let_files_go(struct keeper *k)
{
    for (size_t i = 0; i < HF_KEEPER_STORAGES_MAX; i++) {
        struct disk_slot *s = &k->disks[i];
        if (!s->open || s->busy || hf_lease_rules_renews(k->rules, &s->storage))
            continue;
        hf_keeper_disk_let_go(s->disk);
        s->open = false;
    }
}

static void pet(struct keeper *k)
{
    const char *before = hf_keeper_watchdog_kind(&k->watchdog);
    hf_keeper_watchdog_pet(&k->watchdog, hf_lease_rules_timing(k->rules), !hf_lease_rules_idle(k->rules));
    if (strcmp(before, hf_keeper_watchdog_kind(&k->watchdog)) != 0)
        hf_keeper_server_changed(&k->server);
}

static void reply(struct keeper *k, const struct hf_lease_effect *e)
{
    if (k->unsaved && e->code == HF_OK)
        hf_keeper_server_reply(&k->server, e->number, HF_IO,
                               "the keeper could not save its state: nothing is promised, ask again");
    else
        hf_keeper_server_reply(&k->server, e->number, e->code, e->text);
}

static void carry_out(struct keeper *k, const struct hf_lease_effect *e)
{
    switch (e->kind) {
    case HF_LEASE_PERSIST:
        save(k);
        return;
    case HF_LEASE_RENEW:
        renew(k, &e->subject, e->number);
        return;
    case HF_LEASE_KILL:
    case HF_LEASE_FREEZE:
    case HF_LEASE_THAW:
        hf_keeper_procs_order(k->procs, e->kind, &e->subject, (int64_t)e->number);
        return;
    case HF_LEASE_WATCH:
        hf_keeper_procs_watch(k->procs, &e->subject, (int)e->number);
        return;
    case HF_LEASE_SURVEY:
        hf_keeper_procs_survey(k->procs, e->number);
        return;
    case HF_LEASE_PET:
        pet(k);
        return;
    case HF_LEASE_REPLY:
        reply(k, e);
        return;
    case HF_LEASE_CHANGED:
        hf_keeper_server_changed(&k->server);
        return;
    case HF_LEASE_NOTE:
        hf_info("%s", e->text);
        return;
    }
}

static void arm_timer(struct keeper *k, int64_t wake_ms)
{
    struct itimerspec when = {.it_value = {.tv_sec = wake_ms / 1000, .tv_nsec = wake_ms % 1000 * 1000000}};
    if (when.it_value.tv_sec == 0 && when.it_value.tv_nsec == 0)
        when.it_value.tv_nsec = 1; /* zero would disarm it */
    int rc = timerfd_settime(k->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    HF_ASSERT(rc == 0);
}

static void step(struct keeper *k, const struct hf_lease_event *e)
{
    hf_lease_rules_step(k->rules, e, hf_keeper_now_ms(), &k->effects);
    if (k->unsaved && (k->effects.n == 0 || k->effects.list[0].kind != HF_LEASE_PERSIST))
        save(k);
    for (size_t i = 0; i < k->effects.n; i++)
        carry_out(k, &k->effects.list[i]);
    let_files_go(k);
    arm_timer(k, k->effects.wake_ms);
}

/* --- what comes in --- */

static void on_request(void *arg, uint64_t token, const struct hf_keeper_request *q)
{
    struct hf_lease_event e = {.kind = HF_LEASE_REQUESTED, .token = token, .request = q};
    step(arg, &e);
}

static size_t on_view(void *arg, struct hf_keeper_wire_view *buf)
{
    struct keeper *k = arg;
    size_t len = hf_lease_rules_view(k->rules, hf_keeper_now_ms(), buf);
    snprintf(buf->watchdog, sizeof buf->watchdog, "%s", hf_keeper_watchdog_kind(&k->watchdog));
    snprintf(buf->watchdog_problem, sizeof buf->watchdog_problem, "%s",
             hf_keeper_watchdog_problem(&k->watchdog));
    return len;
}

static void on_letters(struct keeper *k)
{
    struct hf_keeper_letter *l;
    while ((l = hf_keeper_inbox_take(&k->inbox)) != NULL) {
        if (l->event.kind == HF_LEASE_RENEWED)
            disk_is_idle(k, &l->event.storage);
        step(k, &l->event);
        free(l);
    }
}

static void on_timer(struct keeper *k)
{
    uint64_t count;
    struct hf_lease_event e = {.kind = HF_LEASE_TICK};
    if (read(k->timer_fd, &count, sizeof count) == sizeof count)
        step(k, &e);
}

static void run(struct keeper *k)
{
    struct pollfd fds[FDS_OWN + HF_KEEPER_POLL_MAX];
    while (!k->stop) {
        fds[0] = (struct pollfd){.fd = k->timer_fd, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = k->inbox.fd, .events = POLLIN};
        fds[2] = (struct pollfd){.fd = k->signal_fd, .events = POLLIN};
        fds[3] = (struct pollfd){.fd = k->watchdog.holder.fd, .events = POLLIN};
        nfds_t n = hf_keeper_server_poll(&k->server, fds + FDS_OWN);
        if (poll(fds, FDS_OWN + n, -1) < 0) {
            HF_ASSERT(errno == EINTR);
            continue;
        }
        /* Time first: after a pause nothing may act on an old belief (the rules look at the clock in every
         * step). */
        if (fds[0].revents)
            on_timer(k);
        if (fds[1].revents)
            on_letters(k);
        if (fds[3].revents)
            hf_keeper_watchdog_holder_ended(&k->watchdog);
        hf_keeper_server_serve(&k->server, fds + FDS_OWN, n);
        k->stop = fds[2].revents != 0;
    }
}

/* --- life --- */

/* Each of these makes the keeper faster or harder to stop; none is needed for safety, so a refusal is only
 * told. */
static void harden(void)
{
    struct sched_param rr = {.sched_priority = REALTIME_PRIORITY};
    mallopt(M_ARENA_MAX, 1);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        hf_warn("memory is not locked: %s", strerror(errno));
    if (sched_setscheduler(0, SCHED_RR, &rr) != 0)
        hf_warn("no real-time priority: %s", strerror(errno));
    FILE *f = fopen("/proc/self/oom_score_adj", "we");
    if (!f || fputs("-1000", f) == EOF || fflush(f) != 0)
        hf_warn("not exempt from the out-of-memory killer: %s", strerror(errno));
    if (f)
        fclose(f);
}

static hf_status read_boot_id(char out[HF_LEASE_BOOT_ID_MAX])
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!f)
        return hf_errno(errno, "open /proc/sys/kernel/random/boot_id");
    bool ok = fgets(out, HF_LEASE_BOOT_ID_MAX, f) != NULL;
    fclose(f);
    if (!ok)
        return hf_error(HF_IO, "read /proc/sys/kernel/random/boot_id: it is empty");
    out[strcspn(out, "\n")] = '\0';
    return HF_STATUS_OK;
}

/* With the state of the last keeper it goes on where that stood; without, everything of ours is killed first.
 */
static void create_rules(struct keeper *k)
{
    struct hf_keeper_state *state = HF_NEW(struct hf_keeper_state);
    hf_status st = hf_keeper_store_load(k->options.state, k->boot_id, state);
    bool loaded = hf_ok(st);
    if (loaded)
        hf_info("goes on with epoch %llu, %u runs", (unsigned long long)state->epoch, state->n_runs);
    else
        hf_info("starts without a state (%s): every guest of an earlier life is killed",
                hf_status_message(st));
    hf_status_drop(st);
    k->rules = hf_lease_rules_create(k->timing, k->boot_id, loaded ? state : NULL, hf_keeper_now_ms());
    free(state);
}

static hf_status open_signals(struct keeper *k)
{
    sigset_t set;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); /* the watchdog's holder is nobody's to wait for */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL); /* before any thread starts: they inherit it */
    k->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return k->signal_fd >= 0 ? HF_STATUS_OK : hf_errno(errno, "create a signalfd");
}

static hf_status start(struct keeper *k)
{
    HF_TRY(hf_keeper_store_lock(k->options.state));
    HF_TRY(read_boot_id(k->boot_id));
    HF_TRY(open_signals(k));
    k->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (k->timer_fd < 0)
        return hf_errno(errno, "create a timer");
    HF_TRY(hf_keeper_inbox_init(&k->inbox));
    k->server.request = on_request;
    k->server.view = on_view;
    k->server.arg = k;
    HF_TRY(hf_keeper_server_init(&k->server, k->options.socket, k->options.gate));
    harden();
    char holder[PATH_MAX];
    snprintf(holder, sizeof holder, "%.*s.holder", PATH_MAX - 8, k->options.state);
    HF_TRY(hf_keeper_watchdog_init(&k->watchdog, k->options.watchdog, k->options.stand_in, holder));
    k->procs = hf_keeper_procs_create(&k->inbox);
    create_rules(k);
    const char *profile = hf_lease_rules_timing(k->rules)->profile;
    hf_info("keeper runs: profile %s", profile);
    if (strcmp(profile, k->timing->profile) != 0)
        hf_warn("profile %s waits for the next epoch: this one began by %s", k->timing->profile, profile);
    struct hf_lease_event tick = {.kind = HF_LEASE_TICK};
    step(k, &tick);
    return HF_STATUS_OK;
}

static void usage(FILE *out)
{
    fprintf(
        out,
        "Usage: hf-lease [options]\n"
        "The lease keeper of a Holdfast host: renews its storage leases, pets its watchdog, kills what lost "
        "them.\n"
        "Without its state file it kills every guest of ours that it finds, so start one per host only.\n\n"
        "  --profile NAME            durations: fast, default or san (default)\n"
        "  --socket PATH             where hostd asks (" HF_KEEPER_SOCKET ")\n"
        "  --gate PATH               where a QEMU asks before it is born (" HF_KEEPER_GATE_SOCKET ")\n"
        "  --state PATH              what survives a restart; must be lost at reboot (" HF_KEEPER_STATE ")\n"
        "  --watchdog DEVICE         hardware watchdog, for example /dev/watchdog0\n"
        "  --watchdog-stand-in FIFO  something outside this host that resets it when nobody writes; counts "
        "as a\n"
        "                            watchdog, so it needs --lab\n"
        "  --lab                     this is a laboratory, where something stands behind that FIFO\n"
        "  --help\n");
}

/* 0: go on; else the exit code plus one. */
static int parse(int argc, char **argv, struct options *o)
{
    enum { FLAGS = 2 }; /* the last ones take no value */
    static const struct option longs[] = {
        {"profile", required_argument, NULL, 0},
        {"socket", required_argument, NULL, 0},
        {"gate", required_argument, NULL, 0},
        {"state", required_argument, NULL, 0},
        {"watchdog", required_argument, NULL, 0},
        {"watchdog-stand-in", required_argument, NULL, 0},
        {"lab", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char **values[] = {&o->profile, &o->socket, &o->gate, &o->state, &o->watchdog, &o->stand_in};
    _Static_assert(sizeof longs / sizeof longs[0] == sizeof values / sizeof values[0] + FLAGS + 1,
                   "a place for each value");
    for (int c, i; (c = getopt_long(argc, argv, "", longs, &i)) != -1;) {
        if (c == 'h' || c == '?') {
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? 1 : 3;
        }
        if (c == 'l')
            o->lab = true;
        else
            *values[i] = optarg;
    }
    const char *wrong = optind < argc                ? "it takes no arguments but options"
                        : o->watchdog && o->stand_in ? "--watchdog and --watchdog-stand-in exclude each other"
                        : o->stand_in && !o->lab
                            ? "--watchdog-stand-in proves nothing outside of a laboratory: "
                              "say --lab if this is one"
                        : o->state[0] != '/' ? "--state must be an absolute path"
                                             : NULL;
    if (wrong)
        fprintf(stderr, "hf-lease: %s\n", wrong);
    return wrong ? 3 : 0;
}

int main(int argc, char **argv)
{
    static struct keeper k = {.options = {.profile = "default",
                                          .socket = HF_KEEPER_SOCKET,
                                          .gate = HF_KEEPER_GATE_SOCKET,
                                          .state = HF_KEEPER_STATE}};
    if (argc == 2 && strcmp(argv[1], HF_KEEPER_HOLDER_ARGUMENT) == 0)
        return hf_keeper_holder_main();
    int end = parse(argc, argv, &k.options);
    if (end)
        return end - 1;
    k.timing = hf_ha_timing_find(k.options.profile);
    if (!k.timing) {
        fprintf(stderr, "hf-lease: there is no profile '%s': use fast, default or san\n", k.options.profile);
        return 2;
    }
    hf_status st = start(&k);
    if (!hf_ok(st)) {
        hf_err("the keeper does not start: %s", hf_status_message(st));
        hf_status_drop(st);
        return 1;
    }
    run(&k);
    bool idle = hf_lease_rules_idle(k.rules);
    hf_info("told to end; %s",
            idle ? "nothing runs here" : "guests run, so the watchdog must go on counting");
    hf_keeper_watchdog_close(&k.watchdog, idle);
    unlink(k.options.socket);
    unlink(k.options.gate);
    _exit(0); /* threads that hang in a storage are left behind */
}
