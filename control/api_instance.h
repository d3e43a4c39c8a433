/* What the API's files about instances and volumes share. */
#ifndef HF_CONTROL_API_INSTANCE_H
#define HF_CONTROL_API_INSTANCE_H

#include "control/api_rules.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"

/* The owner of everything until there are accounts; part of volumes' paths. */
#define HF_ADMIN_ACCOUNT_UUID "36c27e8ff05c4780bf6d2fa65700f22e"

/* Fills in status.install_path from spec.type and meta.uuid. */
void hf_volume_set_path(const struct hf_store *s, Holdfast__V1__Volume *v);

/* No run of it is open and none is wanted. */
hf_status hf_instance_check_stopped(const Holdfast__V1__Instance *i) HF_MUST_USE;

/* A disk of the instance may lie on this storage: it exists and is enabled, one cluster reaches it together
 * with the instance's other storages and networks, and NeverStop instances use shared storages only. */
hf_status hf_instance_check_storage(const struct hf_store *s, const Holdfast__V1__Instance *i,
                                    const char *storage_uuid) HF_MUST_USE;

/* The same for a root disk, which is made from the instance's image. */
hf_status hf_instance_check_root_storage(const struct hf_store *s, const Holdfast__V1__Instance *i,
                                         const char *storage_uuid) HF_MUST_USE;

/* Chooses a storage for a new root volume: the first enabled shared one (in the order of names) that a
 * cluster reaches together with the networks (and the host, if one is named), else the first local one. */
hf_status hf_instance_choose_storage(const struct hf_store *s, Holdfast__V1__Instance *i) HF_MUST_USE;

/* The host exists, is enabled and its cluster reaches the instance's networks and storages. */
hf_status hf_instance_check_host(const struct hf_store *s, const Holdfast__V1__Instance *i,
                                 const char *host_uuid) HF_MUST_USE;

/* By ha.admission.policy a NeverStop instance that is to run (as i says) may be refused. */
hf_status hf_instance_check_admission(const struct hf_draft *d, const Holdfast__V1__Instance *i) HF_MUST_USE;

/* NEVER_STOP needs every disk on shared storage. */
hf_status hf_instance_check_ha(const struct hf_store *s, const Holdfast__V1__Instance *i) HF_MUST_USE;

#endif
