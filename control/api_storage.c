/* Primary storages and images. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_image_upload.h"
#include "control/api_image_server.h"
#include "control/api_operation.h"
#include "control/ceph_storage.h"
#include "control/storage_kind.h"
#include "holdfast/v1/storage.pb-c.h"
#include "net/ipam.h"
#include "storage/nfs_spec.h"
#include "storage/primary.h"

/* --- primary storages --- */

typedef Holdfast__V1__PrimaryStorage Storage;

#define NFS_OPTIONS "hard,vers=4.2" /* unless others are given */

static hf_status check_network(const Storage *m)
{
    uint32_t network;
    unsigned prefix;
    if (m->spec->storage_network_cidr[0] == '\0')
        return HF_STATUS_OK;
    if (!hf_storage_is_shared(m))
        return hf_error(HF_INVALID, "spec.storage_network_cidr: a LOCAL_STORAGE uses no network");
    return hf_wrap(hf_cidr_parse(m->spec->storage_network_cidr, &network, &prefix),
                   "spec.storage_network_cidr");
}

static hf_status create_nfs(Holdfast__V1__PrimaryStorageSpec *spec)
{
    if (spec->path[0] != '\0')
        return hf_error(HF_INVALID,
                        "spec.path: hosts mount an NFS storage below their own mount base: leave it empty");
    HF_TRY(hf_wrap(hf_nfs_url_check(spec->url, NULL), "spec.url"));
    HF_TRY(hf_wrap(hf_nfs_options_check(spec->mount_options), "spec.mount_options"));
    if (spec->mount_options[0] == '\0')
        hf_pb_set(&spec->mount_options, NFS_OPTIONS);
    return HF_STATUS_OK;
}

static hf_status create_storage(struct hf_draft *d, ProtobufCMessage *m)
{
    (void)d;
    Holdfast__V1__PrimaryStorageSpec *spec = ((Storage *)m)->spec;
    if (spec->ceph != NULL && !hf_storage_is_ceph((const Storage *)m))
        return hf_error(HF_INVALID, "spec.ceph is for storages of type CEPH");
    switch (spec->type) {
    case HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__CEPH:
        HF_TRY(hf_ceph_storage_create((Storage *)m));
        break;
    case HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__NFS:
        HF_TRY(create_nfs(spec));
        break;
    case HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__LOCAL_STORAGE:
    case HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__SHARED_MOUNT_POINT:
        if (spec->url[0] != '\0' || spec->mount_options[0] != '\0')
            return hf_error(HF_INVALID, "spec.url and spec.mount_options are for storages of type NFS");
        HF_TRY(hf_wrap(hf_primary_path_check(spec->path), "spec.path"));
        break;
    default:
        return hf_error(HF_INVALID, "spec.type is missing: LOCAL_STORAGE, SHARED_MOUNT_POINT, NFS or CEPH");
    }
    return check_network((const Storage *)m);
}

static hf_status update_storage(struct hf_draft *d, const ProtobufCMessage *before, ProtobufCMessage *m)
{
    (void)d;
    (void)before;
    const Storage *ps = (const Storage *)m;
    if (hf_storage_is_ceph(ps))
        HF_TRY(hf_ceph_cluster_check(ps->spec->ceph));
    else if (ps->spec->ceph != NULL)
        return hf_error(HF_INVALID, "spec.ceph is for storages of type CEPH");
    return check_network(ps);
}

static const char *const storage_paths[] = {"spec.disabled", "spec.reserved_bytes",
                                            "spec.storage_network_cidr", "spec.ceph.monitors",
                                            "spec.ceph.user", "spec.ceph.key", NULL};

const struct hf_kind_rules hf_primary_storage_rules = {.kind = HOLDFAST__V1__KIND__PRIMARY_STORAGE,
                                                       .mutable_paths = storage_paths,
                                                       .create = create_storage,
                                                       .update = update_storage};

/* --- images --- */

typedef Holdfast__V1__Image Image;

#define URL_MAX 2048

static bool starts_with(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(s, prefix, n) == 0 && s[n] != '\0';
}

static hf_status check_url(const char *url)
{
    if (url[0] == '\0')
        return hf_error(HF_INVALID, "spec.url is missing (an image whose file is uploaded has spec.upload_bytes)");
    if (strlen(url) > URL_MAX)
        return hf_error(HF_INVALID, "spec.url is longer than %d bytes", URL_MAX);
    for (const char *p = url; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return hf_error(HF_INVALID, "spec.url contains a blank or control character");
    if (starts_with(url, "http://") || starts_with(url, "https://") || starts_with(url, "file:///"))
        return HF_STATUS_OK;
    return hf_error(HF_INVALID, "spec.url: '%s' does not begin with http://, https:// or file:///", url);
}

/* In lower case, as sha256sum prints it. */
static hf_status check_sha256(char *hex)
{
    size_t n = 0;
    for (; isxdigit((unsigned char)hex[n]); n++)
        hex[n] = (char)tolower((unsigned char)hex[n]);
    if (n != 64 || hex[n] != '\0')
        return hf_error(HF_INVALID, "spec.sha256: '%s' is not 64 hex digits (sha256sum FILE prints them)",
                        hex);
    return HF_STATUS_OK;
}

static hf_status create_image(struct hf_draft *d, ProtobufCMessage *m)
{
    Image *i = (Image *)m;
    bool uploaded = i->spec->upload_bytes > 0;
    HF_TRY(uploaded ? hf_image_upload_check(i) : check_url(i->spec->url));
    if (i->spec->sha256[0] == '\0')
        return hf_error(HF_INVALID, "spec.sha256 is missing");
    HF_TRY(check_sha256(i->spec->sha256));
    if (i->spec->format != HOLDFAST__V1__IMAGE_SPEC__FORMAT__QCOW2 &&
        i->spec->format != HOLDFAST__V1__IMAGE_SPEC__FORMAT__RAW)
        return hf_error(HF_INVALID, "spec.format is missing: QCOW2 or RAW");
    i->status->state = uploaded ? HOLDFAST__V1__IMAGE_STATUS__STATE__UPLOADING
                                : HOLDFAST__V1__IMAGE_STATUS__STATE__FETCHING;
    return hf_image_server_check(d->store, i);
}

static hf_status remove_image(struct hf_draft *d, ProtobufCMessage *m)
{
    return hf_image_server_remove(d, (const Image *)m);
}

static const char *const image_paths[] = {"spec.disabled", NULL};

const struct hf_kind_rules hf_image_rules = {.kind = HOLDFAST__V1__KIND__IMAGE,
                                             .mutable_paths = image_paths,
                                             .create = create_image,
                                             .remove = remove_image};

static hf_status build_create_image(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    Image *i = (Image *)hf_request_object(c->request);
    HF_TRY(hf_draft_create(&d, &hf_image_rules, hf_call_uuid(c, 0), &i->base));
    struct hf_operation_target target = {HOLDFAST__V1__KIND__IMAGE, i->meta->uuid, i->meta->name, 0};
    hf_draft_operation(&d, 1, "CreateImage", &target,
                       i->spec->upload_bytes > 0 ? "waiting for its file" : "waiting for a host to fetch it", false);
    return HF_STATUS_OK;
}

void hf_handle_create_image(struct hf_api_call *c)
{
    if (hf_request_new_object(c) != NULL)
        hf_call_write(c, HF_ROOM_ADD, build_create_image);
}
