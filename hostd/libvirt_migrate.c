#include "hostd/libvirt_migrate.h"

#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/domain_xml.h"
#include "hostd/libvirt_conn.h"
#include "hostd/libvirt_domain.h"

/* PAUSED: the guest stays paused at the target. UNSAFE: libvirt takes the storages for local directories;
 * ours are shared, and disks are opened with cache=none. */
#define FLAGS (VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PAUSED | VIR_MIGRATE_UNSAFE | VIR_MIGRATE_ABORT_ON_ERROR)
/* The guest runs on until the last moment, and one that writes faster than its memory is copied is slowed
 * down. Not for an emulated guest, which stands still while it is sent: up to QEMU 9.0 the emulator does not
 * mark every page that it writes while the guest moves ("physmem: Fix migration dirty bitmap coherency with
 * TCG memory access"), and the guest goes on with old pages among the new ones. */
#define FLAGS_LIVE (VIR_MIGRATE_LIVE | VIR_MIGRATE_AUTO_CONVERGE)

/* What the copy at the target is to be: this domain, with the target's mark. */
static hf_status target_xml(virDomainPtr dom, const struct hf_vm_migration *m, char **ret)
{
    struct hf_domain_mark mark = {
        .host_uuid = m->target_host, .epoch = m->target_epoch, .run = m->target_run};
    char *xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE);
    if (!xml)
        return hf_libvirt_error("read the domain");
    hf_status st = hf_domain_xml_remark(xml, &mark, ret);
    free(xml);
    return st;
}

static hf_status call_migrate(virDomainPtr dom, const char *address, bool tls, const char *xml)
{
    virTypedParameterPtr params = NULL;
    int n = 0, max = 0;
    char *peer = hf_printf(tls ? "qemu+tls://%s/system" : "qemu+tcp://%s/system", address);
    char *uri = hf_printf("tcp://%s", address);
    HF_ASSERT(virTypedParamsAddString(&params, &n, &max, VIR_MIGRATE_PARAM_DEST_XML, xml) == 0 &&
              virTypedParamsAddString(&params, &n, &max, VIR_MIGRATE_PARAM_URI, uri) == 0);
    unsigned flags = FLAGS | (hf_domain_xml_is_emulated(xml) ? 0 : FLAGS_LIVE) | (tls ? VIR_MIGRATE_TLS : 0);
    hf_status st = virDomainMigrateToURI3(dom, peer, params, (unsigned)n, flags) == 0
                       ? HF_STATUS_OK
                       : hf_libvirt_error("migrate to %s", address);
    virTypedParamsFree(params, n);
    free(uri);
    free(peer);
    return st;
}

hf_status hf_libvirt_migrate(virConnectPtr conn, const struct hf_vm_migration *m, bool tls)
{
    virDomainPtr dom = NULL;
    struct hf_domain_mark mark;
    char *xml = NULL;
    HF_TRY(hf_libvirt_domain_look_up(conn, &m->uuid, &dom, &mark));
    hf_status st = mark.run == m->run ? target_xml(dom, m, &xml)
                                      : hf_error(HF_NOT_FOUND, "the domain is of run %llu, not of run %llu",
                                                 (unsigned long long)mark.run, (unsigned long long)m->run);
    if (hf_ok(st))
        st = call_migrate(dom, m->target_address, tls, xml);
    free(xml);
    virDomainFree(dom);
    return st;
}

/* true: a job of this domain is under way. */
static bool job_of(virDomainPtr dom, virDomainJobInfo *ret)
{
    memset(ret, 0, sizeof *ret);
    return virDomainGetJobInfo(dom, ret) == 0 &&
           (ret->type == VIR_DOMAIN_JOB_BOUNDED || ret->type == VIR_DOMAIN_JOB_UNBOUNDED);
}

hf_status hf_libvirt_migrate_abort(virConnectPtr conn, const struct hf_uuid *u)
{
    char id[HF_UUID_STR];
    virDomainPtr dom = NULL;
    struct hf_domain_mark mark;
    virDomainJobInfo job;
    hf_status st = hf_libvirt_domain_look_up(conn, u, &dom, &mark);
    if (hf_status_code(st) == HF_NOT_FOUND) {
        hf_status_drop(st);
        return HF_STATUS_OK;
    }
    HF_TRY(st);
    if (virDomainGetJobInfo(dom, &job) != 0)
        st = virGetLastErrorCode() == VIR_ERR_NO_DOMAIN ? HF_STATUS_OK
                                                        : hf_libvirt_error("look at the migration");
    else if (job_of(dom, &job)) {
        (void)virDomainAbortJob(dom); /* whether it has ended is looked at, the next time */
        st =
            hf_error(HF_UNAVAILABLE, "the migration of the domain %s is still to end", hf_uuid_format(u, id));
    }
    virDomainFree(dom);
    return st;
}

hf_status hf_libvirt_migrate_progress(virConnectPtr conn, const struct hf_uuid *u, struct hf_vm_progress *ret)
{
    virDomainPtr dom = NULL;
    struct hf_domain_mark mark;
    virDomainJobInfo job;
    HF_TRY(hf_libvirt_domain_look_up(conn, u, &dom, &mark));
    *ret = (struct hf_vm_progress){0};
    if (job_of(dom, &job) && job.dataTotal > 0)
        *ret = (struct hf_vm_progress){job.dataTotal - job.dataRemaining, job.dataTotal};
    virDomainFree(dom);
    return HF_STATUS_OK;
}
