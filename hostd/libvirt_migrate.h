/* Live migration by libvirt, as plain blocking calls for a thread: peer to peer, so that the source's libvirtd
 * carries it on by itself, and left paused at the target: what lets it go on there is not libvirt's word.
 * https://libvirt.org/migration.html
 */
#ifndef HF_HOSTD_LIBVIRT_MIGRATE_H
#define HF_HOSTD_LIBVIRT_MIGRATE_H

#include <libvirt/libvirt.h>

#include "hostd/hypervisor.h"

/* See the operations of the same names in hypervisor.h. tls: libvirtds and the guest's memory talk TLS with
 * the certificates that libvirt has; else plain TCP. */
hf_status hf_libvirt_migrate(virConnectPtr conn, const struct hf_vm_migration *m, bool tls) HF_MUST_USE;
hf_status hf_libvirt_migrate_abort(virConnectPtr conn, const struct hf_uuid *u) HF_MUST_USE;
hf_status hf_libvirt_migrate_progress(virConnectPtr conn, const struct hf_uuid *u,
                                      struct hf_vm_progress *ret) HF_MUST_USE;

#endif
