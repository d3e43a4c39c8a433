/* Templates of a Ceph primary storage: fetched and verified in a folder of this host, then copied into their
 * pool; or cloned, or copied, from an image server's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/file_io.h"
#include "storage/image_cache.h"
#include "storage/primary_rbd_int.h"
#include "storage/qemu_img.h"
#include "storage/rbd_room.h"
#include "storage/rbd_source.h"

#define SERVER_CONNECT_MS 5000
#define SERVER_OP_MS      20000 /* of each call to the image server's cluster */

static bool image_stop(void *arg)
{
    struct hf_rbd_call *c = arg;
    return hf_job_expired(&c->job) || atomic_load(&c->unwanted);
}

/* The pool keeps raw content: what is compressed or sparse in a qcow2 is unfolded beside it. */
static hf_status import_file(struct hf_rbd_call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n,
                             const char *path)
{
    char raw[HF_STORAGE_PATH_MAX];
    const char *file = path;
    if (strcmp(c->src.format, "raw") != 0) {
        HF_TRY(hf_temp_name(path, raw));
        HF_TRY(hf_qemu_img_to_raw(path, c->src.format, raw, hf_job_left_ms(&c->job)));
        file = raw;
    }
    l->stop = image_stop;
    l->progress = hf_rbd_call_progress;
    l->arg = c;
    hf_status st = hf_rbd_room_for_file(l->cluster, c->p->image_pool, file, c->p->reserved_bytes);
    if (hf_ok(st))
        st = hf_rbd_have_template(&l->rbd, n, c->p->maker, file, c->info.virtual_bytes, c->info.file_bytes);
    if (file == raw)
        unlink(raw);
    return st;
}

static hf_status fetch_and_import(struct hf_rbd_call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    char path[HF_STORAGE_PATH_MAX];
    const char *format;
    const char *scratch = c->p->scratch;
    struct hf_image_cache cache = {.root = scratch};
    struct hf_fetch how = {.deadline_ms = hf_job_left_ms(&c->job),
                           .stop = image_stop,
                           .progress = hf_rbd_call_progress,
                           .arg = c,
                           .uploads = c->p->uploads};
    if (mkdir(scratch, 0700) != 0 && errno != EEXIST)
        return hf_errno(errno, "make the folder '%s'", scratch);
    HF_TRY(hf_image_cache_have(&cache, &c->src, &how, &c->info));
    HF_TRY(hf_image_cache_find(scratch, &c->src.uuid, path, &format));
    hf_status st = import_file(c, l, n, path);
    hf_status_drop(hf_remove_file(scratch, path)); /* it is fetched again when the import failed */
    return st;
}

/* What the image server of the same cluster has is cloned: no data is copied. */
static hf_status clone_from_server(struct hf_rbd_call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    struct hf_rbd_name from = {c->server_pool, n->image};
    struct hf_rbd_stat stat;
    HF_TRY(hf_rbd_have_template_clone(&l->rbd, n, c->p->maker, &from));
    HF_TRY(hf_rbd_find_template(&l->rbd, n, &stat));
    c->info = (struct hf_image_info){.file_bytes = stat.file_bytes, .virtual_bytes = stat.size_bytes};
    return HF_STATUS_OK;
}

static hf_status copy_open(struct hf_rbd_call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n,
                           struct hf_rbd_source *from)
{
    const struct hf_rbd_source_info *info = hf_rbd_source_info(from);
    l->stop = image_stop;
    l->progress = hf_rbd_call_progress;
    l->arg = c;
    HF_TRY(hf_rbd_room_for_content(l->cluster, n->pool, info->allocated_bytes, c->p->reserved_bytes));
    HF_TRY(hf_rbd_have_template_copy(&l->rbd, n, c->p->maker, from, info->size_bytes, info->file_bytes));
    c->info = (struct hf_image_info){.file_bytes = info->file_bytes, .virtual_bytes = info->size_bytes};
    return HF_STATUS_OK;
}

/* What the image server of another cluster has is read there and written here. */
static hf_status copy_from_server(struct hf_rbd_call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    static const struct hf_rados_limits limits = {.connect_ms = SERVER_CONNECT_MS, .op_ms = SERVER_OP_MS};
    struct hf_rbd_name far = {c->server_pool, n->image};
    struct hf_rbd_source *from;
    HF_TRY(hf_rbd_source_open(&c->server, &limits, &far, &from));
    hf_status st = copy_open(c, l, n, from);
    hf_rbd_source_close(from);
    return st;
}

/* Whatever takes long is done for one image at a time. */
static hf_status bring(struct hf_rbd_call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    bool far = c->server.mon_host != NULL;
    if (!far && c->server_pool[0] != '\0')
        return hf_wrap(clone_from_server(c, l, n), "image %s from the image server's pool '%s'", n->image,
                       c->server_pool);
    if (!far && c->url[0] == '\0')
        return hf_error(HF_NOT_FOUND, "image %s is not in the pool '%s' any more", n->image, n->pool);
    if (atomic_exchange(&c->p->fetching, true))
        return hf_error(HF_UNAVAILABLE,
                        "another image is being brought into the cluster by this host: it is next");
    hf_status st = far ? copy_from_server(c, l, n) : fetch_and_import(c, l, n);
    atomic_store(&c->p->fetching, false);
    return far ? hf_wrap(st, "image %s from the image server in the cluster at %s", n->image,
                         c->server.mon_host)
               : hf_wrap(st, "image %s", n->image);
}

static hf_status run_image(struct hf_rbd_call *c, struct hf_rbd_lib *l)
{
    char name[HF_UUID_STR];
    struct hf_rbd_name n = {c->p->image_pool, hf_uuid_format(&c->src.uuid, name)};
    struct hf_rbd_stat stat;
    hf_status st = hf_rbd_find_template(&l->rbd, &n, &stat);
    if (hf_ok(st)) {
        c->info = (struct hf_image_info){.file_bytes = stat.file_bytes, .virtual_bytes = stat.size_bytes};
        return HF_STATUS_OK;
    }
    if (hf_status_code(st) != HF_NOT_FOUND)
        return st;
    hf_status_drop(st);
    return bring(c, l, &n);
}

static void image_done(struct hf_job *job, hf_status st)
{
    struct hf_rbd_call *c = hf_rbd_call_of(job);
    st = hf_rbd_call_outcome(c, st);
    c->image_cb(c->arg, st, hf_ok(st) ? &c->info : NULL);
}

static void image_note(struct hf_job *job)
{
    struct hf_rbd_call *c = hf_rbd_call_of(job);
    hf_rbd_call_note(job);
    if (c->wanted && !c->wanted(c->arg))
        atomic_store(&c->unwanted, true);
}

static void keep_server(struct hf_rbd_call *c, const struct hf_image_server *s)
{
    char mon_host[HF_CEPH_MON_HOST_MAX];
    hf_ceph_mon_host(s->monitors, s->n_monitors, mon_host);
    c->server = (struct hf_rados_access){.mon_host = hf_strdup(mon_host),
                                         .user = hf_strdup(s->user),
                                         .key = hf_strdup(s->key),
                                         .fsid = hf_strdup(s->fsid)};
}

void hf_rbd_call_forget_server(struct hf_rbd_call *c)
{
    if (c->server.mon_host == NULL)
        return;
    explicit_bzero((char *)c->server.key, strlen(c->server.key));
    free((char *)c->server.mon_host);
    free((char *)c->server.user);
    free((char *)c->server.key);
    free((char *)c->server.fsid);
}

void hf_primary_rbd_cache_image(struct hf_primary *p, const struct hf_image_source *src, unsigned deadline_ms,
                                void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes),
                                hf_primary_image_cb cb, void *arg)
{
    struct hf_rbd_call *c = hf_rbd_call_new(p, run_image, image_done, arg);
    c->job.note = image_note;
    c->wanted = src->wanted;
    c->image_cb = cb;
    c->progress = progress;
    c->url = hf_strdup(src->url);
    c->sha256 = hf_strdup(src->sha256);
    c->format = hf_strdup(src->format);
    c->server_pool = hf_strdup(src->server ? src->server->pool : src->server_pool ? src->server_pool : "");
    if (src->server)
        keep_server(c, src->server);
    c->src =
        (struct hf_image_source){.uuid = src->uuid, .url = c->url, .sha256 = c->sha256, .format = c->format};
    hf_worker_submit(c->p->fetches, &c->job, deadline_ms);
}
