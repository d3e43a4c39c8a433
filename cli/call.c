/* Calls to the control plane, one at a time, each run to its end on a loop of its own turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/env.h"
#include "base/mem.h"
#include "base/pb_copy.h"
#include "base/uuid.h"
#include "cli/cli.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "rpc/leader_client.h"
#include "rpc/pbjson.h"

#define NODES_MAX 16

static uv_loop_t loop;
static struct hf_env *env;
static struct hf_leader_client *client;
static struct hf_grpc_channel *node; /* of cli_call_node(), to node_address */
static char *node_address;

static struct hf_tls_files tls_files(void)
{
    return (struct hf_tls_files){cli_options.tls_cert, cli_options.tls_key, cli_options.tls_ca};
}

static void connect_once(void)
{
    if (client)
        return;
    uv_loop_init(&loop);
    env = hf_env_uv_create(&loop);
    char *list = hf_strdup(cli_options.control), *rest = list, *word;
    const char *nodes[NODES_MAX];
    size_t n = 0;
    while (n < NODES_MAX && (word = strsep(&rest, ", ")) != NULL)
        if (*word)
            nodes[n++] = word;
    struct hf_tls_files tls = tls_files();
    client = hf_leader_client_create(&loop, nodes, n, &tls);
    free(list);
}

static void leave_node(void)
{
    if (node)
        hf_grpc_channel_close(node);
    node = NULL;
    free(node_address);
    node_address = NULL;
}

void cli_call_done(void)
{
    if (!client)
        return;
    leave_node();
    hf_leader_client_close(client);
    hf_env_uv_close(env);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    client = NULL;
}

json_t *cli_request_id(void)
{
    connect_once();
    struct hf_uuid u = hf_uuid_new(env);
    char text[HF_UUID_STR];
    return json_string(hf_uuid_format(&u, text));
}

struct answer {
    bool done;
    hf_status st;
    json_t *json;
};

static void on_answer(hf_status st, const ProtobufCMessage *reply, struct hf_grpc_stream *stream, void *arg)
{
    (void)stream;
    struct answer *a = arg;
    a->done = true;
    a->st = hf_status_copy(st);
    if (hf_ok(st))
        a->json = hf_pb_to_json(reply);
}

static const ProtobufCFieldDescriptor *mask_field(const ProtobufCMessage *m)
{
    return protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "update_mask");
}

/* The message of a JSON request, with its field mask if any. */
static hf_status build(const ProtobufCMethodDescriptor *method, json_t *request, const char *const *mask, size_t n_mask,
                       ProtobufCMessage **ret)
{
    if (!request)
        request = json_object();
    hf_status st = hf_pb_from_json(method->input, request, ret);
    json_decref(request);
    if (!hf_ok(st) || n_mask == 0)
        return st;
    Google__Protobuf__FieldMask *fm = HF_NEW(Google__Protobuf__FieldMask);
    google__protobuf__field_mask__init(fm);
    fm->paths = hf_alloc_array(n_mask, sizeof *fm->paths);
    for (size_t i = 0; i < n_mask; i++)
        fm->paths[i] = hf_printf("%.*s", (int)strcspn(mask[i], "["), mask[i]); /* a list is replaced whole */
    fm->n_paths = n_mask;
    *(Google__Protobuf__FieldMask **)(void *)((char *)*ret + mask_field(*ret)->offset) = fm;
    return HF_STATUS_OK;
}

hf_status cli_call_masked(const ProtobufCServiceDescriptor *service, const char *method, json_t *request,
                          const char *const *mask, size_t n_mask, unsigned deadline_ms, json_t **ret)
{
    connect_once();
    const ProtobufCMethodDescriptor *m = protobuf_c_service_descriptor_get_method_by_name(service, method);
    ProtobufCMessage *message = NULL;
    HF_TRY(build(m, request, mask, n_mask, &message));
    struct answer a = {.done = false};
    hf_leader_unary(client, service, method, message, deadline_ms, on_answer, &a);
    while (!a.done && uv_run(&loop, UV_RUN_ONCE)) {
    }
    protobuf_c_message_free_unpacked(message, NULL);
    if (hf_ok(a.st))
        *ret = a.json;
    return a.st;
}

hf_status cli_call(const ProtobufCServiceDescriptor *service, const char *method, json_t *request, unsigned deadline_ms,
                   json_t **ret)
{
    return cli_call_masked(service, method, request, NULL, 0, deadline_ms, ret);
}

struct node_answer {
    bool done;
    hf_status st;
    ProtobufCMessage *reply;
};

static void on_node_answer(hf_status st, const ProtobufCMessage *reply, struct hf_grpc_stream *stream, void *arg)
{
    (void)stream;
    struct node_answer *a = arg;
    a->done = true;
    a->st = hf_status_copy(st);
    a->reply = hf_ok(st) ? hf_pb_copy(reply) : NULL;
}

hf_status cli_call_node(const char *address, const ProtobufCServiceDescriptor *service, const char *method,
                        const ProtobufCMessage *request, unsigned deadline_ms, ProtobufCMessage **ret)
{
    connect_once();
    if (!node || strcmp(node_address, address) != 0) {
        leave_node();
        struct hf_grpc_channel_options o = {.address = address, .tls = tls_files()};
        node = hf_grpc_channel_create(&loop, &o);
        node_address = hf_strdup(address);
    }
    struct node_answer a = {.done = false};
    hf_grpc_unary(node, service, method, request, deadline_ms, on_node_answer, &a);
    while (!a.done && uv_run(&loop, UV_RUN_ONCE)) {
    }
    if (hf_ok(a.st))
        *ret = a.reply;
    return a.st;
}

struct stream {
    bool (*on_message)(void *arg, const ProtobufCMessage *message);
    void *arg;
    bool done, enough;
    hf_status st;
};

static void stream_message(struct hf_grpc_stream *s, ProtobufCMessage *m, void *arg)
{
    struct stream *t = arg;
    if (!t->enough && !t->on_message(t->arg, m)) {
        t->enough = true;
        hf_grpc_stream_cancel(s);
    }
    protobuf_c_message_free_unpacked(m, NULL);
}

static void stream_end(struct hf_grpc_stream *s, hf_status st, void *arg)
{
    struct stream *t = arg;
    hf_leader_failed(client, hf_grpc_stream_trailer(s, HF_LEADER_TRAILER));
    t->done = true;
    if (!t->enough)
        t->st = hf_status_copy(st);
}

hf_status cli_stream(const ProtobufCServiceDescriptor *service, const char *method, json_t *request, unsigned deadline_ms,
                     bool (*on_message)(void *arg, const ProtobufCMessage *message), void *arg)
{
    connect_once();
    const ProtobufCMethodDescriptor *m = protobuf_c_service_descriptor_get_method_by_name(service, method);
    ProtobufCMessage *message = NULL;
    HF_TRY(build(m, request, NULL, 0, &message));
    static const struct hf_grpc_stream_handler handler = {.message = stream_message, .end = stream_end};
    struct stream t = {.on_message = on_message, .arg = arg};
    struct hf_grpc_stream *s = hf_grpc_open(hf_leader_channel(client), service, method, deadline_ms, &handler, &t);
    hf_grpc_stream_send(s, message);
    hf_grpc_stream_half_close(s);
    protobuf_c_message_free_unpacked(message, NULL);
    while (!t.done && uv_run(&loop, UV_RUN_ONCE)) {
    }
    return t.st;
}

/* --- names and UUIDs --- */

static const struct cli_verb *shaped(const struct cli_noun *noun, enum cli_shape shape)
{
    for (const struct cli_verb *v = noun->verbs; v->name; v++)
        if (v->shape == shape)
            return v;
    return NULL;
}

hf_status cli_resolve(const char *noun, const char *name_or_uuid, char ret[33])
{
    struct hf_uuid u;
    if (hf_uuid_parse(name_or_uuid, &u)) {
        hf_uuid_format(&u, ret);
        return HF_STATUS_OK;
    }
    const struct cli_noun *n = cli_noun_find(noun);
    json_t *reply = NULL;
    HF_TRY(cli_call(n->service, shaped(n, CLI_GET)->method, json_pack("{s:s}", "name", name_or_uuid),
                    cli_options.timeout_s * 1000, &reply));
    const char *uuid = json_string_value(cli_json_at(reply, "meta.uuid"));
    snprintf(ret, 33, "%s", uuid ? uuid : "");
    json_decref(reply);
    return HF_STATUS_OK;
}

hf_status cli_get_list(const struct cli_noun *noun, const struct cli_verb *verb, const char *subject, const char *path,
                       json_t **ret_list)
{
    char uuid[33];
    json_t *object = NULL;
    HF_TRY(cli_resolve(noun->name, subject, uuid));
    HF_TRY(cli_call(noun->service, verb->method, json_pack("{s:s}", "uuid", uuid), cli_options.timeout_s * 1000, &object));
    json_t *list = cli_json_at(object, path);
    *ret_list = list ? json_incref(list) : json_array();
    json_decref(object);
    return HF_STATUS_OK;
}

static json_t *names; /* {noun: {uuid: name}} */

static json_t *load_names(const char *noun)
{
    json_t *map = json_object();
    const struct cli_noun *n = cli_noun_find(noun);
    const char *token = "";
    json_t *reply = NULL;
    while (token) {
        json_t *request = json_pack("{s:i, s:s}", "pageSize", 1000, "pageToken", token);
        json_t *page = NULL;
        hf_status st = cli_call(n->service, shaped(n, CLI_LIST)->method, request, 5000, &page);
        json_decref(reply);
        reply = page;
        if (!hf_ok(st)) { /* names are a courtesy: show UUIDs */
            hf_status_drop(st);
            break;
        }
        const char *key;
        json_t *value, *item;
        size_t i;
        json_object_foreach(reply, key, value)
            if (json_is_array(value))
                json_array_foreach(value, i, item)
                    json_object_set(map, json_string_value(cli_json_at(item, "meta.uuid")), cli_json_at(item, "meta.name"));
        token = json_string_value(json_object_get(reply, "nextPageToken"));
    }
    json_decref(reply);
    return map;
}

const char *cli_name_of(const char *noun, const char *uuid)
{
    if (!names)
        names = json_object();
    json_t *map = json_object_get(names, noun);
    if (!map) {
        map = load_names(noun);
        json_object_set_new(names, noun, map);
    }
    const char *name = json_string_value(json_object_get(map, uuid));
    return name ? name : uuid;
}

void cli_names_done(void)
{
    json_decref(names);
    names = NULL;
}
