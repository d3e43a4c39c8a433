/* The hypervisor driver on libvirt and QEMU: all calls to libvirt happen on threads of its own, answers and
 * domain events come back over uv_async. Connects again by itself when libvirtd goes away. */
#ifndef HF_HOSTD_VM_LIBVIRT_H
#define HF_HOSTD_VM_LIBVIRT_H

#include <uv.h>

#include "base/env.h"
#include "hostd/hypervisor.h"

struct hf_vm_libvirt_options {
    const char *uri;         /* "qemu:///system" */
    const char *accelerator; /* "kvm" or "tcg", from hf_accel_probe() */
    const char *emulator;    /* NULL: /usr/bin/qemu-system-x86_64 */
    const char *cpu_mode;    /* "none" (the default), "host-model", "host-passthrough" */
    const char *cache_mode;  /* "none": the only one that HA allows (rule 16) */
    bool plain_migration;    /* over TCP, without certificates: for trusted networks and laboratories */
};

hf_status hf_vm_libvirt_create(uv_loop_t *loop, const struct hf_vm_libvirt_options *o,
                               const struct hf_hypervisor_events *events,
                               struct hf_hypervisor **ret) HF_MUST_USE;

/* The key (base64) that disks of this Ceph storage are opened with, by this host's guests and by those that
 * migrate to it. */
void hf_vm_libvirt_set_secret(struct hf_hypervisor *h, const struct hf_uuid *storage, const char *key);

#endif
