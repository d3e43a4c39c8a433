#include "storage/rbd_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/rados_conn.h"

#define DEPTH       8
#define CHUNK_BYTES ((size_t)1 << 20)

/* One write in flight and its buffer. */
struct slot {
    rbd_completion_t done; /* NULL: free */
    char *data;
};

struct copy {
    const struct hf_rbd_import *how;
    int fd;
    uint64_t size;
    struct slot slots[DEPTH];
};

/* Waits for the slot's write, if one is in flight. */
static int settle(struct slot *s)
{
    if (s->done == NULL)
        return 0;
    rbd_aio_wait_for_complete(s->done);
    ssize_t rc = rbd_aio_get_return_value(s->done);
    rbd_aio_release(s->done);
    s->done = NULL;
    return rc < 0 ? (int)rc : 0;
}

static bool is_zero(const char *data, size_t n)
{
    return data[0] == '\0' && memcmp(data, data + 1, n - 1) == 0;
}

static hf_status read_chunk(struct copy *c, struct slot *s, uint64_t at, size_t *ret_n)
{
    size_t want = c->size - at < CHUNK_BYTES ? (size_t)(c->size - at) : CHUNK_BYTES, got = 0;
    while (got < want) {
        ssize_t n = pread(c->fd, s->data + got, want - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hf_errno(errno, "read '%s'", c->how->file);
        if (n == 0)
            return hf_error(HF_IO, "read '%s': it has become shorter", c->how->file);
        got += (size_t)n;
    }
    *ret_n = want;
    return HF_STATUS_OK;
}

static hf_status send_chunk(struct copy *c, struct slot *s, uint64_t at)
{
    size_t n = 0;
    int rc = settle(s);
    if (rc < 0)
        return hf_rados_error(rc, "write");
    HF_TRY(read_chunk(c, s, at, &n));
    if (is_zero(s->data, n))
        return HF_STATUS_OK;
    rc = rbd_aio_create_completion(NULL, NULL, &s->done);
    if (rc < 0)
        return hf_rados_error(rc, "begin a write");
    rc = rbd_aio_write(c->how->image, at, n, s->data, s->done);
    if (rc < 0) {
        rbd_aio_release(s->done);
        s->done = NULL;
        return hf_rados_error(rc, "begin a write");
    }
    return HF_STATUS_OK;
}

static hf_status copy_all(struct copy *c)
{
    const struct hf_rbd_import *how = c->how;
    for (uint64_t at = 0, i = 0; at < c->size; at += CHUNK_BYTES, i++) {
        if (how->stop && how->stop(how->arg))
            return hf_error(HF_CANCELLED, "nobody waits for it any more");
        HF_TRY(send_chunk(c, &c->slots[i % DEPTH], at));
        if (how->progress)
            how->progress(how->arg, at, c->size);
    }
    return HF_STATUS_OK;
}

static hf_status finish(struct copy *c, hf_status st)
{
    for (size_t i = 0; i < DEPTH; i++) {
        int rc = settle(&c->slots[i]);
        if (rc < 0 && hf_ok(st))
            st = hf_rados_error(rc, "write");
    }
    int rc = hf_ok(st) ? rbd_flush(c->how->image) : 0;
    return rc < 0 ? hf_rados_error(rc, "flush") : st;
}

hf_status hf_rbd_import(const struct hf_rbd_import *how)
{
    struct stat s;
    struct copy c = {.how = how, .fd = open(how->file, O_RDONLY | O_CLOEXEC)};
    if (c.fd < 0 || fstat(c.fd, &s) != 0) {
        hf_status st = hf_errno(errno, "open '%s'", how->file);
        if (c.fd >= 0)
            close(c.fd);
        return st;
    }
    c.size = (uint64_t)s.st_size;
    for (size_t i = 0; i < DEPTH; i++)
        c.slots[i].data = hf_alloc(CHUNK_BYTES);
    hf_status st = finish(&c, copy_all(&c));
    for (size_t i = 0; i < DEPTH; i++)
        free(c.slots[i].data);
    close(c.fd);
    return st;
}
