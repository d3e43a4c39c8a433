/* The keys of Ceph storages in libvirt: private, so that libvirt gives them to QEMU only, and ephemeral, so
 * that they are on no disk. A libvirtd that was restarted has forgotten them: they are defined again before
 * each use. */
#ifndef HF_HOSTD_LIBVIRT_SECRETS_H
#define HF_HOSTD_LIBVIRT_SECRETS_H

#include <libvirt/libvirt.h>

#include "base/status.h"
#include "base/uuid.h"

struct hf_libvirt_secrets;

struct hf_libvirt_secrets *hf_libvirt_secrets_create(void);
void hf_libvirt_secrets_free(struct hf_libvirt_secrets *s);

/* Any thread. key in base64; another one replaces it. */
void hf_libvirt_secrets_set(struct hf_libvirt_secrets *s, const struct hf_uuid *uuid, const char *key);

/* Has libvirt know all of them. Blocks. */
hf_status hf_libvirt_secrets_define(struct hf_libvirt_secrets *s, virConnectPtr conn) HF_MUST_USE;

#endif
