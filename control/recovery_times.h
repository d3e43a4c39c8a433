/* How long restarts took: the distribution over failovers, one row per timing profile and kind of evidence.
 * Pure. */
#ifndef HF_CONTROL_RECOVERY_TIMES_H
#define HF_CONTROL_RECOVERY_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "holdfast/v1/ha.pb-c.h"

#define HF_RECOVERY_ROWS_MAX 64 /* pairs of profile and evidence; more are left out */

struct hf_recovery_times;

struct hf_recovery_times *hf_recovery_times_create(void);
void hf_recovery_times_free(struct hf_recovery_times *t);

/* Takes in a failover; one that did not end in a restart counts nothing. */
void hf_recovery_times_add(struct hf_recovery_times *t, const Holdfast__V1__Failover *f);

/* Fills a message with the rows, in the order of profile and evidence; it borrows from t. A percentile is the
 * smallest time that this share of all did not exceed. */
void hf_recovery_times_answer(struct hf_recovery_times *t, Holdfast__V1__RecoveryTimes *ret);

#endif
