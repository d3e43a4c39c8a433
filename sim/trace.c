#include "sim/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

struct sim_trace_file {
    FILE *file;
    char *path;
};

hf_status sim_trace_open(const char *path, const char *title, struct sim_trace_file **ret)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return hf_errno(errno, "cannot write the trace to '%s'", path);
    struct sim_trace_file *f = HF_NEW(struct sim_trace_file);
    f->file = file;
    f->path = hf_strdup(path);
    fprintf(file, "# %s\n", title);
    *ret = f;
    return HF_STATUS_OK;
}

void sim_trace_line(void *arg, int64_t now_ns, const char *subject, const char *text)
{
    struct sim_trace_file *f = arg;
    fprintf(f->file, "%6lld.%06lld  %-12s  %s\n", (long long)(now_ns / HF_S_NS),
            (long long)(now_ns / 1000 % 1000000), subject, text);
}

hf_status sim_trace_close(struct sim_trace_file *f)
{
    hf_status st = HF_STATUS_OK;
    bool failed = ferror(f->file) != 0;
    if (fclose(f->file) != 0 || failed)
        st = hf_errno(errno, "cannot write the trace to '%s'", f->path);
    free(f->path);
    free(f);
    return st;
}

/* --- what the shipped code logs --- */

static void log_line(void *arg, enum hf_log_level level, const char *file, const char *fmt, va_list ap)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    struct sim *s = arg;
    if (!s || !sim_tracing(s))
        return;
    char text[1024];
    vsnprintf(text, sizeof text, fmt, ap);
    sim_trace(s, sim_turn(s) ? sim_turn(s) : "log", "%s: %s (%s)", levels[level], text, file);
}

void sim_trace_logs(struct sim *s)
{
    hf_log_set_level(HF_LOG_INFO);
    hf_log_set_sink(log_line, s);
}

/* --- two of them --- */

static void read_line(FILE *f, char line[SIM_TRACE_TEXT])
{
    line[0] = '\0';
    if (!fgets(line, SIM_TRACE_TEXT, f))
        return;
    size_t len = strcspn(line, "\n");
    bool whole = line[len] == '\n';
    line[len] = '\0';
    for (int c; !whole && (c = fgetc(f)) != EOF && c != '\n';)
        ;
}

static hf_status open_both(const char *path_a, const char *path_b, FILE **ret_a, FILE **ret_b)
{
    *ret_a = fopen(path_a, "r");
    if (!*ret_a)
        return hf_errno(errno, "cannot read the trace '%s'", path_a);
    *ret_b = fopen(path_b, "r");
    if (*ret_b)
        return HF_STATUS_OK;
    fclose(*ret_a);
    return hf_errno(errno, "cannot read the trace '%s'", path_b);
}

hf_status sim_trace_compare(const char *path_a, const char *path_b, uint64_t *ret_line,
                            char a[SIM_TRACE_TEXT], char b[SIM_TRACE_TEXT])
{
    FILE *file_a, *file_b;
    HF_TRY(open_both(path_a, path_b, &file_a, &file_b));
    *ret_line = 0;
    for (uint64_t line = 1; *ret_line == 0 && !(feof(file_a) && feof(file_b)); line++) {
        read_line(file_a, a);
        read_line(file_b, b);
        if (strcmp(a, b) != 0)
            *ret_line = line;
    }
    fclose(file_a);
    fclose(file_b);
    return HF_STATUS_OK;
}
