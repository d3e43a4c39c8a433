#include "rpc/descriptor_set.h"

#include <string.h>

#define TAG_FILE 0x0a /* FileDescriptorSet.file: field 1, length-delimited */

bool hf_descriptor_set_next(struct hf_grpc_slice *set, struct hf_grpc_slice *ret_file)
{
    size_t at = 1, len = 0;
    unsigned shift = 0;
    if (set->len < 2 || set->data[0] != TAG_FILE)
        return false;
    do {
        if (at == set->len || shift > 28)
            return false;
        len |= (size_t)(set->data[at] & 0x7f) << shift;
        shift += 7;
    } while (set->data[at++] & 0x80);
    if (len > set->len - at)
        return false;
    *ret_file = (struct hf_grpc_slice){set->data + at, len};
    set->data += at + len;
    set->len -= at + len;
    return true;
}

/* "pkg.Service" is service s of file f. */
static bool is_service(const Google__Protobuf__FileDescriptorProto *f,
                       const Google__Protobuf__ServiceDescriptorProto *s, const char *service)
{
    size_t n = strlen(f->package);
    return strncmp(service, f->package, n) == 0 && service[n] == '.' && strcmp(service + n + 1, s->name) == 0;
}

static const Google__Protobuf__MethodDescriptorProto *
find_method(const Google__Protobuf__FileDescriptorProto *f, const char *service, const char *method)
{
    for (size_t i = 0; i < f->n_service; i++) {
        const Google__Protobuf__ServiceDescriptorProto *s = f->service[i];
        if (!is_service(f, s, service))
            continue;
        for (size_t k = 0; k < s->n_method; k++)
            if (strcmp(s->method[k]->name, method) == 0)
                return s->method[k];
    }
    return NULL;
}

bool hf_grpc_client_streams(const char *service, const char *method)
{
    struct hf_grpc_slice set = {hf_descriptor_set, hf_descriptor_set_len}, file;
    bool found = false, streams = true;
    while (!found && hf_descriptor_set_next(&set, &file)) {
        /* Unpacking is dear: only files that mention the method. */
        if (!memmem(file.data, file.len, method, strlen(method)))
            continue;
        Google__Protobuf__FileDescriptorProto *f =
            google__protobuf__file_descriptor_proto__unpack(NULL, file.len, file.data);
        if (!f)
            continue;
        const Google__Protobuf__MethodDescriptorProto *m =
            f->package ? find_method(f, service, method) : NULL;
        found = m != NULL;
        if (found)
            streams = m->has_client_streaming && m->client_streaming;
        google__protobuf__file_descriptor_proto__free_unpacked(f, NULL);
    }
    return streams;
}
