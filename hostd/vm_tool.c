/* hf-vm-tool: the libvirt driver by hand, for trying it out on a host.
 *   hf-vm-tool URI start UUID DISK BRIDGE|- | shutdown UUID | destroy UUID | reboot UUID | reset UUID | pause
 * UUID | resume UUID | list | watch SECONDS
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "hostd/vm_libvirt.h"

#define DEADLINE_MS 60000

static bool finished;
static int exit_status;

static void on_done(void *arg, hf_status st)
{
    (void)arg;
    printf("%s: %s\n", hf_code_text(hf_status_code(st)), hf_status_message(st));
    exit_status = hf_ok(st) ? 0 : 1;
    finished = true;
}

static void on_list(void *arg, hf_status st, const struct hf_vm_seen *vms, size_t n)
{
    static const char *const states[] = {"running", "paused", "shutting down"};
    char id[HF_UUID_STR];
    for (size_t i = 0; i < n; i++)
        printf("%s epoch %" PRIu64 " run %" PRIu64 " pid %d %s\n", hf_uuid_format(&vms[i].uuid, id),
               vms[i].epoch, vms[i].run, vms[i].pid, states[vms[i].state]);
    on_done(arg, st);
}

static void on_gone(void *arg, const struct hf_uuid *u, enum hf_vm_gone why)
{
    static const char *const whys[] = {"by its guest", "destroyed", "crashed", "unknown"};
    char id[HF_UUID_STR];
    (void)arg;
    printf("gone %s %s\n", hf_uuid_format(u, id), whys[why]);
    fflush(stdout);
}

static void on_connection(void *arg, bool up)
{
    (void)arg;
    printf("connection %s\n", up ? "up" : "down");
    fflush(stdout);
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void on_timer(uv_timer_t *t)
{
    uv_close((uv_handle_t *)t, NULL);
    finished = true;
}

static void start(struct hf_hypervisor *h, const struct hf_uuid *u, const char *disk, const char *bridge)
{
    struct hf_vm_disk d = {disk, "qcow2", NULL};
    struct hf_vm_nic n = {"52:54:00:77:00:01", bridge};
    struct hf_vm_spec s = {.uuid = *u,
                           .epoch = 1,
                           .run = 1,
                           .title = "hf-vm-tool",
                           .cpus = 1,
                           .memory_bytes = 96u << 20,
                           .disks = &d,
                           .n_disks = 1,
                           .nics = &n,
                           .n_nics = strcmp(bridge, "-") != 0};
    h->ops->start(h, &s, DEADLINE_MS, on_done, NULL);
}

static bool order(struct hf_hypervisor *h, int argc, char **argv, uv_timer_t *timer)
{
    const char *verb = argc > 2 ? argv[2] : "";
    struct hf_uuid u;
    if (strcmp(verb, "list") == 0) {
        h->ops->list(h, DEADLINE_MS, on_list, NULL);
        return true;
    }
    if (strcmp(verb, "watch") == 0 && argc == 4) {
        uv_timer_start(timer, on_timer, (uint64_t)atoi(argv[3]) * 1000, 0);
        return true;
    }
    if (argc < 4 || !hf_uuid_parse(argv[3], &u))
        return false;
    if (strcmp(verb, "start") == 0 && argc == 6)
        start(h, &u, argv[4], argv[5]);
    else if (strcmp(verb, "shutdown") == 0)
        h->ops->shutdown(h, &u, DEADLINE_MS, on_done, NULL);
    else if (strcmp(verb, "destroy") == 0)
        h->ops->destroy(h, &u, DEADLINE_MS, on_done, NULL);
    else if (strcmp(verb, "reboot") == 0 || strcmp(verb, "reset") == 0)
        h->ops->reboot(h, &u, strcmp(verb, "reset") == 0, DEADLINE_MS, on_done, NULL);
    else if (strcmp(verb, "pause") == 0)
        h->ops->pause(h, &u, DEADLINE_MS, on_done, NULL);
    else if (strcmp(verb, "resume") == 0)
        h->ops->resume(h, &u, DEADLINE_MS, on_done, NULL);
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct hf_hypervisor *h = NULL;
    struct hf_vm_libvirt_options o = {
        .uri = argc > 1 ? argv[1] : "", .accelerator = "tcg", .emulator = getenv("HF_EMULATOR")};
    struct hf_hypervisor_events events = {.gone = on_gone, .connection = on_connection};
    uv_loop_t *loop = uv_default_loop();
    uv_timer_t timer;
    bool closed = false;
    hf_status st = hf_vm_libvirt_create(loop, &o, &events, &h);
    if (!hf_ok(st)) {
        fprintf(stderr, "%s\n", hf_status_message(st));
        hf_status_drop(st);
        return 1;
    }
    uv_timer_init(loop, &timer);
    if (!order(h, argc, argv, &timer)) {
        fprintf(stderr, "hf-vm-tool: see the head of hostd/vm_tool.c for its use\n");
        return 2;
    }
    while (!finished)
        uv_run(loop, UV_RUN_ONCE);
    h->ops->close(h, on_closed, &closed);
    while (!closed)
        uv_run(loop, UV_RUN_ONCE);
    return exit_status;
}
