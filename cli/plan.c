/* "holdfast ha plan HOST": what would happen if it died now, as tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

static const struct cli_column host_columns[] = {{"HOST", "name", NULL, NULL},
                                                 {"EPOCH", "epoch", NULL, NULL},
                                                 {"LOST AFTER", "lostAfter", NULL, NULL},
                                                 {"FENCED", "fenced", NULL, NULL},
                                                 {"PROVEN", "proven", NULL, NULL},
                                                 {"BY", "proof", NULL, NULL},
                                                 {.title = NULL}};
static const struct cli_column instance_columns[] = {{"INSTANCE", "name", NULL, NULL},
                                                     {"PRIORITY", "restartPriority", NULL, CLI_PRIORITY_CHOICES},
                                                     {"FROM", "fromHostName", NULL, NULL},
                                                     {"OUTCOME", "outcome", NULL, "restarts=RESTARTS waits=WAITS stays-down=STAYS_DOWN"},
                                                     {"TO", "toHostName", NULL, NULL},
                                                     {"ORDERED", "ordered", NULL, NULL},
                                                     {"WHY", "reason", NULL, NULL},
                                                     {.title = NULL}};

static long long number_at(const json_t *j, const char *path)
{
    const json_t *v = cli_json_at(j, path); /* 64-bit integers are text in protobuf's JSON */
    return json_is_string(v) ? strtoll(json_string_value(v), NULL, 10) : json_integer_value(v);
}

/* "within 23.9 s" below a new name, for the table. */
static void add_time(json_t *row, const char *path, const char *name, const char *without)
{
    long long ms = number_at(row, path);
    char *text = ms > 0 ? hf_printf(_("within %.1f s"), (double)ms / 1000) : hf_strdup(without);
    json_object_set_new(row, name, json_string(text));
    free(text);
}

static void print_tables(const json_t *plan)
{
    json_t *hosts = cli_json_at(plan, "hosts"), *instances = cli_json_at(plan, "instances"), *row, *warning;
    size_t i;
    json_array_foreach(hosts, i, row)
    {
        add_time(row, "detectedMs", "lostAfter", "");
        add_time(row, "fencedMs", "fenced", "");
        add_time(row, "provenMs", "proven", _("never by itself"));
    }
    json_array_foreach(instances, i, row)
    {
        const char *outcome = json_string_value(cli_json_at(row, "outcome"));
        bool restarts = outcome != NULL && strcmp(outcome, "RESTARTS") == 0;
        add_time(row, "orderedMs", "ordered", restarts ? _("after a person's word") : "");
    }
    cli_print_rows(host_columns, hosts);
    if (json_array_size(instances) > 0)
        cli_print_rows(instance_columns, instances);
    json_array_foreach(cli_json_at(plan, "warnings"), i, warning)
        cli_note(_("Warning: %s"), json_string_value(warning));
    cli_note(_("%lld would restart, %lld would wait, %lld would stay down"), number_at(plan, "restarts"),
             number_at(plan, "waits"), number_at(plan, "staysDown"));
}

enum cli_exit cli_ha_plan(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    char uuid[33];
    json_t *plan = NULL, *request = json_object();
    hf_status st = cli_resolve("host", args->subject, uuid);
    if (hf_ok(st)) {
        cli_json_set(request, "host_uuids[]", json_string(uuid));
        st = cli_request_fill(args, request, NULL, NULL);
    }
    if (hf_ok(st))
        st = cli_call(noun->service, verb->method, json_incref(request), cli_options.timeout_s * 1000, &plan);
    json_decref(request);
    if (!hf_ok(st))
        return cli_fail(st);
    if (cli_options.format == CLI_TABLE)
        print_tables(plan);
    else
        cli_print_object(plan);
    json_decref(plan);
    return CLI_OK;
}
