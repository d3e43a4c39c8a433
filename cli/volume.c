/* "holdfast volume snapshot list": they are part of their volume. */
#include "cli/cli.h"

#define STATES "Creating=CREATING Ready=READY Deleting=DELETING"
static const struct cli_column columns[] = {{"NAME", "name", NULL, NULL},
                                            {"STATE", "state", NULL, STATES},
                                            {"CREATED", "createdAtMs", NULL, "time"},
                                            {"SIZE", "sizeBytes", NULL, "size"},
                                            {"RUNNING-GUEST", "ofRunningGuest", NULL, NULL},
                                            {"UUID", "uuid", NULL, NULL},
                                            {.title = NULL}};

enum cli_exit cli_volume_snapshots(const struct cli_noun *noun, const struct cli_verb *verb,
                                   struct cli_args *args)
{
    char uuid[33];
    json_t *volume = NULL;
    hf_status st = cli_resolve(noun->name, args->subject, uuid);
    if (hf_ok(st))
        st = cli_call(noun->service, verb->method, json_pack("{s:s}", "uuid", uuid),
                      cli_options.timeout_s * 1000, &volume);
    if (!hf_ok(st))
        return cli_fail(st);
    json_t *snapshots = cli_json_at(volume, "status.snapshots");
    snapshots = snapshots ? json_incref(snapshots) : json_array();
    cli_print_rows(columns, snapshots);
    json_decref(snapshots);
    json_decref(volume);
    return CLI_OK;
}
