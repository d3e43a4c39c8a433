/* Runs one row of the table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/system.pb-c.h"

#define PAGE 1000

static const ProtobufCMethodDescriptor *method_of(const struct cli_noun *noun, const char *name)
{
    return protobuf_c_service_descriptor_get_method_by_name(noun->service, name);
}

static unsigned deadline_ms(void)
{
    return cli_options.timeout_s * 1000;
}

static const char *text_at(const json_t *j, const char *path)
{
    const char *s = json_string_value(cli_json_at(j, path));
    return s ? s : "";
}

static bool is_operation(const ProtobufCMethodDescriptor *m)
{
    return m->output == &holdfast__v1__operation__descriptor;
}

/* The field of a create or update request that holds the object: the second. */
static const char *object_field(const ProtobufCMethodDescriptor *m)
{
    return m->input->fields[1].name;
}

/* Waits for an operation's end, or tells where to look. *reply becomes its last state. */
static hf_status follow(json_t **reply)
{
    if (cli_options.no_wait) {
        cli_note(_("operation %s started"), text_at(*reply, "meta.uuid"));
        return HF_STATUS_OK;
    }
    json_t *last = NULL;
    hf_status st = cli_wait(text_at(*reply, "meta.uuid"), &last);
    if (last) {
        json_decref(*reply);
        *reply = last;
    }
    return st;
}

/* The object that an operation made, for -o json; else the operation. */
static void print_target(const struct cli_noun *noun, json_t *op)
{
    json_t *object = NULL;
    const struct cli_verb *get = cli_verb_find(noun, "get");
    hf_status st = get && !cli_options.no_wait
                       ? cli_call(noun->service, get->method, json_pack("{s:s}", "uuid", text_at(op, "targetUuid")), 15000, &object)
                       : hf_error(HF_NOT_FOUND, "no get");
    cli_print_object(hf_ok(st) ? object : op);
    hf_status_drop(st);
    json_decref(object);
}

static void report(const struct cli_noun *noun, const struct cli_verb *verb, const char *subject, json_t *reply, bool op)
{
    if (cli_options.format != CLI_TABLE) {
        if (op)
            print_target(noun, reply);
        else
            cli_print_object(reply);
        return;
    }
    if (op && cli_options.no_wait)
        return;
    const char *uuid = text_at(reply, op ? "targetUuid" : "meta.uuid");
    if (*uuid)
        cli_note(_("%s '%s': %s done (%s)"), noun->name, subject, verb->name, uuid);
    else
        cli_note(_("%s '%s': %s done"), noun->name, subject, verb->name);
}

/* Prints what came of a call, or of the operation that it started; takes reply. */
static enum cli_exit conclude(const struct cli_noun *noun, const struct cli_verb *verb, const char *subject, json_t *reply,
                              bool op)
{
    hf_status st = op ? follow(&reply) : HF_STATUS_OK;
    if (hf_status_code(st) == HF_CANCELLED && strcmp(verb->method, "CancelOperation") == 0) {
        hf_status_drop(st); /* which is what was asked for */
        st = HF_STATUS_OK;
    }
    if (hf_ok(st))
        report(noun, verb, subject, reply, op);
    json_decref(reply);
    return hf_ok(st) ? CLI_OK : cli_fail(st); /* the control plane's sentence names the subject */
}

/* Sends, follows an operation if one came back, prints; takes request. */
static enum cli_exit finish(const struct cli_noun *noun, const struct cli_verb *verb, const char *subject, json_t *request,
                            const char *const *mask, size_t n_mask)
{
    const ProtobufCMethodDescriptor *m = method_of(noun, verb->method);
    json_t *reply = NULL;
    hf_status st = cli_call_masked(noun->service, verb->method, request, mask, n_mask, deadline_ms(), &reply);
    return hf_ok(st) ? conclude(noun, verb, subject, reply, is_operation(m)) : cli_fail(st);
}

enum cli_exit cli_finish_operation(const struct cli_noun *noun, const struct cli_verb *verb, const char *subject, json_t *take_op)
{
    return conclude(noun, verb, subject, take_op, true);
}

hf_status cli_create_object(const struct cli_args *args, json_t **ret)
{
    json_t *object = json_pack("{s:{s:s}}", "meta", "name", args->subject);
    if (!object)
        return hf_error(HF_INVALID, _("the name is not UTF-8"));
    hf_status st = cli_request_fill(args, object, NULL, NULL);
    if (hf_ok(st))
        *ret = object;
    else
        json_decref(object);
    return st;
}

enum cli_exit cli_create(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    json_t *object;
    hf_status st = cli_create_object(args, &object);
    if (!hf_ok(st))
        return cli_fail(hf_wrap(st, "%s %s '%s'", verb->name, noun->name, args->subject));
    json_t *request = json_object();
    json_object_set_new(request, "requestId", cli_request_id());
    cli_json_set(request, object_field(method_of(noun, verb->method)), object);
    return finish(noun, verb, args->subject, request, NULL, 0);
}

static enum cli_exit run_update(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    char uuid[33];
    const char *mask[CLI_ARGS_MAX];
    size_t n_mask = 0;
    json_t *object = json_object();
    hf_status st = cli_resolve(noun->name, args->subject, uuid);
    if (hf_ok(st))
        st = cli_request_fill(args, object, mask, &n_mask);
    if (hf_ok(st) && n_mask == 0)
        st = hf_error(HF_INVALID, _("nothing to change: give an option"));
    if (!hf_ok(st)) {
        json_decref(object);
        return cli_fail(hf_wrap(st, "%s %s '%s'", verb->name, noun->name, args->subject));
    }
    cli_json_set(object, "meta.uuid", json_string(uuid));
    json_t *request = json_object();
    json_object_set_new(request, "requestId", cli_request_id());
    cli_json_set(request, object_field(method_of(noun, verb->method)), object);
    return finish(noun, verb, args->subject, request, mask, n_mask);
}

static enum cli_exit run_get(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    char uuid[33];
    json_t *reply = NULL;
    hf_status st = cli_resolve(noun->name, args->subject, uuid);
    if (hf_ok(st))
        st = cli_call(noun->service, verb->method, json_pack("{s:s}", "uuid", uuid), deadline_ms(), &reply);
    if (!hf_ok(st))
        return cli_fail(st);
    cli_print_object(reply);
    json_decref(reply);
    return CLI_OK;
}

/* Appends what an answer shows: its only list, or the answer itself when that is an object with a meta. */
static void append_rows(json_t *rows, json_t *reply)
{
    const char *key;
    json_t *value;
    if (json_object_get(reply, "meta")) {
        json_array_append(rows, reply);
        return;
    }
    json_object_foreach(reply, key, value)
        if (json_is_array(value))
            json_array_extend(rows, value);
}

/* Calls with page after page; *ret is the whole list. request is borrowed. */
static hf_status all_pages(const struct cli_noun *noun, const struct cli_verb *verb, json_t *request, json_t **ret)
{
    json_t *rows = json_array();
    for (;;) {
        json_t *reply = NULL;
        hf_status st = cli_call(noun->service, verb->method, json_deep_copy(request), deadline_ms(), &reply);
        if (!hf_ok(st)) {
            json_decref(rows);
            return st;
        }
        append_rows(rows, reply);
        const char *token = text_at(reply, "nextPageToken");
        if (*token)
            json_object_set_new(request, "pageToken", json_string(token));
        bool more = *token != '\0';
        json_decref(reply);
        if (!more)
            break;
    }
    *ret = rows;
    return HF_STATUS_OK;
}

static bool takes_pages(const ProtobufCMethodDescriptor *m)
{
    return protobuf_c_message_descriptor_get_field_by_name(m->input, "page_size") != NULL;
}

static enum cli_exit run_list(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    const ProtobufCMethodDescriptor *m = method_of(noun, verb->method);
    json_t *request = json_object(), *rows = NULL;
    if (takes_pages(m))
        json_object_set_new(request, "pageSize", json_integer(PAGE));
    if (protobuf_c_message_descriptor_get_field_by_name(m->input, "request_id"))
        json_object_set_new(request, "requestId", cli_request_id());
    hf_status st = cli_request_fill(args, request, NULL, NULL);
    if (hf_ok(st))
        st = all_pages(noun, verb, request, &rows);
    json_decref(request);
    if (!hf_ok(st))
        return cli_fail(st);
    cli_print_rows(verb->columns ? verb->columns : noun->columns, rows);
    json_decref(rows);
    return CLI_OK;
}

static enum cli_exit run_act(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    char uuid[33], second[33];
    json_t *request = json_object();
    hf_status st = cli_resolve(noun->name, args->subject, uuid);
    if (hf_ok(st) && verb->second_ref)
        st = cli_resolve(verb->second_ref, args->second, second);
    if (hf_ok(st))
        st = cli_request_fill(args, request, NULL, NULL);
    if (!hf_ok(st)) {
        json_decref(request);
        return cli_fail(st);
    }
    json_object_set_new(request, "requestId", cli_request_id());
    cli_json_set(request, verb->subject_path ? verb->subject_path : "uuid", json_string(uuid));
    if (verb->second_ref)
        cli_json_set(request, verb->second_path, json_string(second));
    else if (verb->second_path)
        cli_json_set(request, verb->second_path, json_string(args->second));
    return finish(noun, verb, args->subject, request, NULL, 0);
}

static enum cli_exit run_delete(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    /* an operation outlives its object: resolve first, so that a repeat of the request means the same object */
    return run_act(noun, verb, args);
}

enum cli_exit cli_setting_set(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    char uuid[33];
    hf_status st = cli_resolve(noun->name, args->subject, uuid);
    if (!hf_ok(st))
        return cli_fail(hf_wrap(st, "set setting '%s'", args->subject));
    struct cli_verb update = *verb;
    update.method = "UpdateGlobalSetting";
    static const char *const mask[] = {"value"};
    json_t *request = json_pack("{s:o, s:{s:{s:s}, s:s}}", "requestId", cli_request_id(), "globalSetting", "meta", "uuid", uuid,
                                "value", args->second);
    return finish(noun, &update, args->subject, request, mask, 1);
}

enum cli_exit cli_operation_wait(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    (void)noun;
    (void)verb;
    json_t *op = NULL;
    hf_status st = cli_wait(args->subject, &op);
    if (hf_ok(st) && cli_options.format != CLI_TABLE)
        cli_print_object(op);
    else if (hf_ok(st))
        cli_note(_("%s of '%s': done"), text_at(op, "verb"), text_at(op, "targetName"));
    json_decref(op);
    return hf_ok(st) ? CLI_OK : cli_fail(st);
}

enum cli_exit cli_run_verb(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    switch (verb->shape) {
    case CLI_CREATE:
        return verb->run ? verb->run(noun, verb, args) : cli_create(noun, verb, args);
    case CLI_GET:
        return run_get(noun, verb, args);
    case CLI_LIST:
    case CLI_SHOW:
        return verb->run ? verb->run(noun, verb, args) : run_list(noun, verb, args);
    case CLI_UPDATE:
        return run_update(noun, verb, args);
    case CLI_DELETE:
        return run_delete(noun, verb, args);
    case CLI_ACT:
        return run_act(noun, verb, args);
    case CLI_RUN:
        return verb->run(noun, verb, args);
    }
    return CLI_USAGE;
}
