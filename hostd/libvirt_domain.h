/* The verbs on libvirt's domains, as plain blocking calls for a thread. Only domains with our mark are
 * touched. */
#ifndef HF_HOSTD_LIBVIRT_DOMAIN_H
#define HF_HOSTD_LIBVIRT_DOMAIN_H

#include <libvirt/libvirt.h>

#include "hostd/domain_xml.h"
#include "hostd/hypervisor.h"

/* The domain (to be freed), if it is ours: what others run on the host is not touched. */
hf_status hf_libvirt_domain_look_up(virConnectPtr conn, const struct hf_uuid *u, virDomainPtr *ret,
                                    struct hf_domain_mark *ret_mark) HF_MUST_USE;

/* Starts it; OK also when this very run is there already. EXISTS or PRECONDITION: another one is. */
hf_status hf_libvirt_domain_start(virConnectPtr conn, const struct hf_uuid *u, const char *xml,
                                  const struct hf_domain_mark *mark) HF_MUST_USE;

/* NOT_FOUND: there is none. PRECONDITION: not ours, or not in a state for it. */
hf_status hf_libvirt_domain_shutdown(virConnectPtr conn, const struct hf_uuid *u) HF_MUST_USE;
hf_status hf_libvirt_domain_reboot(virConnectPtr conn, const struct hf_uuid *u) HF_MUST_USE;
hf_status hf_libvirt_domain_reset(virConnectPtr conn, const struct hf_uuid *u) HF_MUST_USE;
hf_status hf_libvirt_domain_pause(virConnectPtr conn, const struct hf_uuid *u) HF_MUST_USE;
hf_status hf_libvirt_domain_resume(virConnectPtr conn, const struct hf_uuid *u) HF_MUST_USE;
/* OK also when there is none. */
hf_status hf_libvirt_domain_destroy(virConnectPtr conn, const struct hf_uuid *u) HF_MUST_USE;

/* Its disk number `disk` is that large at least, and the guest knows it. QEMU does it, which has the image
 * open. */
hf_status hf_libvirt_domain_grow_disk(virConnectPtr conn, const struct hf_uuid *u, unsigned disk,
                                      uint64_t size_bytes) HF_MUST_USE;

/* All that run, ours and others'; *ret is to be freed. */
hf_status hf_libvirt_domain_list(virConnectPtr conn, struct hf_vm_seen **ret, size_t *ret_n) HF_MUST_USE;

#endif
