/* What makes a host's power being off a piece of evidence (rule 14): pure, for the guard of every replica. */
#ifndef HF_CONTROL_POWER_EVIDENCE_H
#define HF_CONTROL_POWER_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"

/* NULL: e counts; else what is wrong, written to why. fenced_before: the fence was committed by an earlier
 * transaction; host: as the transaction leaves it (its devices are compared), or NULL. */
const char *hf_power_evidence_problem(const Holdfast__V1__Evidence *e, const Holdfast__V1__Host *host,
                                      bool fenced_before, char *why, size_t len);

#endif
