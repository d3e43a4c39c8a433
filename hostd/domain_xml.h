/* libvirt's domain XML: from what an instance needs to the text that libvirt takes, and back from a domain's
 * metadata to whose it is. Pure. https://libvirt.org/formatdomain.html
 */
#ifndef HF_HOSTD_DOMAIN_XML_H
#define HF_HOSTD_DOMAIN_XML_H

#include "hostd/hypervisor.h"

/* The namespace of our element in <metadata>: a domain without it is not ours. */
#define HF_DOMAIN_XML_NS "urn:holdfast:domain:1"

struct hf_domain_xml_options {
    bool kvm; /* else TCG */
    const char *emulator;
    const char *cpu_mode;   /* "none": libvirt's default; TCG always gets qemu64, which boots well under it */
    const char *cache_mode; /* of disks */
};

struct hf_domain_mark {
    struct hf_uuid host_uuid;
    uint64_t epoch, run;
};

/* The text, to be freed. INVALID: a value that no XML can carry. */
hf_status hf_domain_xml_build(const struct hf_vm_spec *spec, const struct hf_domain_xml_options *o,
                              char **ret) HF_MUST_USE;

/* The text of a running domain of ours (as virDomainGetXMLDesc() gives it) for its copy on another host:
 * with that one's mark, in the metadata and where the gate reads the run, and its user of Ceph clusters. To be freed. INVALID: not ours. */
hf_status hf_domain_xml_remark(const char *xml, const struct hf_domain_mark *mark, char **ret) HF_MUST_USE;

/* Of a domain's text: its guest's CPUs are played by QEMU (TCG) and not by the machine's own. */
bool hf_domain_xml_is_emulated(const char *xml);

/* What libvirt calls a domain's disk number i (below 26): "vda". */
void hf_domain_disk_target(size_t i, char ret[4]);

/* Reads our metadata element (as virDomainGetMetadata() gives it); false when it is not ours or damaged. */
bool hf_domain_mark_parse(const char *xml, struct hf_domain_mark *ret);

#endif
