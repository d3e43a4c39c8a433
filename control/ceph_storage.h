/* A primary storage or image server on Ceph as its user describes it: what is taken, filled in, and never
 * seen. Pure.
 */
#ifndef HF_CONTROL_CEPH_STORAGE_H
#define HF_CONTROL_CEPH_STORAGE_H

#include "base/status.h"
#include "holdfast/v1/storage.pb-c.h"

#define HF_CEPH_KEY_SHOWN "set"  /* what readers see of a key */
#define HF_CEPH_CONDITION "Ceph" /* what is wrong with the cluster */

/* INVALID names the field. Names the pools that are to be made. */
hf_status hf_ceph_storage_create(Holdfast__V1__PrimaryStorage *ps) HF_MUST_USE;
hf_status hf_ceph_server_create(Holdfast__V1__ImageServer *server) HF_MUST_USE;
/* Of either; NULL: missing. Again after a change of its monitors, user or key. */
hf_status hf_ceph_cluster_check(const Holdfast__V1__CephCluster *c) HF_MUST_USE;

/* It was made by the control plane, so that it is made again when it is not there. */
bool hf_ceph_pool_is_made(const Holdfast__V1__PrimaryStorage *ps, const char *pool);
bool hf_ceph_server_pool_is_made(const Holdfast__V1__ImageServer *server);

/* The key that was made for a host, or for an image server; NULL: none was. st may be NULL. */
const Holdfast__V1__CephStatus__HostKey *hf_ceph_key_of(const Holdfast__V1__CephStatus *st, const char *uuid);

/* Replaces all keys by HF_CEPH_KEY_SHOWN. */
void hf_ceph_keys_hide(Holdfast__V1__PrimaryStorage *ps);
void hf_ceph_server_keys_hide(Holdfast__V1__ImageServer *server);

#endif
