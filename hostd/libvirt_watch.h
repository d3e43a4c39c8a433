/* Keeps one connection to libvirtd for its events and tells the loop what it hears; connects again by itself,
 * with back-off. Callbacks come on the loop.
 */
#ifndef HF_HOSTD_LIBVIRT_WATCH_H
#define HF_HOSTD_LIBVIRT_WATCH_H

#include "base/env.h"
#include "hostd/hypervisor.h"

struct hf_libvirt_watch;

/* events is copied; nothing is called before this returns. */
struct hf_libvirt_watch *hf_libvirt_watch_start(struct hf_env *env, const char *uri,
                                                const struct hf_hypervisor_events *events);

/* No event comes after this; closed is called on the loop. A thread that hangs in libvirt is left behind. */
void hf_libvirt_watch_close(struct hf_libvirt_watch *w, void (*closed)(void *arg), void *arg);

#endif
