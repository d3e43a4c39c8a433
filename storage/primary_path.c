#include <ctype.h>
#include <string.h>

#include "storage/layout.h"
#include "storage/primary.h"

/* Room that a root must leave for the longest install path below it. */
#define HF_PRIMARY_ROOT_MAX (HF_STORAGE_PATH_MAX - 256)

static bool hf_is_or_below(const char *path, const char *tree)
{
    size_t len = strlen(tree);

    return strncmp(path, tree, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

hf_status hf_primary_path_check(const char *path)
{
    char normal[HF_STORAGE_PATH_MAX];

    if (path == NULL || path[0] == '\0')
        return hf_error(HF_INVALID, "the path of a primary storage is missing");
    for (const char *c = path; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c))
            return hf_error(HF_INVALID, "the path of a primary storage holds a control character");
    if (path[0] != '/')
        return hf_error(HF_INVALID, "the path '%.200s' is not absolute: begin it with '/'", path);
    if (strlen(path) >= HF_PRIMARY_ROOT_MAX || !hf_path_normalize(path, normal))
        return hf_error(HF_INVALID, "the path of a primary storage is longer than %d bytes",
                        HF_PRIMARY_ROOT_MAX - 1);
    if (strcmp(normal, "/") == 0)
        return hf_error(HF_INVALID, "the path '%s' is the root of the file system: give a folder of its own",
                        path);
    if (hf_is_or_below(normal, "/root"))
        return hf_error(HF_INVALID, "the path '%s' lies in /root, which is for the administrator's own files",
                        path);
    if (strcmp(normal, path) != 0)
        return hf_error(HF_INVALID, "the path '%s' is not normalized: write '%s'", path, normal);
    return HF_STATUS_OK;
}

hf_status hf_volume_lost(void)
{
    return hf_error(HF_PRECONDITION,
                    "a guest has run with it and it is not there any more: nothing is made in its "
                    "place; bring it back, or delete the volume");
}
