#include "storage/layout.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

char *hf_layout_template(const struct hf_uuid *image, const char *format, char out[HF_STORAGE_PATH_MAX])
{
    char id[HF_UUID_STR];

    hf_uuid_format(image, id);
    snprintf(out, HF_STORAGE_PATH_MAX, "imagecache/template/%s/%s.%s", id, id, format);
    return out;
}

char *hf_layout_volume(enum hf_volume_kind kind, const struct hf_uuid *account, const struct hf_uuid *volume,
                       char out[HF_STORAGE_PATH_MAX])
{
    char acct[HF_UUID_STR], vol[HF_UUID_STR];

    hf_uuid_format(account, acct);
    hf_uuid_format(volume, vol);
    snprintf(out, HF_STORAGE_PATH_MAX, "%s/acct-%s/vol-%s/%s.qcow2",
             kind == HF_VOLUME_ROOT ? "rootVolumes" : "dataVolumes", acct, vol, vol);
    return out;
}

char *hf_layout_heartbeat(const struct hf_uuid *host, char out[HF_STORAGE_PATH_MAX])
{
    char id[HF_UUID_STR];

    snprintf(out, HF_STORAGE_PATH_MAX, "heartbeat-file-kvm-host-%s.hb", hf_uuid_format(host, id));
    return out;
}

/* Cuts the last component off a normalized path of this length. */
static size_t hf_parent_len(const char *path, size_t len)
{
    while (len > 0 && path[len - 1] != '/')
        len--;
    return len > 0 ? len - 1 : 0;
}

bool hf_path_normalize(const char *path, char out[HF_STORAGE_PATH_MAX])
{
    size_t len = 0;

    HF_ASSERT(path[0] == '/');
    while (*path != '\0') {
        size_t n;

        path += strspn(path, "/");
        n = strcspn(path, "/");
        if (n == 2 && memcmp(path, "..", 2) == 0) {
            len = hf_parent_len(out, len);
        } else if (n > 0 && !(n == 1 && path[0] == '.')) {
            if (len + 1 + n >= HF_STORAGE_PATH_MAX)
                return false;
            out[len++] = '/';
            memcpy(out + len, path, n);
            len += n;
        }
        path += n;
    }
    if (len == 0)
        out[len++] = '/';
    out[len] = '\0';
    return true;
}

static bool hf_has_control(const char *path)
{
    for (; *path != '\0'; path++)
        if (iscntrl((unsigned char)*path))
            return true;
    return false;
}

bool hf_layout_absolute(const char *root, const char *install_path, char *out, size_t out_len)
{
    char joined[HF_STORAGE_PATH_MAX], normal[HF_STORAGE_PATH_MAX];
    size_t root_len = strlen(root);
    int n;

    HF_ASSERT(root[0] == '/');
    if (install_path == NULL || install_path[0] == '\0' || hf_has_control(install_path))
        return false;
    if (install_path[0] == '/')
        n = snprintf(joined, sizeof joined, "%s", install_path);
    else
        n = snprintf(joined, sizeof joined, "%s/%s", root, install_path);
    if (n < 0 || (size_t)n >= sizeof joined || (size_t)n >= out_len)
        return false;
    if (!hf_path_normalize(joined, normal) || strcmp(normal, joined) != 0)
        return false;
    if (strncmp(joined, root, root_len) != 0 || joined[root_len] != '/' || joined[root_len + 1] == '\0')
        return false;
    memcpy(out, joined, (size_t)n + 1);
    return true;
}
