#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static atomic_int threshold = -1;
static hf_log_sink sink_fn; /* NULL: standard error */
static void *sink_arg;

static int current_threshold(void)
{
    int t = atomic_load(&threshold);
    if (t >= 0)
        return t;
    t = HF_LOG_INFO;
    const char *wanted = getenv("HOLDFAST_LOG");
    for (int i = 0; wanted && i < 4; i++)
        if (strcmp(wanted, level_names[i]) == 0)
            t = i;
    atomic_store(&threshold, t);
    return t;
}

void hf_log_set_level(enum hf_log_level level)
{
    atomic_store(&threshold, (int)level);
}

void hf_log_set_sink(hf_log_sink sink, void *arg)
{
    sink_fn = sink;
    sink_arg = arg;
}

static void write_line(enum hf_log_level level, const char *file, const char *fmt, va_list ap) HF_PRINTF(3, 0);

static void write_line(enum hf_log_level level, const char *file, const char *fmt, va_list ap)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    char text[2048];
    vsnprintf(text, sizeof text, fmt, ap);
    /* one write for the whole line: lines of several threads do not mix */
    fprintf(stderr, "%s.%03ldZ %-5s %s %s\n", stamp, now.tv_nsec / 1000000, level_names[level], file, text);
}

void hf_log_line(enum hf_log_level level, const char *file, const char *fmt, ...)
{
    if ((int)level < current_threshold())
        return;
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    va_list ap;
    va_start(ap, fmt);
    if (sink_fn)
        sink_fn(sink_arg, level, name, fmt, ap);
    else
        write_line(level, name, fmt, ap);
    va_end(ap);
}
