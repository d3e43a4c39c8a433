#include "control/upload_spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "control/upload_disk.h"

#define THREADS_MAX     3
#define QUEUE_MAX       64 /* so many parts wait in memory at most */
#define PUT_LIMIT_MS    30000
#define CHECK_LIMIT_MS  (60 * 60 * 1000) /* reads all of it */
#define REMOVE_LIMIT_MS (60 * 1000)
#define READ_BYTES      (HF_UPLOAD_PART_MAX / 2)

/* One file. Of the loop; a job has copies of what it needs. */
struct spooled {
    struct spooled *next;
    struct hf_uuid image;
    uint64_t bytes; /* that were written */
    bool checked;   /* all there, durable, and the checksum is right */
    bool busy;      /* a job that changes it is under way */
};

struct spool {
    struct hf_upload_keeper keeper;
    atomic_uint refs;    /* the owner's and one per job */
    atomic_bool closing; /* a long job gives up */
    char *dir;
    uint64_t room_kept;
    struct hf_worker *worker;
    struct spooled *files;
    size_t n_files;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct spool_job {
    struct hf_job job;
    struct spool *spool;
    struct hf_uuid image;
    char path[PATH_MAX];
    uint64_t total_bytes, offset;
    char sha256[65];
    uint8_t *data; /* to write, or read */
    size_t len;
    hf_status (*work)(struct spool_job *j);
    hf_status st; /* of the work */
    hf_upload_put_cb put;
    hf_upload_read_cb read;
    void *arg;
};

static struct spool *spool_of(struct hf_upload_keeper *k)
{
    return hf_container_of(k, struct spool, keeper);
}

static void spool_unref(struct spool *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    free(s->dir);
    free(s);
}

static struct spool_job *job_of(struct hf_job *job)
{
    return hf_container_of(job, struct spool_job, job);
}

static struct spooled *find_file(struct spool *s, const struct hf_uuid *image)
{
    struct spooled *f = s->files;
    while (f != NULL && !hf_uuid_equal(&f->image, image))
        f = f->next;
    return f;
}

static struct spooled *add_file(struct spool *s, const struct hf_uuid *image)
{
    struct spooled *f = HF_NEW(struct spooled);
    f->image = *image;
    f->next = s->files;
    s->files = f;
    s->n_files++;
    return f;
}

static void forget_file(struct spool *s, const struct spooled *f)
{
    struct spooled **at = &s->files;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    s->n_files--;
    free((void *)f);
}

/* --- on threads --- */

static hf_status work_write(struct spool_job *j)
{
    struct hf_upload_part part = {.offset = j->offset,
                                  .data = j->data,
                                  .len = j->len,
                                  .total_bytes = j->total_bytes,
                                  .room_kept = j->spool->room_kept};
    return hf_upload_disk_write(j->path, &part);
}

static bool nobody_waits(void *arg)
{
    struct spool_job *j = arg;
    return hf_job_expired(&j->job) || atomic_load(&j->spool->closing);
}

static hf_status work_check(struct spool_job *j)
{
    return hf_upload_disk_check(j->path, j->sha256, nobody_waits, j);
}

static hf_status work_read(struct spool_job *j)
{
    j->data = hf_alloc(READ_BYTES);
    return hf_upload_disk_read(j->path, j->offset, j->data, READ_BYTES, &j->len);
}

static hf_status work_remove(struct spool_job *j)
{
    return hf_upload_disk_remove(j->path);
}

static void job_work(struct hf_job *job)
{
    struct spool_job *j = job_of(job);
    j->st = j->work(j);
}

static void job_end(struct hf_job *job)
{
    struct spool_job *j = job_of(job);
    hf_status_drop(j->st);
    free(j->data);
    spool_unref(j->spool);
    free(j);
}

/* --- jobs --- */

static struct spool_job *job_new(struct spool *s, const struct hf_uuid *image,
                                 hf_status (*work)(struct spool_job *j),
                                 void (*done)(struct hf_job *job, hf_status st))
{
    struct spool_job *j = HF_NEW(struct spool_job);
    char name[HF_UUID_STR];
    j->job = (struct hf_job){.work = job_work, .done = done, .end = job_end};
    j->spool = s;
    atomic_fetch_add(&s->refs, 1);
    j->image = *image;
    j->work = work;
    snprintf(j->path, sizeof j->path, "%s/%s", s->dir, hf_uuid_format(image, name));
    return j;
}

/* A job that did not end in time may still write: its file is left alone until the next daemon. */
static void settle(struct spooled *f, hf_status worker)
{
    f->busy = hf_status_code(worker) == HF_TIMEOUT;
}

static hf_status outcome(const struct spool_job *j, hf_status worker)
{
    return hf_ok(worker) ? j->st : worker;
}

static void answer_put(const struct spool_job *j, hf_status st, const struct spooled *f)
{
    struct hf_upload_state state = {f->bytes, f->checked};
    hf_status told = hf_wrap(hf_status_copy(st), "keep the upload on this control node");
    j->put(j->arg, told, hf_ok(told) ? &state : NULL);
    hf_status_drop(told);
}

static void put_done(struct hf_job *job, hf_status worker)
{
    struct spool_job *j = job_of(job);
    struct spooled *f = find_file(j->spool, &j->image);
    hf_status st = outcome(j, worker);
    settle(f, worker);
    if (hf_ok(st))
        f->bytes = j->offset + j->len;
    answer_put(j, st, f);
    if (!hf_ok(st) && !f->busy && f->bytes == 0)
        forget_file(j->spool, f);
}

static void check_done(struct hf_job *job, hf_status worker)
{
    struct spool_job *j = job_of(job);
    struct spooled *f = find_file(j->spool, &j->image);
    hf_status st = outcome(j, worker);
    bool thrown_away = hf_status_code(st) == HF_INVALID;
    settle(f, worker);
    f->checked = hf_ok(st);
    answer_put(j, st, f);
    if (thrown_away)
        forget_file(j->spool, f);
}

static void remove_done(struct hf_job *job, hf_status worker)
{
    struct spool_job *j = job_of(job);
    struct spooled *f = find_file(j->spool, &j->image);
    hf_status st = outcome(j, worker);
    if (!hf_ok(st))
        hf_warn("an upload that nobody needs any more: %s", hf_status_message(st));
    settle(f, worker);
    if (!f->busy)
        forget_file(j->spool, f);
}

static void read_done(struct hf_job *job, hf_status worker)
{
    struct spool_job *j = job_of(job);
    hf_status st = outcome(j, worker);
    bool ok = hf_ok(st);
    j->read(j->arg, st, ok ? j->data : NULL, ok ? j->len : 0);
}

/* --- verbs --- */

static void refuse_put(hf_upload_put_cb cb, void *arg, hf_status take_st)
{
    cb(arg, take_st, NULL);
    hf_status_drop(take_st);
}

static hf_status check_put(const struct spool *s, const struct spooled *f, const struct hf_upload_file *file,
                           uint64_t offset, size_t len)
{
    if (len > HF_UPLOAD_PART_MAX)
        return hf_error(HF_INVALID, "a part of %zu bytes is longer than %u", len, HF_UPLOAD_PART_MAX);
    if (offset > file->total_bytes || len > file->total_bytes - offset)
        return hf_error(HF_INVALID, "the file is longer than the %" PRIu64 " bytes that were declared",
                        file->total_bytes);
    if (f == NULL && s->n_files >= HF_UPLOADS_MAX)
        return hf_error(HF_EXHAUSTED, "this control node keeps %d uploads already: wait until some are done",
                        HF_UPLOADS_MAX);
    return HF_STATUS_OK;
}

static void spool_put(struct hf_upload_keeper *k, const struct hf_upload_file *file, uint64_t offset,
                      uint8_t *take_data, size_t len, hf_upload_put_cb cb, void *arg)
{
    struct spool *s = spool_of(k);
    struct spooled *f = find_file(s, &file->image);
    hf_status st = check_put(s, f, file, offset, len);
    uint64_t bytes = f != NULL ? f->bytes : 0;
    bool check = f != NULL && !f->busy && !f->checked && bytes == file->total_bytes;
    bool write = (f == NULL || !f->busy) && len > 0 && offset == bytes;
    if (!hf_ok(st) || (!check && !write)) {
        struct hf_upload_state state = {bytes, f != NULL && f->checked};
        free(take_data);
        if (hf_ok(st))
            cb(arg, st, &state);
        else
            refuse_put(cb, arg, st);
        return;
    }
    if (f == NULL)
        f = add_file(s, &file->image);
    f->busy = true;
    struct spool_job *j =
        job_new(s, &file->image, check ? work_check : work_write, check ? check_done : put_done);
    snprintf(j->sha256, sizeof j->sha256, "%s", file->sha256);
    j->total_bytes = file->total_bytes;
    j->offset = offset;
    j->data = take_data;
    j->len = len;
    j->put = cb;
    j->arg = arg;
    hf_worker_submit(s->worker, &j->job, check ? CHECK_LIMIT_MS : PUT_LIMIT_MS);
}

static void spool_read(struct hf_upload_keeper *k, const struct hf_upload_file *file, uint64_t offset,
                       hf_upload_read_cb cb, void *arg)
{
    struct spool *s = spool_of(k);
    const struct spooled *f = find_file(s, &file->image);
    hf_status st = HF_STATUS_OK;
    if (f == NULL)
        st = hf_error(HF_NOT_FOUND, "this control node does not have the uploaded file: upload it again");
    else if (f->bytes < file->total_bytes)
        st = hf_error(HF_UNAVAILABLE, "of the uploaded file %" PRIu64 " of %" PRIu64 " bytes have arrived",
                      f->bytes, file->total_bytes);
    if (!hf_ok(st)) {
        cb(arg, st, NULL, 0);
        hf_status_drop(st);
        return;
    }
    struct spool_job *j = job_new(s, &file->image, work_read, read_done);
    j->offset = offset;
    j->read = cb;
    j->arg = arg;
    hf_worker_submit(s->worker, &j->job, PUT_LIMIT_MS);
}

static void spool_sweep(struct hf_upload_keeper *k, bool (*wanted)(void *arg, const struct hf_uuid *image),
                        void *arg)
{
    struct spool *s = spool_of(k);
    for (struct spooled *f = s->files; f != NULL; f = f->next) {
        if (f->busy || wanted(arg, &f->image))
            continue;
        f->busy = true;
        hf_worker_submit(s->worker, &job_new(s, &f->image, work_remove, remove_done)->job, REMOVE_LIMIT_MS);
    }
}

static const struct hf_upload_keeper_ops spool_ops = {spool_put, spool_read, spool_sweep};

/* --- life --- */

/* What an earlier daemon has left: how far each file is shows its length. */
static void look(struct spool *s)
{
    DIR *d = opendir(s->dir);
    const struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        struct stat st;
        struct hf_uuid image;
        if (hf_uuid_parse(e->d_name, &image) && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            add_file(s, &image)->bytes = (uint64_t)st.st_size;
    }
    if (d != NULL)
        closedir(d);
}

struct hf_upload_keeper *hf_upload_spool_create(struct hf_env *env, const char *dir, uint64_t room_kept)
{
    struct spool *s = HF_NEW(struct spool);
    s->keeper.ops = &spool_ops;
    atomic_init(&s->refs, 1);
    atomic_init(&s->closing, false);
    s->dir = hf_strdup(dir);
    s->room_kept = room_kept;
    s->worker = hf_worker_create(env, "uploads", THREADS_MAX, QUEUE_MAX);
    look(s);
    return &s->keeper;
}

static void worker_closed(void *arg)
{
    struct spool *s = arg;
    void (*closed)(void *) = s->closed;
    void *closed_arg = s->closed_arg;
    while (s->files != NULL)
        forget_file(s, s->files);
    spool_unref(s);
    if (closed != NULL)
        closed(closed_arg);
}

void hf_upload_spool_close(struct hf_upload_keeper *k, void (*closed)(void *arg), void *arg)
{
    struct spool *s = spool_of(k);
    s->closed = closed;
    s->closed_arg = arg;
    atomic_store(&s->closing, true);
    hf_worker_close(s->worker, worker_closed, s);
}
