#include "hostd/libvirt_domain.h"

#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hostd/libvirt_conn.h"

#define PID_DIR "/run/libvirt/qemu" /* where libvirt's QEMU driver writes <name>.pid */

static bool read_mark(virDomainPtr dom, struct hf_domain_mark *ret)
{
    char *xml =
        virDomainGetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, HF_DOMAIN_XML_NS, VIR_DOMAIN_AFFECT_LIVE);
    bool ours = xml && hf_domain_mark_parse(xml, ret);
    free(xml);
    return ours;
}

hf_status hf_libvirt_domain_look_up(virConnectPtr conn, const struct hf_uuid *u, virDomainPtr *ret,
                                    struct hf_domain_mark *ret_mark)
{
    char id[HF_UUID_STR];
    hf_uuid_format(u, id);
    virDomainPtr dom = virDomainLookupByUUID(conn, u->b);
    if (!dom)
        return hf_libvirt_error("find the domain %s", id);
    if (!read_mark(dom, ret_mark)) {
        virDomainFree(dom);
        return hf_error(HF_PRECONDITION,
                        "the domain %s is not Holdfast's: it has no placement in its metadata", id);
    }
    *ret = dom;
    return HF_STATUS_OK;
}

/* A start that is repeated finds its own domain. */
static bool is_there(virConnectPtr conn, const struct hf_uuid *u, const struct hf_domain_mark *mark)
{
    virDomainPtr dom = NULL;
    struct hf_domain_mark has;
    hf_status st = hf_libvirt_domain_look_up(conn, u, &dom, &has);
    if (!hf_ok(st)) {
        hf_status_drop(st);
        return false;
    }
    virDomainFree(dom);
    return has.epoch == mark->epoch && has.run == mark->run &&
           hf_uuid_equal(&has.host_uuid, &mark->host_uuid);
}

hf_status hf_libvirt_domain_start(virConnectPtr conn, const struct hf_uuid *u, const char *xml,
                                  const struct hf_domain_mark *mark)
{
    char id[HF_UUID_STR];
    virDomainPtr dom = virDomainCreateXML(conn, xml, VIR_DOMAIN_NONE);
    if (dom) {
        virDomainFree(dom);
        return HF_STATUS_OK;
    }
    hf_status st = hf_libvirt_error("start the domain %s", hf_uuid_format(u, id));
    enum hf_code code = hf_status_code(st);
    /* libvirt calls "already active" an invalid operation. */
    if ((code == HF_EXISTS || code == HF_PRECONDITION) && is_there(conn, u, mark)) {
        hf_status_drop(st);
        return HF_STATUS_OK;
    }
    return st;
}

static hf_status with_domain(virConnectPtr conn, const struct hf_uuid *u, const char *what,
                             int (*act)(virDomainPtr))
{
    char id[HF_UUID_STR];
    virDomainPtr dom = NULL;
    struct hf_domain_mark mark;
    HF_TRY(hf_libvirt_domain_look_up(conn, u, &dom, &mark));
    hf_status st = HF_STATUS_OK;
    if (act(dom) != 0)
        st = hf_libvirt_error("%s the domain %s", what, hf_uuid_format(u, id));
    virDomainFree(dom);
    return st;
}

static int act_shutdown(virDomainPtr dom)
{
    return virDomainShutdownFlags(dom, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);
}

static int act_reboot(virDomainPtr dom)
{
    return virDomainReboot(dom, VIR_DOMAIN_REBOOT_ACPI_POWER_BTN);
}

static int act_reset(virDomainPtr dom)
{
    return virDomainReset(dom, 0);
}

static int act_destroy(virDomainPtr dom)
{
    return virDomainDestroyFlags(dom, VIR_DOMAIN_DESTROY_DEFAULT);
}

hf_status hf_libvirt_domain_shutdown(virConnectPtr conn, const struct hf_uuid *u)
{
    return with_domain(conn, u, "ask to power off", act_shutdown);
}

hf_status hf_libvirt_domain_reboot(virConnectPtr conn, const struct hf_uuid *u)
{
    return with_domain(conn, u, "reboot", act_reboot);
}

hf_status hf_libvirt_domain_reset(virConnectPtr conn, const struct hf_uuid *u)
{
    return with_domain(conn, u, "reset", act_reset);
}

hf_status hf_libvirt_domain_pause(virConnectPtr conn, const struct hf_uuid *u)
{
    return with_domain(conn, u, "pause", virDomainSuspend);
}

hf_status hf_libvirt_domain_resume(virConnectPtr conn, const struct hf_uuid *u)
{
    return with_domain(conn, u, "resume", virDomainResume);
}

static bool is_known(virConnectPtr conn, const struct hf_uuid *u)
{
    virDomainPtr dom = virDomainLookupByUUID(conn, u->b);
    if (dom)
        virDomainFree(dom);
    return dom || virGetLastErrorCode() != VIR_ERR_NO_DOMAIN;
}

/* A domain may end by itself between the look and the call, which libvirt then calls an invalid operation:
 * what was asked for is done once libvirt knows none. */
hf_status hf_libvirt_domain_destroy(virConnectPtr conn, const struct hf_uuid *u)
{
    hf_status st = with_domain(conn, u, "destroy", act_destroy);
    enum hf_code code = hf_status_code(st);
    if (code == HF_NOT_FOUND || (code == HF_PRECONDITION && !is_known(conn, u))) {
        hf_status_drop(st);
        return HF_STATUS_OK;
    }
    return st;
}

/* libvirt's call would also shrink it, hence the look before. */
static hf_status grow_disk(virDomainPtr dom, const char *target, uint64_t size_bytes)
{
    virDomainBlockInfo info;
    if (virDomainGetBlockInfo(dom, target, &info, 0) != 0)
        return hf_libvirt_error("read the size of the disk %s", target);
    if (info.capacity >= size_bytes)
        return HF_STATUS_OK;
    if (virDomainBlockResize(dom, target, size_bytes, VIR_DOMAIN_BLOCK_RESIZE_BYTES) != 0)
        return hf_libvirt_error("grow the disk %s", target);
    return HF_STATUS_OK;
}

hf_status hf_libvirt_domain_grow_disk(virConnectPtr conn, const struct hf_uuid *u, unsigned disk,
                                      uint64_t size_bytes)
{
    char target[4];
    virDomainPtr dom = NULL;
    struct hf_domain_mark mark;
    hf_domain_disk_target(disk, target);
    HF_TRY(hf_libvirt_domain_look_up(conn, u, &dom, &mark));
    hf_status st = grow_disk(dom, target, size_bytes);
    virDomainFree(dom);
    return st;
}

/* --- the list --- */

static int read_pid(const char *name)
{
    char path[128];
    int pid = 0;
    if (strchr(name, '/') || snprintf(path, sizeof path, PID_DIR "/%s.pid", name) >= (int)sizeof path)
        return 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%d", &pid) != 1 || pid < 0)
        pid = 0;
    fclose(f);
    return pid;
}

static enum hf_vm_state state_of(virDomainPtr dom)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    if (virDomainGetState(dom, &state, &reason, 0) != 0)
        return HF_VM_SHUTTING_DOWN; /* it ended since it was listed */
    switch (state) {
    case VIR_DOMAIN_PAUSED:
        if (reason == VIR_DOMAIN_PAUSED_IOERROR)
            return HF_VM_IO_STOPPED;
        return reason == VIR_DOMAIN_PAUSED_MIGRATION || reason == VIR_DOMAIN_PAUSED_STARTING_UP
                   ? HF_VM_INCOMING
                   : HF_VM_PAUSED;
    case VIR_DOMAIN_PMSUSPENDED:
        return HF_VM_PAUSED;
    case VIR_DOMAIN_SHUTDOWN:
    case VIR_DOMAIN_SHUTOFF:
    case VIR_DOMAIN_CRASHED:
        return HF_VM_SHUTTING_DOWN;
    default:
        return HF_VM_RUNNING;
    }
}

static bool see(virDomainPtr dom, struct hf_vm_seen *ret)
{
    struct hf_domain_mark mark = {0};
    struct hf_vm_seen seen = {0};
    if (virDomainGetUUID(dom, seen.uuid.b) != 0)
        return false;
    if (read_mark(dom, &mark)) {
        seen.epoch = mark.epoch;
        seen.run = mark.run;
    }
    seen.state = state_of(dom);
    seen.pid = read_pid(virDomainGetName(dom));
    *ret = seen;
    return true;
}

hf_status hf_libvirt_domain_list(virConnectPtr conn, struct hf_vm_seen **ret, size_t *ret_n)
{
    virDomainPtr *doms = NULL;
    int n = virConnectListAllDomains(conn, &doms, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    if (n < 0)
        return hf_libvirt_error("list the domains");
    struct hf_vm_seen *seen = hf_alloc_array((size_t)n + 1, sizeof *seen);
    size_t n_seen = 0;
    for (int i = 0; i < n; i++) {
        if (see(doms[i], &seen[n_seen]))
            n_seen++;
        virDomainFree(doms[i]);
    }
    free(doms);
    /* A connection that broke in the middle would show our domains as somebody else's. */
    if (virConnectIsAlive(conn) != 1) {
        free(seen);
        return hf_error(HF_UNAVAILABLE, "list the domains: the connection to libvirt broke");
    }
    *ret = seen;
    *ret_n = n_seen;
    return HF_STATUS_OK;
}
