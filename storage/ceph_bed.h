/* For tests on a real cluster, which ceph_real_test.py starts: HF_CEPH_MON and HF_CEPH_KEY tell where,
 * HF_CEPH_MACHINE and HF_CEPH_MACHINE_IP name the network namespace of another machine. */
#ifndef HF_STORAGE_CEPH_BED_H
#define HF_STORAGE_CEPH_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/rados_conn.h"

#define POOL        "unit"
#define MIB         (1u << 20)
#define BED_MISSING 77 /* what a program ends with when there is no cluster */

/* False, with a word to the caller: the script has not started this program. */
bool bed_is_there(void);

struct hf_rados_access access_of(const char *key, const char *fsid);
/* A new connection of the administrator's. */
rados_t connected(void);
rados_ioctx_t pool_of(rados_t c);

/* The image's first block, as a guest of this connection's machine. */
void write_block(rados_t c, const char *name, char content);
char read_block(rados_t c, const char *name);

/* They take st. */
void ok(hf_status st);
void is(hf_status st, enum hf_code code, const char *says);

#endif
