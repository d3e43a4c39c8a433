/* hostd, the host daemon: plugs the real drivers into the core and runs the loop. See hostd/README.md. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "hostd/accel_probe.h"
#include "hostd/control_link.h"
#include "hostd/daemon_lock.h"
#include "hostd/host_addresses.h"
#include "hostd/host_core.h"
#include "hostd/hostd_options.h"
#include "hostd/identity.h"
#include "hostd/shut_down_call.h"
#include "hostd/upload_reader.h"
#include "hostd/vm_libvirt.h"
#include "storage/ceph_access.h"
#include "storage/nfs_sweeper.h"
#include "storage/primary_nfs.h"
#include "storage/primary_rbd.h"

#define PROBE_MS 5000
#define GATE     "hf-qemu"
#define PATIENCE_MS                                                                                          \
    5000 /* for calls under way at the end; a hung storage must not keep the daemon from ending */

struct daemon {
    struct hf_hostd_options o;
    struct hf_identity identity;
    char hostname[256], console_dir[4096], net_dir[4096];
    uv_loop_t loop;
    uv_signal_t on_term, on_int, on_shut_down;
    uv_timer_t patience;
    int exit_code;
    struct hf_env *env;
    struct hf_host *host;
    struct hf_hypervisor *hypervisor;
    struct hf_keeper *keeper;
    struct hf_host_net *net;
    struct hf_control_link *link;
    struct hf_nfs_sweeper *sweeper;
    struct hf_upload_reader reader;
    struct hf_upload_opener uploads;
    char nfs_client_id[sizeof "holdfast-" + HF_UUID_STR];
    bool ending;
};

/* --- the core's drivers --- */

/* For the keeper and the readers of leases. A small file in memory. */
static hf_status write_access(const struct hf_storage_place *place)
{
    const Holdfast__V1__CephAccess *a = place->ceph;
    struct hf_ceph_access access = {0};
    hf_ceph_mon_host(a->monitors, a->n_monitors, access.mon_host);
    snprintf(access.user, sizeof access.user, "%s", a->user);
    snprintf(access.key, sizeof access.key, "%s", a->key);
    snprintf(access.fsid, sizeof access.fsid, "%s", a->fsid);
    snprintf(access.pool, sizeof access.pool, "%s", a->root_pool);
    hf_status st = hf_ceph_access_write(place->path, &access);
    explicit_bzero(&access, sizeof access);
    return st;
}

static hf_status open_ceph(struct daemon *d, const struct hf_storage_place *place, struct hf_primary **ret)
{
    const Holdfast__V1__CephAccess *a = place->ceph;
    char scratch[PATH_MAX], uuid[HF_UUID_STR], record[HF_LEASE_FILE_NAME_MAX];
    if (snprintf(scratch, sizeof scratch, "%s/images-%s", d->o.state_dir, hf_uuid_format(&place->uuid, uuid)) >=
        (int)sizeof scratch)
        return hf_error(HF_INVALID, "--state-dir: the path is too long");
    struct hf_ceph_place ceph = {.uuid = place->uuid,
                                 .host = d->identity.uuid,
                                 .monitors = a->monitors,
                                 .n_monitors = a->n_monitors,
                                 .user = a->user,
                                 .key = a->key,
                                 .fsid = a->fsid,
                                 .image_pool = a->image_pool,
                                 .root_pool = a->root_pool,
                                 .data_pool = a->data_pool,
                                 .record = hf_lease_file_name(&d->identity.uuid, record),
                                 .scratch = scratch,
                                 .uploads = &d->uploads};
    if (place->heartbeat)
        HF_TRY(write_access(place)); /* before anybody is told of a lease there */
    HF_TRY(hf_primary_rbd_create(d->env, &ceph, place->reserved_bytes, ret));
    if (a->user[0] != '\0' && place->heartbeat) /* else it is an image server: guests use none */
        hf_vm_libvirt_set_secret(d->hypervisor, &place->uuid, a->key);
    return HF_STATUS_OK;
}

static hf_status open_storage(void *arg, const struct hf_storage_place *place, struct hf_primary **ret)
{
    struct daemon *d = arg;
    if (place->ceph)
        return open_ceph(d, place, ret);
    if (!place->nfs)
        return hf_primary_file_create(d->env, place->path, place->reserved_bytes, ret);
    struct hf_nfs_place nfs = {.url = place->url,
                               .options = place->mount_options,
                               .base = d->o.mount_base,
                               .point = place->path,
                               .client_id = d->nfs_client_id,
                               .network = place->network,
                               .prefix = place->prefix};
    return hf_primary_nfs_create(d->env, &nfs, place->reserved_bytes, ret);
}

static void keep_mounts(void *arg, const struct hf_uuid *storages, size_t n)
{
    hf_nfs_sweeper_keep(((struct daemon *)arg)->sweeper, storages, n);
}

static size_t addresses(void *arg, struct hf_host_address *out, size_t max)
{
    (void)arg;
    return hf_host_addresses(out, max);
}

static void send_up(void *arg, const Holdfast__V1__HostMessage *m)
{
    hf_control_link_send(((struct daemon *)arg)->link, m);
}

static void redial(void *arg, const char *why)
{
    hf_control_link_redial(((struct daemon *)arg)->link, why);
}

/* --- the end --- */

static void impatient(uv_timer_t *t)
{
    struct daemon *d = t->data;
    hf_warn("calls to a storage or to libvirt are still under way: ending without them");
    _exit(d->exit_code); /* threads hang in the kernel; every step may be repeated by the next daemon */
}

static void on_hypervisor_closed(void *arg)
{
    struct daemon *d = arg;
    hf_keeper_client_close(d->keeper);
    d->net->ops->close(d->net);
    hf_nfs_sweeper_close(d->sweeper);
    hf_env_uv_close(d->env);
    uv_close((uv_handle_t *)&d->on_term, NULL);
    uv_close((uv_handle_t *)&d->on_int, NULL);
    uv_close((uv_handle_t *)&d->on_shut_down, NULL);
    uv_close((uv_handle_t *)&d->patience, NULL);
}

static void close_drivers(uv_timer_t *t)
{
    struct daemon *d = t->data;
    hf_host_free(d->host);
    d->hypervisor->ops->close(d->hypervisor, on_hypervisor_closed, d);
    uv_timer_start(&d->patience, impatient, PATIENCE_MS, 0);
}

static void on_core_closed(void *arg)
{
    struct daemon *d = arg;
    uv_timer_start(&d->patience, close_drivers, 0, 0); /* not from inside the core */
}

static void close_daemon(struct daemon *d)
{
    d->ending = true;
    uv_timer_start(&d->patience, impatient, PATIENCE_MS, 0);
    hf_control_link_close(d->link);
    hf_host_close(d->host, on_core_closed, d);
}

static void end(uv_signal_t *s, int number)
{
    struct daemon *d = s->data;
    if (d->ending)
        return;
    hf_info("%s: ending, guests go on running", strsignal(number));
    close_daemon(d);
}

/* --- the end of the host --- */

static void shut_down(uv_signal_t *s, int number)
{
    struct daemon *d = s->data;
    (void)number;
    hf_host_leave(d->host, d->o.patience_s * 1000LL);
}

static void end_left(uv_timer_t *t)
{
    struct daemon *d = t->data;
    if (!d->ending)
        close_daemon(d);
}

static void on_left(void *arg, bool recorded)
{
    struct daemon *d = arg;
    (void)recorded; /* the core has told */
    d->exit_code = HF_HOSTD_EXIT_LEFT;
    if (!d->ending)
        uv_timer_start(&d->patience, end_left, 0, 0); /* not from inside the core */
}

/* --- the start --- */

static hf_status make_dir(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return hf_errno(errno, "make directory %s", path);
    return HF_STATUS_OK;
}

static hf_status make_dirs(struct daemon *d)
{
    if ((size_t)snprintf(d->console_dir, sizeof d->console_dir, "%s/console", d->o.run_dir) >=
            sizeof d->console_dir ||
        (size_t)snprintf(d->net_dir, sizeof d->net_dir, "%s/net", d->o.run_dir) >= sizeof d->net_dir)
        return hf_error(HF_INVALID, "--run-dir: the path is too long");
    HF_TRY(make_dir(d->o.run_dir));
    HF_TRY(make_dir(d->console_dir));
    return make_dir(d->net_dir);
}

static const char *accelerator(const struct hf_hostd_options *o)
{
    char why[256] = "";
    if (strcmp(o->accelerator, "auto") != 0)
        return o->accelerator;
    const char *found = hf_accel_probe(PROBE_MS, why, sizeof why);
    hf_info("guests run with %s: %s", found, why);
    return found;
}

static uint64_t machine_memory(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct hf_host *make_core(struct daemon *d, const char *accel)
{
    struct hf_host_options o = {
        .uuid = d->identity.uuid,
        .hostname = d->hostname,
        .management_ip = d->o.management_ip,
        .accelerator = accel,
        .version = HF_VERSION,
        .cpus = d->o.cpus ? d->o.cpus : (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
        .memory_bytes = d->o.memory_bytes ? d->o.memory_bytes : machine_memory(),
        .console_dir = d->console_dir,
        .mount_base = d->o.mount_base,
        .ceph_base = d->o.run_dir,
        .gated = d->o.emulator == NULL,
    };
    _Static_assert(sizeof o.secret == sizeof d->identity.secret, "one secret");
    memcpy(o.secret, d->identity.secret, sizeof o.secret);
    return hf_host_create(&o);
}

/* The gate lies beside this program. */
static hf_status find_gate(char path[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof GATE);
    if (n < 0)
        return hf_errno(errno, "find the directory of this program");
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    HF_ASSERT(slash);
    memcpy(slash + 1, GATE, sizeof GATE);
    if (access(path, X_OK) != 0)
        return hf_errno(errno, "find the gate, %s", path);
    return HF_STATUS_OK;
}

static hf_status open_drivers(struct daemon *d, const char *accel)
{
    char gate[PATH_MAX];
    if (!d->o.emulator)
        HF_TRY(find_gate(gate));
    struct hf_vm_libvirt_options vm = {.uri = d->o.libvirt_uri,
                                       .accelerator = accel,
                                       .emulator = d->o.emulator ? d->o.emulator : gate,
                                       .cpu_mode = "none",
                                       .cache_mode = "none",
                                       .plain_migration = strcmp(d->o.migration, "tcp") == 0};
    if (d->o.emulator)
        hf_warn("guests are started with %s: the keeper is not asked when they are born", d->o.emulator);
    struct hf_hypervisor_events vm_events = hf_host_hypervisor_events(d->host);
    struct hf_keeper_events keeper_events = hf_host_keeper_events(d->host);
    struct hf_control_link_options link = {
        .addresses = d->o.controls, .n_addresses = d->o.n_controls, .tls = d->o.tls};
    HF_TRY(hf_vm_libvirt_create(&d->loop, &vm, &vm_events, &d->hypervisor));
    HF_TRY(hf_keeper_client_create(&d->loop, d->env, d->o.keeper_socket, &keeper_events, &d->keeper));
    HF_TRY(hf_host_net_nl_create(d->env, d->net_dir, &d->net));
    d->sweeper = hf_nfs_sweeper_create(d->env, d->o.mount_base);
    d->link = hf_control_link_create(&d->loop, d->env, &link);
    return HF_STATUS_OK;
}

static void watch_signals(struct daemon *d)
{
    d->on_term.data = d->on_int.data = d->on_shut_down.data = d->patience.data = d;
    uv_timer_init(&d->loop, &d->patience);
    uv_signal_init(&d->loop, &d->on_term);
    uv_signal_init(&d->loop, &d->on_int);
    uv_signal_init(&d->loop, &d->on_shut_down);
    uv_signal_start(&d->on_shut_down, shut_down, HF_SHUT_DOWN_SIGNAL);
    uv_signal_start(&d->on_term, end, SIGTERM);
    uv_signal_start(&d->on_int, end, SIGINT);
    signal(SIGPIPE, SIG_IGN);
}

static hf_status start(struct daemon *d)
{
    char uuid[HF_UUID_STR];
    d->env = hf_env_uv_create(&d->loop);
    if (gethostname(d->hostname, sizeof d->hostname - 1) != 0)
        snprintf(d->hostname, sizeof d->hostname, "unnamed");
    HF_TRY(hf_identity_load(d->env, d->o.state_dir, &d->identity));
    HF_TRY(make_dirs(d));
    HF_TRY(hf_daemon_lock_take(d->o.run_dir));
    snprintf(d->nfs_client_id, sizeof d->nfs_client_id, "holdfast-%s",
             hf_uuid_format(&d->identity.uuid, uuid));
    hf_info("hostd %s on host %s (%s)", HF_VERSION, hf_uuid_format(&d->identity.uuid, uuid), d->hostname);
    const char *accel = accelerator(&d->o); /* before the loop: it blocks */
    d->host = make_core(d, accel);
    HF_TRY(open_drivers(d, accel));
    d->reader = (struct hf_upload_reader){
        .tls = d->o.tls, .host = d->identity.uuid, .secret = d->identity.secret, .secret_len = sizeof d->identity.secret};
    d->uploads = hf_upload_reader_opener(&d->reader);
    if (access(d->o.keeper_socket, F_OK) != 0)
        hf_warn("hf-lease does not listen on %s yet: waiting for it", d->o.keeper_socket);
    struct hf_host_drivers drivers = {
        .env = d->env,
        .hypervisor = d->hypervisor,
        .keeper = d->keeper,
        .net = d->net,
        .open_storage = open_storage,
        .keep_mounts = keep_mounts,
        .addresses = addresses,
        .reader_create = hf_lease_reader_create,
        .reader_set_peers = hf_lease_reader_set_peers,
        .reader_set_marks = hf_lease_reader_set_marks,
        .reader_close = hf_lease_reader_close,
        .send = send_up,
        .redial = redial,
        .left = on_left,
        .arg = d,
    };
    hf_host_start(d->host, &drivers);
    hf_control_link_start(d->link, d->host);
    watch_signals(d);
    return HF_STATUS_OK;
}

#define STOP_MARGIN_S 180 /* for the clean stops and the close of the epoch, behind the patience */

static int call_shut_down(struct daemon *d)
{
    hf_status st = hf_shut_down_call(d->o.run_dir, (d->o.patience_s + STOP_MARGIN_S) * 1000LL);
    if (!hf_ok(st))
        hf_err("shut this host down: %s", hf_status_message(st));
    int code = hf_ok(st) ? 0 : 1;
    hf_status_drop(st);
    free(d);
    return code;
}

int main(int argc, char **argv)
{
    struct daemon *d = HF_NEW(struct daemon);
    signal(HF_SHUT_DOWN_SIGNAL, SIG_IGN); /* until the loop hears it: the caller says it again */
    hf_status st = hf_hostd_options_parse(argc, argv, &d->o);
    if (hf_ok(st) && (d->o.help || d->o.version)) {
        fputs(d->o.help ? hf_hostd_help : "hostd " HF_VERSION "\n", stdout);
        free(d);
        return 0;
    }
    if (hf_ok(st) && d->o.shut_down)
        return call_shut_down(d);
    HF_ASSERT(uv_loop_init(&d->loop) == 0);
    if (hf_ok(st))
        st = start(d);
    if (!hf_ok(st)) {
        hf_err("hostd does not start: %s", hf_status_message(st));
        hf_status_drop(st);
        _exit(1);
    }
    uv_run(&d->loop, UV_RUN_DEFAULT);
    uv_loop_close(&d->loop);
    int code = d->exit_code;
    explicit_bzero(d, sizeof *d);
    free(d);
    return code;
}
