/* "holdfast host power …" and "host power-fencing …": what a host's power devices are and what they say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

static const struct cli_column said_columns[] = {
    {"DEVICE", "name", NULL, NULL}, {"LEVEL", "level", NULL, NULL}, {"AGENT", "agent", NULL, NULL},
    {"POWER", "state", NULL, NULL}, {"WHY", "message", NULL, NULL}, {.title = NULL}};
static const struct cli_column device_columns[] = {{"DEVICE", "name", NULL, NULL},
                                                   {"LEVEL", "level", NULL, NULL},
                                                   {"AGENT", "agent", NULL, NULL},
                                                   {"OPTIONS", "shownOptions", NULL, NULL},
                                                   {"SECRETS", "secrets.name", NULL, NULL},
                                                   {"TIMEOUT", "timeoutS", NULL, NULL},
                                                   {.title = NULL}};

static const char *text_at(const json_t *j, const char *path)
{
    const char *s = json_string_value(cli_json_at(j, path));
    return s ? s : "";
}

/* The first device that is not in this state (or, with in, that is), or NULL. */
static const json_t *find_device(const json_t *answer, const char *state, bool in)
{
    const json_t *devices = cli_json_at(answer, "devices");
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *d = json_array_get(devices, i);
        if ((strcmp(text_at(d, "state"), state) == 0) == in)
            return d;
    }
    return NULL;
}

/* Whether what was asked for has come true; prints a sentence if not. */
static enum cli_exit judge(const char *verb, const char *host, const json_t *answer)
{
    const json_t *mute = find_device(answer, "unknown", true);
    if (strcmp(verb, "power off") == 0 && strcmp(text_at(answer, "state"), "off") != 0)
        return cli_fail(
            hf_error(HF_UNAVAILABLE, _("host '%s' is not off: no level of its power devices says so"), host));
    if (strcmp(verb, "power on") == 0 && find_device(answer, "on", false) != NULL)
        return cli_fail(hf_error(HF_INTERNAL, _("host '%s': not all of its power devices say on"), host));
    if (strcmp(verb, "power-fencing test") == 0 && mute != NULL)
        return cli_fail(hf_error(HF_INTERNAL, _("host '%s': power device '%s' cannot be asked: %s"), host,
                                 text_at(mute, "name"), text_at(mute, "message")));
    return CLI_OK;
}

enum cli_exit cli_host_power(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    char uuid[33];
    json_t *request = json_object(), *answer = NULL;
    hf_status st = cli_resolve(noun->name, args->subject, uuid);
    if (hf_ok(st))
        st = cli_request_fill(args, request, NULL, NULL);
    if (!hf_ok(st)) {
        json_decref(request);
        return cli_fail(st);
    }
    json_object_set_new(request, "requestId", cli_request_id());
    json_object_set_new(request, "uuid", json_string(uuid));
    if (strcmp(verb->name, "power on") == 0)
        json_object_set_new(request, "on", json_true());
    st = cli_call(noun->service, verb->method, request, cli_options.timeout_s * 1000, &answer);
    if (!hf_ok(st))
        return cli_fail(st);
    if (cli_options.format == CLI_TABLE) {
        cli_print_rows(said_columns, cli_json_at(answer, "devices"));
        cli_note(_("host '%s': power %s"), args->subject, text_at(answer, "state"));
    } else {
        cli_print_object(answer);
    }
    enum cli_exit code = judge(verb->name, args->subject, answer);
    json_decref(answer);
    return code;
}

/* "ip=10.0.0.1 username=admin" */
static json_t *shown_options(const json_t *device)
{
    const json_t *options = cli_json_at(device, "options");
    char *text = hf_strdup("");
    for (size_t i = 0; i < json_array_size(options); i++) {
        const json_t *o = json_array_get(options, i);
        char *longer =
            hf_printf("%s%s%s=%s", text, i > 0 ? " " : "", text_at(o, "name"), text_at(o, "value"));
        free(text);
        text = longer;
    }
    json_t *j = json_string(text);
    free(text);
    return j;
}

enum cli_exit cli_host_power_devices(const struct cli_noun *noun, const struct cli_verb *verb,
                                     struct cli_args *args)
{
    json_t *devices;
    hf_status st = cli_get_list(noun, verb, args->subject, "spec.powerFencing", &devices);
    if (!hf_ok(st))
        return cli_fail(st);
    for (size_t i = 0; cli_options.format == CLI_TABLE && i < json_array_size(devices); i++) {
        json_t *d = json_array_get(devices, i);
        json_object_set_new(d, "shownOptions", shown_options(d));
    }
    cli_print_rows(device_columns, devices);
    json_decref(devices);
    return CLI_OK;
}
