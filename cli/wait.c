/* Following an operation to its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "holdfast/v1/operation.pb-c.h"

#define SLICE_MS 1000 /* one wait; between two the progress line is brought up to date */

static const char *text_at(const json_t *op, const char *path)
{
    const char *s = json_string_value(cli_json_at(op, path));
    return s ? s : "";
}

/* On a terminal one line that changes, elsewhere a line per change. */
static void show_step(const json_t *op, char **last)
{
    const char *step = text_at(op, "step");
    if (!*step || (*last && strcmp(*last, step) == 0))
        return;
    free(*last);
    *last = hf_strdup(step);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s …", step);
    else
        fprintf(stderr, "%s …\n", step);
    fflush(stderr);
}

static void clear_line(const char *last)
{
    if (last && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

static bool ended(const json_t *op)
{
    const char *state = text_at(op, "state");
    return strcmp(state, "SUCCEEDED") == 0 || strcmp(state, "FAILED") == 0 || strcmp(state, "CANCELLED") == 0;
}

static hf_status outcome(const json_t *op)
{
    const char *state = text_at(op, "state"), *error = text_at(op, "errorMessage");
    if (strcmp(state, "FAILED") == 0) {
        enum hf_code code = hf_code_from_grpc((int)json_integer_value(cli_json_at(op, "errorCode")));
        return hf_error(code == HF_OK ? HF_INTERNAL : code, "%s", *error ? error : _("the operation failed"));
    }
    if (strcmp(state, "CANCELLED") == 0)
        return hf_error(HF_CANCELLED, _("operation %s was cancelled"), text_at(op, "meta.uuid"));
    return HF_STATUS_OK;
}

hf_status cli_wait(const char *operation_uuid, json_t **ret)
{
    const ProtobufCServiceDescriptor *service = &holdfast__v1__operation_service__descriptor;
    time_t end = time(NULL) + (time_t)cli_options.timeout_s;
    char *last = NULL;
    for (;;) {
        json_t *op = NULL;
        hf_status st = cli_call(service, "GetOperation", json_pack("{s:s}", "uuid", operation_uuid), 15000, &op);
        if (hf_ok(st) && (ended(op) || time(NULL) >= end)) {
            clear_line(last);
            free(last);
            st = ended(op) ? outcome(op)
                           : hf_error(HF_TIMEOUT, _("operation %s still runs (%s); follow it with 'holdfast operation wait %s'"),
                                      operation_uuid, text_at(op, "step"), operation_uuid);
            *ret = op;
            return st;
        }
        if (!hf_ok(st) && time(NULL) >= end) {
            free(last);
            return hf_wrap(st, _("wait for operation %s"), operation_uuid);
        }
        if (hf_ok(st))
            show_step(op, &last);
        hf_status_drop(st);
        json_decref(op);
        op = NULL;
        hf_status_drop(cli_call(service, "WaitOperation", json_pack("{s:s}", "uuid", operation_uuid), SLICE_MS, &op));
        json_decref(op);
    }
}
