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
    json_t *snapshots;
    hf_status st = cli_get_list(noun, verb, args->subject, "status.snapshots", &snapshots);
    if (!hf_ok(st))
        return cli_fail(st);
    cli_print_rows(columns, snapshots);
    json_decref(snapshots);
    return CLI_OK;
}
