#include "storage/nfs_mount.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/run_command.h"
#include "storage/layout.h"
#include "storage/nfs_spec.h"

#define MOUNTINFO      "/proc/self/mountinfo"
#define MOUNTINFO_MAX  (16u << 20)
#define IDENTIFIER     "/sys/fs/nfs/net/nfs_client/identifier"
#define MODPROBE_MS    5000
#define MOUNTS_AT_ONCE 256 /* unmounted in one sweep; the rest in the next */

/* --- what is mounted --- */

static hf_status read_mountinfo(char **ret)
{
    FILE *f = fopen(MOUNTINFO, "re");
    size_t room = 65536, len = 0, n;
    if (f == NULL)
        return hf_errno(errno, "open " MOUNTINFO);
    char *text = hf_alloc(room);
    while ((n = fread(text + len, 1, room - len - 1, f)) > 0 && room < MOUNTINFO_MAX) {
        len += n;
        if (len == room - 1)
            text = hf_realloc_array(text, room *= 2, 1);
    }
    bool whole = feof(f) && !ferror(f);
    fclose(f);
    text[len] = '\0';
    if (!whole) {
        free(text);
        return hf_error(HF_IO, "read " MOUNTINFO ": it is cut short");
    }
    *ret = text;
    return HF_STATUS_OK;
}

/* OK and *ret_mounted false: nothing is mounted there. */
static hf_status look(const struct hf_nfs_place *p, bool *ret_mounted)
{
    char *text;
    hf_status why = HF_STATUS_OK;
    HF_TRY(read_mountinfo(&text));
    *ret_mounted = hf_nfs_find_mount(text, p->point, p->url, &why) == HF_NFS_MOUNTED;
    free(text);
    return why;
}

/* --- the way to the server --- */

static hf_status resolve(const char *server, struct sockaddr_in *ret)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *found = NULL;
    int rc = getaddrinfo(server, NULL, &hints, &found);
    if (rc != 0)
        return hf_error(HF_UNAVAILABLE, "find the address of the NFS server '%s': %s", server,
                        gai_strerror(rc));
    memcpy(ret, found->ai_addr, sizeof *ret);
    ret->sin_port = htons(2049);
    freeaddrinfo(found);
    return HF_STATUS_OK;
}

/* The address that this host's routes choose towards the server; nothing is sent. */
static hf_status source_towards(const char *server, struct sockaddr_in *ret)
{
    struct sockaddr_in to;
    socklen_t len = sizeof *ret;
    HF_TRY(resolve(server, &to));
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return hf_errno(errno, "make a socket");
    hf_status st = HF_STATUS_OK;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        getsockname(fd, (struct sockaddr *)ret, &len) != 0)
        st = hf_errno(errno, "find the way to the NFS server '%s'", server);
    close(fd);
    return st;
}

static hf_status check_way(const struct hf_nfs_place *p)
{
    char server[HF_NFS_SERVER_MAX], text[INET_ADDRSTRLEN], network[INET_ADDRSTRLEN];
    struct sockaddr_in source;
    if (p->prefix == 0)
        return HF_STATUS_OK;
    HF_TRY(hf_nfs_url_check(p->url, server));
    HF_TRY(source_towards(server, &source));
    uint32_t mask = ~UINT32_C(0) << (32 - p->prefix);
    if ((ntohl(source.sin_addr.s_addr) & mask) == (p->network & mask))
        return HF_STATUS_OK;
    struct in_addr net = {htonl(p->network)};
    inet_ntop(AF_INET, &source.sin_addr, text, sizeof text);
    inet_ntop(AF_INET, &net, network, sizeof network);
    return hf_error(HF_PRECONDITION,
                    "the way to the NFS server '%s' goes from address %s, which is not in the storage "
                    "network %s/%u: give the "
                    "host an address there and a route",
                    server, text, network, p->prefix);
}

/* --- mounting --- */

/* Two hosts of one name are one client to an NFSv4 server, which then takes the locks of one for the other's.
 * The kernel forgets its own name for a client at its first mount: this is before it. */
static void name_client(const char *client_id)
{
    static const char *const load[] = {"modprobe", "-q", "nfs", NULL};
    char now[256] = "";
    int fd = open(IDENTIFIER, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        hf_status_drop(hf_run_command(load, MODPROBE_MS, NULL));
        fd = open(IDENTIFIER, O_RDWR | O_CLOEXEC);
    }
    if (fd < 0)
        return; /* a kernel before 5.6: it goes by the host's name */
    if (read(fd, now, sizeof now - 1) >= 0 && (strncmp(now, "(null)", 6) == 0 || now[0] == '\n'))
        (void)!pwrite(fd, client_id, strlen(client_id), 0);
    close(fd);
}

static hf_status make_folder(const char *path)
{
    char part[HF_STORAGE_PATH_MAX];
    for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash ? slash - path : (ptrdiff_t)strlen(path)), path);
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return hf_errno(errno, "make the folder '%s'", part);
        if (slash == NULL)
            return HF_STATUS_OK;
    }
}

/* The folder that is mounted over says that it is not the storage. */
static hf_status prepare_point(const char *point)
{
    char path[HF_STORAGE_PATH_MAX + sizeof HF_STORAGE_NOT_MOUNTED];
    HF_TRY(make_folder(point));
    snprintf(path, sizeof path, "%s/" HF_STORAGE_NOT_MOUNTED, point);
    int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (fd < 0)
        return hf_errno(errno, "make the file '%s'", path);
    close(fd);
    return HF_STATUS_OK;
}

static hf_status mount_it(const struct hf_nfs_place *p, unsigned deadline_ms)
{
    char options[HF_NFS_MOUNT_OPTIONS_MAX];
    HF_TRY(prepare_point(p->point));
    name_client(p->client_id);
    hf_nfs_mount_options(p->options, options);
    const char *argv[] = {"mount", "-t", "nfs4", "-o", options, p->url, p->point, NULL};
    return hf_run_command(argv, deadline_ms, NULL);
}

static hf_status have_mount(const struct hf_nfs_place *p, unsigned deadline_ms)
{
    bool mounted = false;
    HF_TRY(look(p, &mounted));
    HF_TRY(check_way(p));
    if (mounted)
        return HF_STATUS_OK;
    HF_TRY(mount_it(p, deadline_ms));
    HF_TRY(look(p, &mounted));
    if (!mounted)
        return hf_error(HF_IO, "mount(8) reports success, and nothing is mounted at %s", p->point);
    return HF_STATUS_OK;
}

hf_status hf_nfs_have_mount(const struct hf_nfs_place *p, unsigned deadline_ms)
{
    return hf_wrap(have_mount(p, deadline_ms), "mount the NFS export '%s'", p->url);
}

/* --- unmounting --- */

hf_status hf_nfs_unmount_unwanted(const char *base,
                                  bool (*still_wanted)(void *arg, const struct hf_uuid *storage), void *arg,
                                  unsigned deadline_ms, size_t *ret_left)
{
    char *text, name[HF_UUID_STR + 1], path[HF_STORAGE_PATH_MAX];
    hf_status first = HF_STATUS_OK;
    size_t tried = 0, left = 0;
    HF_TRY(read_mountinfo(&text));
    for (const char *at = text; hf_nfs_next_below(&at, base, name, sizeof name);) {
        struct hf_uuid uuid;
        if (!hf_uuid_parse(name, &uuid) || still_wanted(arg, &uuid))
            continue;
        snprintf(path, sizeof path, "%s/%s", base, name);
        const char *argv[] = {"umount", "-c", path, NULL};
        hf_status st = tried++ < MOUNTS_AT_ONCE ? hf_run_command(argv, deadline_ms, NULL)
                                                : hf_error(HF_UNAVAILABLE, "too many at once");
        if (hf_ok(st))
            continue;
        left++;
        if (hf_ok(first))
            first =
                hf_wrap(hf_status_copy(st), "unmount %s, which no storage of this host needs any more", path);
        hf_status_drop(st);
    }
    free(text);
    *ret_left = left;
    return first;
}
