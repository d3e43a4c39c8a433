/* Connections to libvirtd, and what its errors mean. All of it blocks: for threads only.
 *
 * libvirtd takes a few calls of one connection at a time, and a call to a domain whose storage hangs stays:
 * so every call under way has a connection of its own, taken from a pool of idle ones.
 */
#ifndef HF_HOSTD_LIBVIRT_CONN_H
#define HF_HOSTD_LIBVIRT_CONN_H

#include <libvirt/libvirt.h>

#include "base/status.h"

/* The calling thread's last libvirt error as "context: its message". */
hf_status hf_libvirt_error(const char *fmt, ...) HF_PRINTF(1, 2) HF_MUST_USE;

/* Starts libvirt's own event loop on a thread, once per process: keepalives and events need it. */
void hf_libvirt_start_events(void);

/* Connects, with keepalives, so that a libvirtd that has stopped ends the calls to it. ret_wire (may be
 * NULL): whether there is a wire that can break; a driver inside this process (test:///) has none. */
hf_status hf_libvirt_connect(const char *uri, virConnectPtr *ret, bool *ret_wire) HF_MUST_USE;

struct hf_libvirt_pool;

struct hf_libvirt_pool *hf_libvirt_pool_create(const char *uri);
void hf_libvirt_pool_free(struct hf_libvirt_pool *p); /* none is taken */

hf_status hf_libvirt_pool_take(struct hf_libvirt_pool *p, virConnectPtr *ret) HF_MUST_USE;
void hf_libvirt_pool_give(struct hf_libvirt_pool *p, virConnectPtr conn); /* closes one that has died */

#endif
