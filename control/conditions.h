/* The conditions of an object: sentences about it that a person can act on, one per type. Pure. */
#ifndef HF_CONTROL_CONDITIONS_H
#define HF_CONTROL_CONDITIONS_H

#include <stdbool.h>

#include "holdfast/v1/common.pb-c.h"

#define HF_CONDITION_FETCH "Fetch" /* of an image: how its file comes in, or why it does not */

/* Sets the condition of that type; `since_ms` moves only when ok or message change. True: something changed.
 */
bool hf_condition_set(Holdfast__V1__Condition ***list, size_t *n, const char *type, bool ok,
                      const char *message, int64_t now_ms);
/* Takes the condition of that type away. True: there was one. */
bool hf_condition_clear(Holdfast__V1__Condition ***list, size_t *n, const char *type);
/* Its message, or NULL. */
const char *hf_condition_message(Holdfast__V1__Condition *const *list, size_t n, const char *type);

#endif
