/* Lines for the operator on standard error: "2026-01-31T10:00:00.123Z info  host_link.c host 'h1' attached, epoch 3".
 * Only programs and operation owners log; cores do not. Safe from any thread.
 */
#ifndef HF_BASE_LOG_H
#define HF_BASE_LOG_H

#include <stdarg.h>

#include "base/status.h"

enum hf_log_level { HF_LOG_DEBUG, HF_LOG_INFO, HF_LOG_WARN, HF_LOG_ERROR };

/* Lines below this level are dropped; the start value is HF_LOG_INFO, or $HOLDFAST_LOG (debug|info|warn|error). */
void hf_log_set_level(enum hf_log_level level);

/* Lines go there from now on, instead of to standard error; file is without its folder. NULL: back to standard error. Not
 * while other threads log. */
typedef void (*hf_log_sink)(void *arg, enum hf_log_level level, const char *file, const char *fmt, va_list ap);
void hf_log_set_sink(hf_log_sink sink, void *arg);

void hf_log_line(enum hf_log_level level, const char *file, const char *fmt, ...) HF_PRINTF(3, 4);

#define hf_debug(...) hf_log_line(HF_LOG_DEBUG, __FILE__, __VA_ARGS__)
#define hf_info(...) hf_log_line(HF_LOG_INFO, __FILE__, __VA_ARGS__)
#define hf_warn(...) hf_log_line(HF_LOG_WARN, __FILE__, __VA_ARGS__)
#define hf_err(...) hf_log_line(HF_LOG_ERROR, __FILE__, __VA_ARGS__)

#endif
