#include "hostd/keeper_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/helper.h"
#include "base/mem.h"
#include "hostd/fence_mark_file.h"
#include "hostd/rados_order.h"
#include "hostd/storage_file.h"

#define BLOCK_BYTES 4096 /* what O_DIRECT wants; a size to allocate must be a multiple */

struct hf_keeper_disk {
    /* fixed */
    struct hf_keeper_inbox *inbox;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* between loop and thread, under the lock */
    bool job, let_go;
    /* the thread's while it has the job, else the loop's */
    struct hf_uuid storage, host;
    char dir[HF_KEEPER_DIR_MAX];
    char path[HF_KEEPER_DIR_MAX + HF_LEASE_FILE_NAME_MAX];
    struct hf_rados_order *order; /* what is to be written where */
    /* the thread's */
    int fd;
    char open_path[HF_KEEPER_DIR_MAX + HF_LEASE_FILE_NAME_MAX];
    dev_t dev; /* file system of open_path when it was last written */
    bool dev_known;
    dev_t new_dev;    /* that of the file that is open */
    uint8_t *written; /* the last good record and where it stands */
    off_t written_at;
    uint8_t *found;
    uint64_t forgot_epoch;  /* the marks before this one are removed */
    struct hf_helper rados; /* where dir is no folder but tells the way to a Ceph cluster */
};

static void close_file(struct hf_keeper_disk *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}

/* On another file system than before: only if it holds the record that was written last, so is the same
 * storage, mounted anew. */
static hf_status check_system(struct hf_keeper_disk *d)
{
    ssize_t n = pread(d->fd, d->found, HF_LEASE_SLOT_BYTES, d->written_at);
    if (n == HF_LEASE_SLOT_BYTES && memcmp(d->found, d->written, HF_LEASE_SLOT_BYTES) == 0)
        return HF_STATUS_OK;
    return hf_storage_file_moved(d->dir, d->order->name);
}

/* The file by its path must be the file that is open, on the storage where it was first seen. */
static hf_status open_file(struct hf_keeper_disk *d)
{
    struct stat by_path, by_fd;
    if (strcmp(d->open_path, d->path) != 0) {
        close_file(d);
        d->dev_known = false;
        d->forgot_epoch = 0;
        memcpy(d->open_path, d->path, sizeof d->path);
    }
    if (d->fd >= 0 && (stat(d->path, &by_path) != 0 || fstat(d->fd, &by_fd) != 0 ||
                       by_path.st_ino != by_fd.st_ino || by_path.st_dev != by_fd.st_dev))
        close_file(d);
    if (d->fd >= 0)
        return HF_STATUS_OK;
    /* A record beside the storage would be proof of life to nobody. */
    HF_TRY(hf_storage_file_open(d->dir, d->order->name, d->dev_known ? &d->dev : NULL, &d->fd, &by_fd));
    d->new_dev = by_fd.st_dev;
    hf_status st = d->dev_known && d->dev != d->new_dev ? check_system(d) : HF_STATUS_OK;
    if (!hf_ok(st))
        close_file(d);
    return st;
}

static hf_status write_record(struct hf_keeper_disk *d)
{
    HF_TRY(open_file(d));
    ssize_t n = pwrite(d->fd, d->order->slot, HF_LEASE_SLOT_BYTES, d->order->offset);
    if (n == HF_LEASE_SLOT_BYTES) {
        memcpy(d->written, d->order->slot, HF_LEASE_SLOT_BYTES);
        d->written_at = d->order->offset;
        d->dev = d->new_dev;
        d->dev_known = true;
        return HF_STATUS_OK;
    }
    hf_status st =
        n < 0 ? hf_errno(errno, "write %s", d->path) : hf_error(HF_IO, "write %s: it was cut short", d->path);
    close_file(d); /* a stale handle must not outlive the first error */
    return st;
}

/* Rule 8: first the record, then the mark. On RADOS that is one write, which the OSD refuses to a marked
 * epoch. */
static hf_status renew(struct hf_keeper_disk *d, bool *ret_marked)
{
    if (hf_helper_file(d->dir))
        return hf_helper_ask(&d->rados, HF_RADOS_LEASE, d->dir, d->order, sizeof *d->order, ret_marked);
    HF_TRY(write_record(d));
    HF_TRY(hf_fence_mark_read(d->dir, &d->host, d->order->epoch, ret_marked));
    if (d->forgot_epoch != d->order->epoch)
        hf_fence_mark_forget_before(d->dir, &d->host, d->order->epoch);
    d->forgot_epoch = d->order->epoch;
    return HF_STATUS_OK;
}

static void *disk_main(void *arg)
{
    struct hf_keeper_disk *d = arg;
    for (;;) {
        pthread_mutex_lock(&d->lock);
        while (!d->job && !d->let_go)
            pthread_cond_wait(&d->wake, &d->lock);
        bool job = d->job;
        d->let_go = false;
        pthread_mutex_unlock(&d->lock);
        if (!job) {
            close_file(d);
            hf_helper_end(&d->rados);
            continue;
        }

        bool marked = false;
        hf_status st = renew(d, &marked);
        struct hf_keeper_letter *letter = hf_keeper_letter(HF_LEASE_RENEWED, st, 0);
        letter->event.storage = d->storage;
        letter->event.marked = marked;

        pthread_mutex_lock(&d->lock);
        d->job = false;
        pthread_mutex_unlock(&d->lock);
        hf_keeper_inbox_post(d->inbox, letter);
    }
    return NULL;
}

struct hf_keeper_disk *hf_keeper_disk_create(struct hf_keeper_inbox *inbox)
{
    struct hf_keeper_disk *d = HF_NEW(struct hf_keeper_disk);
    d->inbox = inbox;
    d->fd = -1;
    d->order = aligned_alloc(BLOCK_BYTES, (sizeof *d->order + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES);
    d->written = aligned_alloc(BLOCK_BYTES, HF_LEASE_SLOT_BYTES);
    d->found = aligned_alloc(BLOCK_BYTES, HF_LEASE_SLOT_BYTES);
    HF_ASSERT(d->order && d->written && d->found);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    hf_keeper_thread_start(disk_main, d);
    return d;
}

void hf_keeper_disk_write(struct hf_keeper_disk *d, const struct hf_uuid *storage, const char *dir,
                          const struct hf_lease_record *record)
{
    pthread_mutex_lock(&d->lock);
    HF_ASSERT(!d->job);
    d->storage = *storage;
    d->host = record->host;
    d->order->epoch = record->epoch;
    d->order->closed = record->closed;
    snprintf(d->dir, sizeof d->dir, "%s", dir);
    hf_lease_file_name(&record->host, d->order->name);
    snprintf(d->path, sizeof d->path, "%s/%s", dir, d->order->name);
    hf_lease_record_encode(record, d->order->slot);
    d->order->offset = (int64_t)(record->sequence % 2) * HF_LEASE_SLOT_BYTES;
    d->job = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

void hf_keeper_disk_let_go(struct hf_keeper_disk *d)
{
    pthread_mutex_lock(&d->lock);
    d->let_go = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
}
