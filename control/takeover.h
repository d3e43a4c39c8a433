/* When an instance that never stops may leave a lost host: once no copy of it runs, or once none can write.
 * Pure. */
#ifndef HF_CONTROL_TAKEOVER_H
#define HF_CONTROL_TAKEOVER_H

#include "base/status.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"

/* Of an instance or a cluster, as somebody asks for it. INVALID: there is no such. */
hf_status hf_takeover_check(Holdfast__V1__Takeover takeover) HF_MUST_USE;

/* The instance's own choice, else that of its host's cluster; nobody's, and no cluster (NULL), is strict. */
bool hf_takeover_write_fenced(const Holdfast__V1__InstanceSpec *i, const Holdfast__V1__ClusterSpec *cluster);

#endif
