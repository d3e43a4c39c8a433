/* At which addresses a Ceph cluster sees this machine. A fence must know them all: what connects from an
 * address that it does not know is not held off.
 */
#ifndef HF_STORAGE_CEPH_SEEN_H
#define HF_STORAGE_CEPH_SEEN_H

#include "storage/ceph_client.h"
#include "storage/rados_conn.h"

/* Of this connection, as the monitor that took it told it. */
void hf_ceph_seen_connection(struct hf_ceph_seen *s, rados_t cluster);
/* Of the client that writes this machine's lease record: blocks; nothing is added when it cannot be read. */
void hf_ceph_seen_record(struct hf_ceph_seen *s, rados_ioctx_t pool, const char *record);
/* From which a connection to each of the monitors would come by this machine's routes: clients that are yet
 * to come may take another monitor. Behind a translation these are not what the cluster sees, which is
 * harmless. */
void hf_ceph_seen_routes(struct hf_ceph_seen *s, char *const *monitors, size_t n);

#endif
