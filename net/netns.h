/* Named network namespaces, as `ip netns` keeps them: a file in /run/netns that holds the namespace. Blocks;
 * entering changes the calling thread only.
 */
#ifndef HF_NET_NETNS_H
#define HF_NET_NETNS_H

#include "base/status.h"

#define HF_NETNS_DIR "/run/netns"

/* Has the namespace; ret_fd is to be closed. */
hf_status hf_netns_ensure(const char *name, int *ret_fd) HF_MUST_USE;
/* NOT_FOUND: there is none. */
hf_status hf_netns_open(const char *name, int *ret_fd) HF_MUST_USE;
/* OK when there was none. What still runs in it keeps it alive without a name. */
hf_status hf_netns_delete(const char *name) HF_MUST_USE;

/* ret_home: for hf_netns_leave(), which closes it and does not fail. */
hf_status hf_netns_enter(int fd, int *ret_home) HF_MUST_USE;
void hf_netns_leave(int home);

#endif
