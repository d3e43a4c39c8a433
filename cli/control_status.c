/* "holdfast control status": what each control node says of itself. A node knows of the others only who leads. */
#include <string.h>

#include "cli/cli.h"
#include "holdfast/v1/system.pb-c.h"

#define ASK_MS 1000 /* a node that takes longer to tell its role is shown as one without an answer */

static const char *text_at(const json_t *j, const char *path)
{
    const char *s = json_string_value(cli_json_at(j, path));
    return s ? s : "";
}

static const json_t *node_by_id(const json_t *status, const char *id)
{
    size_t i;
    json_t *node;
    json_array_foreach(cli_json_at(status, "nodes"), i, node)
        if (strcmp(text_at(node, "id"), id) == 0)
            return node;
    return NULL;
}

/* Asks the node itself and puts what it says in place of what was said of it. */
static void ask(const struct cli_noun *noun, const struct cli_verb *verb, json_t *node)
{
    json_t *own = NULL;
    cli_call_done(); /* the next call dials the one node */
    cli_options.control = text_at(node, "apiAddress");
    hf_status st = cli_call(noun->service, verb->method, NULL, ASK_MS, &own);
    const json_t *itself = hf_ok(st) ? node_by_id(own, text_at(node, "id")) : NULL;
    json_object_set_new(node, "role", json_string(itself ? text_at(itself, "role") : _("no answer")));
    json_decref(own);
    hf_status_drop(st);
}

enum cli_exit cli_control_status(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    (void)args;
    json_t *status = NULL;
    hf_status st = cli_call(noun->service, verb->method, NULL, cli_options.timeout_s * 1000, &status);
    if (!hf_ok(st))
        return cli_fail(hf_wrap(st, "%s %s", noun->name, verb->name));
    const char *control = cli_options.control;
    json_t *nodes = cli_json_at(status, "nodes"), *node;
    size_t i;
    json_array_foreach(nodes, i, node)
        ask(noun, verb, node);
    cli_call_done();
    cli_options.control = control;
    cli_print_rows(noun->columns, nodes);
    json_decref(status);
    return CLI_OK;
}
