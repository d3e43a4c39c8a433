/* Daemons that dialled in and are not added yet. */
#include <string.h>

#include "control/host_stream.h"

static void describe_pending(const struct hf_host_stream *s, struct hf_pending_host *ret)
{
    *ret = (struct hf_pending_host){
        .uuid = s->host_uuid,
        .management_ip = s->management_ip,
        .hostname = s->hello->hostname,
        .key_sha256 = s->key_sha256,
        .since_ms = s->since_ms,
    };
}

size_t hf_host_link_pending_count(const struct hf_host_link *l)
{
    size_t n = 0;
    for (const struct hf_host_stream *s = l->streams; s != NULL; s = s->next)
        n += s->state == STREAM_PENDING;
    return n;
}

bool hf_host_link_pending(const struct hf_host_link *l, size_t i, struct hf_pending_host *ret)
{
    for (const struct hf_host_stream *s = l->streams; s != NULL; s = s->next) {
        if (s->state != STREAM_PENDING || i-- > 0)
            continue;
        describe_pending(s, ret);
        return true;
    }
    return false;
}

bool hf_host_link_find_pending(const struct hf_host_link *l, const char *uuid, const char *management_ip,
                               struct hf_pending_host *ret)
{
    bool by_uuid = uuid != NULL && uuid[0] != '\0';
    bool by_ip = !by_uuid && management_ip != NULL && management_ip[0] != '\0';
    for (const struct hf_host_stream *s = l->streams; s != NULL; s = s->next) {
        if (s->state != STREAM_PENDING || (by_uuid && strcmp(s->host_uuid, uuid) != 0) ||
            (by_ip && strcmp(s->management_ip, management_ip) != 0) || (!by_uuid && !by_ip))
            continue;
        describe_pending(s, ret);
        return true;
    }
    return false;
}
