/* Memory that does not fail: out of memory ends the process with a sentence (a control plane that goes on with half
 * of an answer is worse than one that restarts). Sizes from the outside are checked against limits before they get here.
 */
#ifndef HF_BASE_MEM_H
#define HF_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include "base/status.h"

void *hf_alloc(size_t size);            /* zeroed */
void *hf_alloc_array(size_t n, size_t size);
void *hf_realloc_array(void *p, size_t n, size_t size);
char *hf_strdup(const char *s);         /* NULL stays NULL */
char *hf_strndup(const char *s, size_t n);
char *hf_printf(const char *fmt, ...) HF_PRINTF(1, 2) HF_MUST_USE;
char *hf_vprintf(const char *fmt, va_list ap) HF_MUST_USE;

#define HF_NEW(type) ((type *)hf_alloc(sizeof(type)))

/* The struct that holds this member. */
#define hf_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Replaces *field by a copy of value; frees the old one unless it is protobuf-c's empty string. */
void hf_pb_set(char **field, const char *value);

#endif
