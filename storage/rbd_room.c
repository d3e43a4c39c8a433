#include "storage/rbd_room.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WHAT_TO_DO "delete what is not needed, or give the cluster more OSDs"

static hf_status read_room(const char *answer, const char *pool, struct hf_capacity *ret)
{
    json_t *root = json_loads(answer, 0, NULL), *stats = NULL, *at;
    size_t i;
    json_array_foreach(json_object_get(root, "pools"), i, at)
    {
        const char *name = json_string_value(json_object_get(at, "name"));
        if (name && strcmp(name, pool) == 0)
            stats = json_object_get(at, "stats");
    }
    json_t *used = json_object_get(stats, "stored"), *free_ = json_object_get(stats, "max_avail");
    bool ok = json_is_integer(used) && json_is_integer(free_);
    if (ok) {
        ret->available_bytes = (uint64_t)json_integer_value(free_);
        ret->total_bytes = (uint64_t)json_integer_value(used) + ret->available_bytes;
    }
    json_decref(root);
    if (!ok)
        return hf_error(HF_UNAVAILABLE, "the cluster has no pool '%s', or no word yet about its room", pool);
    return HF_STATUS_OK;
}

hf_status hf_rbd_room(rados_t cluster, const char *pool, struct hf_capacity *ret)
{
    char *answer = NULL;
    HF_TRY(hf_rados_command(cluster, "{\"prefix\":\"df\",\"format\":\"json\"}", &answer));
    hf_status st = read_room(answer, pool, ret);
    free(answer);
    return st;
}

hf_status hf_rbd_room_for_volume(rados_t cluster, const char *pool, uint64_t size_bytes,
                                 uint64_t reserved_bytes)
{
    struct hf_capacity room;
    HF_TRY(hf_rbd_room(cluster, pool, &room));
    if (room.available_bytes <= reserved_bytes)
        return hf_error(HF_EXHAUSTED,
                        "the pool '%s' has no room left but its reserve of %" PRIu64 " bytes: " WHAT_TO_DO,
                        pool, reserved_bytes);
    if (size_bytes > room.total_bytes)
        return hf_error(HF_EXHAUSTED,
                        "%" PRIu64 " bytes are more than the %" PRIu64 " of the whole pool '%s'", size_bytes,
                        room.total_bytes, pool);
    return HF_STATUS_OK;
}

hf_status hf_rbd_room_for_content(rados_t cluster, const char *pool, uint64_t bytes, uint64_t reserved_bytes)
{
    struct hf_capacity room;
    HF_TRY(hf_rbd_room(cluster, pool, &room));
    uint64_t needed = bytes + reserved_bytes;
    if (needed > room.available_bytes)
        return hf_error(HF_EXHAUSTED,
                        "the pool '%s' has %" PRIu64 " bytes of room, and the image needs %" PRIu64
                        " with the reserve: " WHAT_TO_DO,
                        pool, room.available_bytes, needed);
    return HF_STATUS_OK;
}

hf_status hf_rbd_room_for_file(rados_t cluster, const char *pool, const char *file, uint64_t reserved_bytes)
{
    struct stat s;
    if (stat(file, &s) != 0)
        return hf_errno(errno, "look at '%s'", file);
    return hf_rbd_room_for_content(cluster, pool, (uint64_t)s.st_blocks * 512, reserved_bytes);
}
