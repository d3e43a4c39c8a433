/* "holdfast ha drill HOST --yes": orders a drill, follows it to its end, and shows what became of each instance. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "holdfast/v1/ha.pb-c.h"

#define LOOK_US 500000

static const struct cli_column instance_columns[] = {{"INSTANCE", "instanceName", NULL, NULL},
                                                     {"TO", "toHostUuid", "host", NULL},
                                                     {"RUNNING AFTER MS", "runningMs", NULL, NULL},
                                                     {"OUTCOME", "outcome", NULL, NULL},
                                                     {.title = NULL}};

static const char *text_at(const json_t *j, const char *path)
{
    const char *s = json_string_value(cli_json_at(j, path));
    return s ? s : "";
}

/* *drill becomes its last state. A control node that does not answer is asked again: it may be a new leader's election. */
static hf_status follow(const struct cli_noun *noun, json_t **drill)
{
    time_t end = time(NULL) + (time_t)cli_options.timeout_s;
    while (strcmp(text_at(*drill, "state"), "RUNNING") == 0) {
        if (time(NULL) >= end)
            return hf_error(HF_TIMEOUT, _("the drill of host '%s' still runs; 'holdfast ha drills' shows how it ends"),
                            text_at(*drill, "hostName"));
        usleep(LOOK_US);
        json_t *now = NULL;
        hf_status st = cli_call(noun->service, "GetDrill", json_pack("{s:s}", "uuid", text_at(*drill, "meta.uuid")), 15000, &now);
        if (hf_ok(st)) {
            json_decref(*drill);
            *drill = now;
        }
        hf_status_drop(st);
    }
    return HF_STATUS_OK;
}

static void report(json_t *drill)
{
    if (cli_options.format != CLI_TABLE) {
        cli_print_object(drill);
        return;
    }
    json_t *rows = cli_json_at(drill, "instances");
    if (json_array_size(rows) > 0)
        cli_print_rows(instance_columns, rows);
    cli_note(_("drill of host '%s', epoch %s: %s"), text_at(drill, "hostName"), text_at(drill, "epoch"),
             cli_options.no_wait ? _("ordered") : text_at(drill, "outcome"));
}

enum cli_exit cli_ha_drill(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    (void)verb;
    char uuid[33];
    json_t *drill = NULL;
    hf_status st = cli_resolve("host", args->subject, uuid);
    if (hf_ok(st))
        st = cli_call(noun->service, "DrillHost",
                      json_pack("{s:o, s:s, s:b}", "requestId", cli_request_id(), "hostUuid", uuid, "force",
                                cli_args_get(args, "force") != NULL),
                      cli_options.timeout_s * 1000, &drill);
    if (hf_ok(st) && !cli_options.no_wait)
        st = follow(noun, &drill);
    if (hf_ok(st))
        report(drill);
    json_decref(drill);
    return hf_ok(st) ? CLI_OK : cli_fail(st);
}
