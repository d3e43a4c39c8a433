/* Ceph clusters for tests of something else: they do what they are asked for, after a moment. */
#ifndef HF_CONTROL_FAKE_CEPH_H
#define HF_CONTROL_FAKE_CEPH_H

#include "control/cloud_testing.h"

/* Every control node of the cloud asks it, as long as the cloud lives. */
void fake_ceph_play(struct cloud *c);
/* Of cloud_free(). */
void fake_ceph_free(struct fake_ceph *f);

#endif
