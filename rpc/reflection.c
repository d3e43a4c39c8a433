#include "rpc/reflection.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"
#include "rpc/descriptor_set.h"
#include "rpc/grpc_call.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest request_t;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_t;
typedef Google__Protobuf__FileDescriptorProto file_t;
typedef Google__Protobuf__DescriptorProto message_t;
#define REQUEST(name)  GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define RESPONSE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

struct hf_reflection {
    struct hf_grpc_server *server;
    struct hf_grpc_slice set;
};

/* --- finding the file --- */

/* What follows name and a dot in symbol: "" if symbol is name, NULL if it is something else. */
static const char *below(const char *symbol, const char *name)
{
    size_t n = strlen(name);
    if (n == 0)
        return symbol;
    if (strncmp(symbol, name, n) != 0)
        return NULL;
    return symbol[n] == '\0' ? symbol + n : symbol[n] == '.' ? symbol + n + 1 : NULL;
}

static bool in_enum(const char *symbol, const Google__Protobuf__EnumDescriptorProto *e)
{
    const char *rest = below(symbol, e->name);
    return rest && *rest == '\0';
}

static bool in_message(const char *symbol, const message_t *m)
{
    const char *rest = below(symbol, m->name);
    if (!rest || *rest == '\0')
        return rest != NULL;
    for (size_t i = 0; i < m->n_nested_type; i++)
        if (in_message(rest, m->nested_type[i]))
            return true;
    for (size_t i = 0; i < m->n_enum_type; i++)
        if (in_enum(rest, m->enum_type[i]))
            return true;
    for (size_t i = 0; i < m->n_field; i++)
        if (strcmp(rest, m->field[i]->name) == 0)
            return true;
    return false;
}

static bool in_service(const char *symbol, const Google__Protobuf__ServiceDescriptorProto *s)
{
    const char *rest = below(symbol, s->name);
    if (!rest || *rest == '\0')
        return rest != NULL;
    for (size_t i = 0; i < s->n_method; i++)
        if (strcmp(rest, s->method[i]->name) == 0)
            return true;
    return false;
}

static bool has_symbol(const file_t *f, const char *symbol)
{
    const char *rest = below(symbol, f->package ? f->package : "");
    if (!rest || *rest == '\0')
        return false;
    for (size_t i = 0; i < f->n_message_type; i++)
        if (in_message(rest, f->message_type[i]))
            return true;
    for (size_t i = 0; i < f->n_enum_type; i++)
        if (in_enum(rest, f->enum_type[i]))
            return true;
    for (size_t i = 0; i < f->n_service; i++)
        if (in_service(rest, f->service[i]))
            return true;
    return false;
}

static bool has_name(const file_t *f, const char *name)
{
    return f->name && strcmp(f->name, name) == 0;
}

static bool find_file(const struct hf_reflection *r, bool (*matches)(const file_t *f, const char *what),
                      const char *what, struct hf_grpc_slice *ret)
{
    struct hf_grpc_slice set = r->set, file;
    while (hf_descriptor_set_next(&set, &file)) {
        file_t *f = google__protobuf__file_descriptor_proto__unpack(NULL, file.len, file.data);
        if (!f)
            continue;
        bool match = matches(f, what);
        google__protobuf__file_descriptor_proto__free_unpacked(f, NULL);
        if (match) {
            *ret = file;
            return true;
        }
    }
    return false;
}

/* --- answers --- */

/* Both versions of the protocol are the same on the wire. */
static void send_packed(struct hf_grpc_call *call, const response_t *r)
{
    struct hf_bytes *b = hf_bytes_new(grpc__reflection__v1__server_reflection_response__get_packed_size(r));
    grpc__reflection__v1__server_reflection_response__pack(r, b->data);
    hf_grpc_send_bytes(call, b);
    hf_bytes_unref(b);
}

static void send_error(struct hf_grpc_call *call, response_t *r, enum hf_code code, const char *message)
{
    Grpc__Reflection__V1__ErrorResponse e = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    e.error_code = hf_code_grpc(code);
    e.error_message = (char *)message;
    r->message_response_case = RESPONSE(ERROR_RESPONSE);
    r->error_response = &e;
    send_packed(call, r);
}

static void send_file(struct hf_grpc_call *call, response_t *r,
                      bool (*matches)(const file_t *f, const char *what), const char *what)
{
    struct hf_grpc_slice file;
    if (!find_file(hf_grpc_call_user(call), matches, what, &file)) {
        char *text = hf_printf("'%.200s' is not in the schema", what);
        send_error(call, r, HF_NOT_FOUND, text);
        free(text);
        return;
    }
    ProtobufCBinaryData data = {.len = file.len, .data = (uint8_t *)file.data};
    Grpc__Reflection__V1__FileDescriptorResponse f = GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    f.n_file_descriptor_proto = 1;
    f.file_descriptor_proto = &data;
    r->message_response_case = RESPONSE(FILE_DESCRIPTOR_RESPONSE);
    r->file_descriptor_response = &f;
    send_packed(call, r);
}

static bool listed(Grpc__Reflection__V1__ServiceResponse **services, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(services[i]->name, name) == 0)
            return true;
    return false;
}

/* The services that the server has, which may be fewer than those of the schema. */
static size_t collect_services(const struct hf_grpc_server *s, Grpc__Reflection__V1__ServiceResponse ***ret)
{
    Grpc__Reflection__V1__ServiceResponse **services = NULL;
    size_t n = 0;
    for (unsigned i = 0; i < HF_GRPC_METHOD_BUCKETS; i++) {
        for (const struct hf_grpc_method *m = s->methods[i]; m; m = m->next) {
            if (listed(services, n, m->service->name))
                continue;
            services = hf_realloc_array(services, n + 1, sizeof *services);
            services[n] = HF_NEW(Grpc__Reflection__V1__ServiceResponse);
            grpc__reflection__v1__service_response__init(services[n]);
            services[n++]->name = (char *)m->service->name;
        }
    }
    *ret = services;
    return n;
}

static void send_services(struct hf_grpc_call *call, response_t *r)
{
    const struct hf_reflection *reflection = hf_grpc_call_user(call);
    Grpc__Reflection__V1__ListServiceResponse list = GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    list.n_service = collect_services(reflection->server, &list.service);
    r->message_response_case = RESPONSE(LIST_SERVICES_RESPONSE);
    r->list_services_response = &list;
    send_packed(call, r);
    for (size_t i = 0; i < list.n_service; i++)
        free(list.service[i]);
    free(list.service);
}

static void answer(struct hf_grpc_call *call, request_t *q)
{
    response_t r = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    r.valid_host = q->host;
    r.original_request = q;
    switch (q->message_request_case) {
    case REQUEST(FILE_BY_FILENAME):
        send_file(call, &r, has_name, q->file_by_filename);
        break;
    case REQUEST(FILE_CONTAINING_SYMBOL):
        send_file(call, &r, has_symbol, q->file_containing_symbol);
        break;
    case REQUEST(LIST_SERVICES):
        send_services(call, &r);
        break;
    default: /* extensions are a thing of proto2 */
        send_error(call, &r, HF_NOT_FOUND, "the schema is proto3 and has no extensions");
        break;
    }
}

static void on_message(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    answer(call, (request_t *)m);
    protobuf_c_message_free_unpacked(m, NULL);
}

static void on_message_v1alpha(struct hf_grpc_call *call, ProtobufCMessage *m)
{
    struct hf_bytes *b = hf_bytes_new(protobuf_c_message_get_packed_size(m));
    protobuf_c_message_pack(m, b->data);
    request_t *q = grpc__reflection__v1__server_reflection_request__unpack(NULL, b->len, b->data);
    HF_ASSERT(q != NULL);
    hf_bytes_unref(b);
    protobuf_c_message_free_unpacked(m, NULL);
    answer(call, q);
    grpc__reflection__v1__server_reflection_request__free_unpacked(q, NULL);
}

static void on_half_close(struct hf_grpc_call *call)
{
    hf_grpc_finish(call, HF_STATUS_OK);
}

struct hf_reflection *hf_reflection_create(struct hf_grpc_server *s, const unsigned char *descriptor_set,
                                           size_t len)
{
    static const struct hf_grpc_handler V1 = {.message = on_message, .half_close = on_half_close};
    static const struct hf_grpc_handler V1ALPHA = {.message = on_message_v1alpha,
                                                   .half_close = on_half_close};
    struct hf_reflection *r = HF_NEW(struct hf_reflection);
    r->server = s;
    r->set = (struct hf_grpc_slice){descriptor_set, len};
    hf_grpc_server_add(s, &grpc__reflection__v1__server_reflection__descriptor, "ServerReflectionInfo", &V1,
                       r);
    hf_grpc_server_add(s, &grpc__reflection__v1alpha__server_reflection__descriptor, "ServerReflectionInfo",
                       &V1ALPHA, r);
    return r;
}

void hf_reflection_free(struct hf_reflection *r)
{
    free(r);
}
