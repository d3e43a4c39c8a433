#include "hostd/domain_xml.h"

#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlsave.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/guest_args.h"
#include "storage/ceph_spec.h"
#include "storage/primary.h"

#define X(s) ((const xmlChar *)(s))

/* A child with attributes as name, value, …, NULL; text may be NULL. The tree escapes whatever stands in
 * them. */
static xmlNode *add(xmlNode *parent, const char *name, const char *text, ...)
{
    va_list ap;
    const char *key;
    xmlNode *node = xmlNewTextChild(parent, NULL, X(name), X(text));
    HF_ASSERT(node);
    va_start(ap, text);
    while ((key = va_arg(ap, const char *)) != NULL)
        HF_ASSERT(xmlNewProp(node, X(key), X(va_arg(ap, const char *))));
    va_end(ap);
    return node;
}

#define ADD(parent, name, ...) add(parent, name, __VA_ARGS__, (const char *)NULL)

static char *number(uint64_t value, char out[24])
{
    snprintf(out, 24, "%" PRIu64, value);
    return out;
}

/* What XML 1.0 can carry: UTF-8 without control characters. */
static hf_status check_text(const char *what, const char *text)
{
    if (!text || !xmlCheckUTF8(X(text)))
        return hf_error(HF_INVALID, "the %s is not UTF-8", what);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return hf_error(HF_INVALID, "the %s holds a control character", what);
    return HF_STATUS_OK;
}

static hf_status check_spec(const struct hf_vm_spec *s)
{
    HF_ASSERT(s->epoch > 0 && s->run > 0 && s->n_disks < 26);
    HF_TRY(check_text("title", s->title ? s->title : ""));
    HF_TRY(check_text("console log", s->console_log ? s->console_log : ""));
    for (size_t i = 0; i < s->n_disks; i++)
        HF_TRY(check_text("path of a disk", s->disks[i].path));
    for (size_t i = 0; i < s->n_nics; i++)
        HF_TRY(check_text("bridge of a NIC", s->nics[i].bridge));
    if (s->cpus == 0 || s->memory_bytes < 1024)
        return hf_error(HF_INVALID, "an instance needs at least one CPU and memory");
    return HF_STATUS_OK;
}

static void add_mark(xmlNode *domain, const struct hf_vm_spec *s)
{
    char host[HF_UUID_STR], epoch[24], run[24];
    xmlNode *mark =
        ADD(ADD(domain, "metadata", NULL), "placement", NULL, "host", hf_uuid_format(&s->host_uuid, host),
            "epoch", number(s->epoch, epoch), "run", number(s->run, run));
    xmlNs *ns = xmlNewNs(mark, X(HF_DOMAIN_XML_NS), X("holdfast"));
    HF_ASSERT(ns);
    xmlSetNs(mark, ns);
}

static void add_identity(xmlNode *domain, const struct hf_vm_spec *s)
{
    char id[HF_UUID_STR], text[24];
    hf_uuid_format(&s->uuid, id);
    ADD(domain, "name", id);
    ADD(domain, "uuid", id);
    if (s->title && s->title[0])
        ADD(domain, "title", s->title);
    add_mark(domain, s);
    ADD(domain, "memory", number(s->memory_bytes / 1024, text), "unit", "KiB");
    ADD(domain, "vcpu", number(s->cpus, text), "placement", "static");
}

/* Names the run where the gate can read it: in the arguments of QEMU. */
static void add_run(xmlNode *domain, const struct hf_vm_spec *s)
{
    char run[24];
    ADD(ADD(domain, "sysinfo", NULL, "type", "fwcfg"), "entry", number(s->run, run), "name",
        HF_GUEST_RUN_KEY);
}

static void add_cpu(xmlNode *domain, const struct hf_domain_xml_options *o)
{
    if (!o->kvm) {
        xmlNode *cpu = ADD(domain, "cpu", NULL, "mode", "custom", "match", "exact", "check", "none");
        ADD(cpu, "model", "qemu64", "fallback", "allow");
    } else if (o->cpu_mode && strcmp(o->cpu_mode, "none") != 0) {
        ADD(domain, "cpu", NULL, "mode", o->cpu_mode);
    }
}

static void add_platform(xmlNode *domain, const struct hf_domain_xml_options *o)
{
    xmlNode *os = ADD(domain, "os", NULL);
    ADD(os, "type", "hvm", "arch", "x86_64", "machine", "pc");
    ADD(os, "boot", NULL, "dev", "hd");
    xmlNode *features = ADD(domain, "features", NULL);
    ADD(features, "acpi", NULL);
    ADD(features, "apic", NULL);
    if (!o->kvm) /* the default reserves a quarter of the guest's memory again, in the host */
        ADD(ADD(features, "tcg", NULL), "tb-cache", "32", "unit", "MiB");
    add_cpu(domain, o);
    ADD(ADD(domain, "clock", NULL, "offset", "utc"), "timer", NULL, "name", "hpet", "present", "no");
    ADD(domain, "on_poweroff", "destroy");
    ADD(domain, "on_reboot", "restart");
    ADD(domain, "on_crash", "destroy");
    xmlNode *pm = ADD(domain, "pm", NULL);
    ADD(pm, "suspend-to-mem", NULL, "enabled", "no");
    ADD(pm, "suspend-to-disk", NULL, "enabled", "no");
}

/* error_policy stop: a guest that the cluster refuses, or that waits for one that is out, stands still
 * instead of seeing errors. */
static void add_rbd_disk(xmlNode *devices, const struct hf_vm_disk *d, const char *target, const char *cache)
{
    char host[16], port[24], secret[HF_UUID_STR];
    unsigned mon_port;
    xmlNode *disk = ADD(devices, "disk", NULL, "type", "network", "device", "disk");
    ADD(disk, "driver", NULL, "name", "qemu", "type", d->format, "cache", cache, "error_policy", "stop",
        "rerror_policy", "stop", "discard", "unmap");
    if (d->rbd->user[0] != '\0')
        ADD(ADD(disk, "auth", NULL, "username", d->rbd->user), "secret", NULL, "type", "ceph", "uuid",
            hf_uuid_format(&d->rbd->secret, secret));
    xmlNode *source = ADD(disk, "source", NULL, "protocol", "rbd", "name", d->path);
    for (size_t i = 0; i < d->rbd->n_monitors; i++) {
        hf_status st = hf_ceph_monitor_check(d->rbd->monitors[i], host, &mon_port);
        HF_ASSERT(hf_ok(st)); /* checked when the storage was assigned */
        ADD(source, "host", NULL, "name", host, "port", number(mon_port, port));
    }
    ADD(disk, "target", NULL, "dev", target, "bus", "virtio");
}

void hf_domain_disk_target(size_t i, char ret[4])
{
    HF_ASSERT(i < 26);
    snprintf(ret, 4, "vd%c", (char)('a' + i));
}

static void add_disk(xmlNode *devices, const struct hf_vm_disk *d, size_t i, const char *cache)
{
    char target[4];
    hf_domain_disk_target(i, target);
    if (d->rbd) {
        add_rbd_disk(devices, d, target, cache);
        return;
    }
    /* Linux' native AIO needs O_DIRECT, which is what cache=none means. */
    const char *io = strcmp(cache, "none") == 0 ? "native" : "threads";
    xmlNode *disk = ADD(devices, "disk", NULL, "type", "file", "device", "disk");
    ADD(disk, "driver", NULL, "name", "qemu", "type", d->format, "cache", cache, "io", io, "discard",
        "unmap");
    ADD(disk, "source", NULL, "file", d->path);
    ADD(disk, "target", NULL, "dev", target, "bus", "virtio");
}

static void add_nic(xmlNode *devices, const struct hf_vm_nic *n)
{
    xmlNode *nic = ADD(devices, "interface", NULL, "type", "bridge");
    ADD(nic, "mac", NULL, "address", n->mac);
    ADD(nic, "source", NULL, "bridge", n->bridge);
    ADD(nic, "model", NULL, "type", "virtio");
    ADD(nic, "rom", NULL, "enabled", "no");
}

static void add_devices(xmlNode *domain, const struct hf_vm_spec *s, const struct hf_domain_xml_options *o)
{
    xmlNode *devices = ADD(domain, "devices", NULL);
    ADD(devices, "emulator", o->emulator);
    for (size_t i = 0; i < s->n_disks; i++)
        add_disk(devices, &s->disks[i], i, o->cache_mode);
    ADD(devices, "controller", NULL, "type", "usb", "model", "none");
    for (size_t i = 0; i < s->n_nics; i++)
        add_nic(devices, &s->nics[i]);
    if (s->console_log) {
        xmlNode *serial = ADD(devices, "serial", NULL, "type", "file");
        ADD(serial, "source", NULL, "path", s->console_log, "append", "on");
        ADD(serial, "target", NULL, "port", "0");
    }
    xmlNode *vnc = ADD(devices, "graphics", NULL, "type", "vnc", "port", "-1", "autoport", "yes");
    ADD(vnc, "listen", NULL, "type", "address", "address", "127.0.0.1");
    ADD(ADD(devices, "video", NULL), "model", NULL, "type", "vga", "vram", "16384", "heads", "1");
    ADD(devices, "memballoon", NULL, "model", "none");
}

static char *to_text(xmlNode *root)
{
    xmlBuffer *buffer = xmlBufferCreate();
    xmlSaveCtxt *save = xmlSaveToBuffer(buffer, "UTF-8", XML_SAVE_FORMAT | XML_SAVE_NO_DECL);
    HF_ASSERT(buffer && save && xmlSaveTree(save, root) >= 0 && xmlSaveClose(save) >= 0);
    char *text = hf_printf("%s\n", (const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

hf_status hf_domain_xml_build(const struct hf_vm_spec *spec, const struct hf_domain_xml_options *o,
                              char **ret)
{
    HF_ASSERT(o->emulator && o->cache_mode);
    HF_TRY(check_spec(spec));
    xmlDoc *doc = xmlNewDoc(X("1.0"));
    xmlNode *domain = xmlNewDocNode(doc, NULL, X("domain"), NULL);
    HF_ASSERT(doc && domain && xmlNewProp(domain, X("type"), X(o->kvm ? "kvm" : "qemu")));
    xmlDocSetRootElement(doc, domain);
    add_identity(domain, spec);
    add_run(domain, spec);
    add_platform(domain, o);
    add_devices(domain, spec, o);
    *ret = to_text(domain);
    xmlFreeDoc(doc);
    return HF_STATUS_OK;
}

static bool read_number(xmlNode *node, const char *name, uint64_t *ret)
{
    xmlChar *text = xmlGetNoNsProp(node, X(name));
    char *end = NULL;
    bool ok = text && text[0] >= '0' && text[0] <= '9';
    unsigned long long value = ok ? strtoull((const char *)text, &end, 10) : 0;
    ok = ok && *end == '\0' && value > 0;
    xmlFree(text);
    if (ok)
        *ret = value;
    return ok;
}

static bool read_uuid(xmlNode *node, const char *name, struct hf_uuid *ret)
{
    xmlChar *text = xmlGetNoNsProp(node, X(name));
    bool ok = text && hf_uuid_parse((const char *)text, ret);
    xmlFree(text);
    return ok;
}

static bool is_mark(const xmlNode *node)
{
    return node && xmlStrEqual(node->name, X("placement")) &&
           (!node->ns || xmlStrEqual(node->ns->href, X(HF_DOMAIN_XML_NS)));
}

static xmlDoc *read_doc(const char *xml)
{
    return xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
                         XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NONET | XML_PARSE_NOBLANKS);
}

static xmlNode *child(const xmlNode *node, const char *name)
{
    xmlNode *c = node ? node->children : NULL;
    while (c && !xmlStrEqual(c->name, X(name)))
        c = c->next;
    return c;
}

/* Where the gate reads the run (add_run()). */
static xmlNode *run_entry(xmlNode *domain)
{
    for (xmlNode *s = domain->children; s; s = s->next)
        for (xmlNode *e = xmlStrEqual(s->name, X("sysinfo")) ? s->children : NULL; e; e = e->next) {
            xmlChar *name = xmlGetNoNsProp(e, X("name"));
            bool found = xmlStrEqual(name, X(HF_GUEST_RUN_KEY));
            xmlFree(name);
            if (found)
                return e;
        }
    return NULL;
}

/* Each host shows its own key to a Ceph cluster. */
static void rename_users(const xmlNode *domain, const struct hf_uuid *host)
{
    const xmlNode *devices = child(domain, "devices");
    for (xmlNode *disk = devices ? devices->children : NULL; disk; disk = disk->next) {
        xmlNode *auth = xmlStrEqual(disk->name, X("disk")) ? child(disk, "auth") : NULL;
        if (auth == NULL && xmlStrEqual(disk->name, X("disk")))
            auth = child(child(disk, "source"), "auth"); /* where libvirt writes it back */
        xmlChar *name = auth ? xmlGetNoNsProp(auth, X("username")) : NULL;
        char user[HF_CEPH_NAME_MAX] = "";
        if (name)
            snprintf(user, sizeof user, "%s", (const char *)name);
        if (hf_ceph_rename_user(user, host))
            xmlSetProp(auth, X("username"), X(user));
        xmlFree(name);
    }
}

hf_status hf_domain_xml_remark(const char *xml, const struct hf_domain_mark *mark, char **ret)
{
    char host[HF_UUID_STR], epoch[24], run[24];
    xmlDoc *doc = read_doc(xml);
    xmlNode *domain = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlNode *placement = child(child(domain, "metadata"), "placement");
    xmlNode *entry = domain ? run_entry(domain) : NULL;
    if (!is_mark(placement) || !entry) {
        xmlFreeDoc(doc);
        return hf_error(HF_INVALID, "the domain has no placement in its metadata: it is not Holdfast's");
    }
    xmlSetProp(placement, X("host"), X(hf_uuid_format(&mark->host_uuid, host)));
    xmlSetProp(placement, X("epoch"), X(number(mark->epoch, epoch)));
    xmlSetProp(placement, X("run"), X(number(mark->run, run)));
    xmlNodeSetContent(entry, X(run));
    rename_users(domain, &mark->host_uuid);
    *ret = to_text(domain);
    xmlFreeDoc(doc);
    return HF_STATUS_OK;
}

bool hf_domain_xml_is_emulated(const char *xml)
{
    xmlDoc *doc = read_doc(xml);
    xmlNode *domain = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlChar *type = domain ? xmlGetProp(domain, X("type")) : NULL;
    bool emulated = type && xmlStrEqual(type, X("qemu"));
    xmlFree(type);
    xmlFreeDoc(doc);
    return emulated;
}

bool hf_domain_mark_parse(const char *xml, struct hf_domain_mark *ret)
{
    struct hf_domain_mark mark = {0};
    xmlDoc *doc = read_doc(xml);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    bool ok = is_mark(root) && read_uuid(root, "host", &mark.host_uuid) &&
              read_number(root, "epoch", &mark.epoch) && read_number(root, "run", &mark.run);
    xmlFreeDoc(doc);
    if (ok)
        *ret = mark;
    return ok;
}
