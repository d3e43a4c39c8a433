/* The IPv4 addresses of this host. */
#ifndef HF_HOSTD_HOST_ADDRESSES_H
#define HF_HOSTD_HOST_ADDRESSES_H

#include "hostd/storage_place.h"

/* Those of all interfaces that are up, without loopback, in the kernel's order; returns how many. Asks the
 * kernel only: does not wait for anything. */
size_t hf_host_addresses(struct hf_host_address *out, size_t max);

#endif
