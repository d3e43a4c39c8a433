#include "storage/rbd_import.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "storage/rados_conn.h"

#define DEPTH       16
#define AHEAD       8 /* of them are being read, the others written */
#define CHUNK_BYTES ((size_t)1 << 20)

/* One chunk on its way: first it is read, then written. */
struct slot {
    rbd_completion_t under_way; /* NULL: nothing is */
    char *data;
    uint64_t at;
    size_t n; /* bytes of it; what follows in data is zero */
};

struct copy {
    const struct hf_rbd_import *how;
    int fd;             /* -1: from an image */
    uint8_t *allocated; /* one bit per chunk; NULL: all are */
    uint64_t size;
    EVP_MD_CTX *hash;
    struct slot slots[DEPTH];
};

/* --- what there is to copy --- */

static int mark(uint64_t at, size_t len, int exists, void *arg)
{
    uint8_t *allocated = arg;
    for (uint64_t i = at / CHUNK_BYTES; exists && len > 0 && i <= (at + len - 1) / CHUNK_BYTES; i++)
        allocated[i / 8] |= (uint8_t)(1u << i % 8);
    return 0;
}

static bool is_marked(const uint8_t *allocated, uint64_t chunk)
{
    return (allocated[chunk / 8] >> chunk % 8 & 1) != 0;
}

static hf_status read_map(rbd_image_t image, const char *name, uint64_t *ret_size, uint8_t **ret_allocated)
{
    uint64_t size;
    int rc = rbd_get_size(image, &size);
    if (rc < 0)
        return hf_rados_error(rc, "read the size of %s", name);
    uint8_t *allocated = hf_alloc(size / CHUNK_BYTES / 8 + 1);
    rc = rbd_diff_iterate2(image, NULL, 0, size, true, true, mark, allocated);
    if (rc < 0) {
        free(allocated);
        return hf_rados_error(rc, "see what is allocated of %s", name);
    }
    *ret_size = size;
    *ret_allocated = allocated;
    return HF_STATUS_OK;
}

hf_status hf_rbd_allocated(rbd_image_t image, const char *name, uint64_t *ret_bytes)
{
    uint64_t size, bytes = 0;
    uint8_t *allocated;
    HF_TRY(read_map(image, name, &size, &allocated));
    for (uint64_t i = 0; i * CHUNK_BYTES < size; i++)
        bytes += is_marked(allocated, i) ? CHUNK_BYTES : 0;
    free(allocated);
    *ret_bytes = bytes;
    return HF_STATUS_OK;
}

static hf_status open_source(struct copy *c)
{
    struct stat s;
    const struct hf_rbd_import *how = c->how;
    if (how->file == NULL)
        return read_map(how->from, how->from_name, &c->size, &c->allocated);
    c->fd = open(how->file, O_RDONLY | O_CLOEXEC);
    if (c->fd < 0 || fstat(c->fd, &s) != 0)
        return hf_errno(errno, "open '%s'", how->file);
    c->size = (uint64_t)s.st_size;
    return HF_STATUS_OK;
}

/* --- one chunk --- */

/* Waits for what the slot has under way; 0 or librbd's error. */
static int settle(struct slot *s)
{
    if (s->under_way == NULL)
        return 0;
    rbd_aio_wait_for_complete(s->under_way);
    ssize_t rc = rbd_aio_get_return_value(s->under_way);
    rbd_aio_release(s->under_way);
    s->under_way = NULL;
    return rc < 0 ? (int)rc : 0;
}

static int begin(struct slot *s, rbd_image_t image,
                 int (*aio)(rbd_image_t, uint64_t, size_t, char *, rbd_completion_t))
{
    int rc = rbd_aio_create_completion(NULL, NULL, &s->under_way);
    if (rc < 0)
        return rc;
    rc = aio(image, s->at, s->n, s->data, s->under_way);
    if (rc < 0) {
        rbd_aio_release(s->under_way);
        s->under_way = NULL;
    }
    return rc;
}

static int begin_aio_write(rbd_image_t image, uint64_t at, size_t n, char *data, rbd_completion_t done)
{
    return rbd_aio_write(image, at, n, data, done);
}

static bool is_zero(const char *data, size_t n)
{
    return data[0] == '\0' && memcmp(data, data + 1, n - 1) == 0;
}

static hf_status read_file(struct copy *c, struct slot *s)
{
    size_t got = 0;
    while (got < s->n) {
        ssize_t n = pread(c->fd, s->data + got, s->n - got, (off_t)(s->at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hf_errno(errno, "read '%s'", c->how->file);
        if (n == 0)
            return hf_error(HF_IO, "read '%s': it has become shorter", c->how->file);
        got += (size_t)n;
    }
    return HF_STATUS_OK;
}

static hf_status begin_read(struct copy *c, struct slot *s, uint64_t at)
{
    int rc = settle(s);
    if (rc < 0)
        return hf_rados_error(rc, "write");
    s->at = at;
    s->n = c->size - at < CHUNK_BYTES ? (size_t)(c->size - at) : CHUNK_BYTES;
    memset(s->data + s->n, 0, CHUNK_BYTES - s->n);
    if (c->fd >= 0)
        return read_file(c, s);
    rc = begin(s, c->how->from, rbd_aio_read);
    return rc < 0 ? hf_rados_error(rc, "begin to read %s", c->how->from_name) : HF_STATUS_OK;
}

static void add_to_digest(struct copy *c, const struct slot *s)
{
    unsigned char at[8];
    for (unsigned i = 0; i < sizeof at; i++)
        at[i] = (unsigned char)(s->at >> 8 * (sizeof at - 1 - i));
    HF_ASSERT(EVP_DigestUpdate(c->hash, at, sizeof at) == 1);
    HF_ASSERT(EVP_DigestUpdate(c->hash, s->data, CHUNK_BYTES) == 1);
}

/* What was read is written. */
static hf_status pass_on(struct copy *c, struct slot *s)
{
    int rc = settle(s);
    if (rc < 0)
        return hf_rados_error(rc, "read %s", c->how->from_name);
    if (is_zero(s->data, s->n))
        return HF_STATUS_OK;
    add_to_digest(c, s);
    rc = c->how->image != NULL ? begin(s, c->how->image, begin_aio_write) : 0;
    return rc < 0 ? hf_rados_error(rc, "begin a write") : HF_STATUS_OK;
}

/* --- all of them --- */

static hf_status copy_all(struct copy *c)
{
    const struct hf_rbd_import *how = c->how;
    uint64_t begun = 0, passed = 0;
    for (uint64_t at = 0; at < c->size; at += CHUNK_BYTES) {
        if (how->progress && at > 0)
            how->progress(how->arg, at, c->size);
        if (c->allocated != NULL && !is_marked(c->allocated, at / CHUNK_BYTES))
            continue;
        if (how->stop && how->stop(how->arg))
            return hf_error(HF_CANCELLED, "nobody waits for it any more");
        HF_TRY(begin_read(c, &c->slots[begun++ % DEPTH], at));
        if (begun - passed > AHEAD)
            HF_TRY(pass_on(c, &c->slots[passed++ % DEPTH]));
    }
    while (passed < begun)
        HF_TRY(pass_on(c, &c->slots[passed++ % DEPTH]));
    return HF_STATUS_OK;
}

static hf_status finish(struct copy *c, hf_status st)
{
    for (size_t i = 0; i < DEPTH; i++) {
        int rc = settle(&c->slots[i]);
        if (rc < 0 && hf_ok(st))
            st = hf_rados_error(rc, "write");
    }
    int rc = hf_ok(st) && c->how->image != NULL ? rbd_flush(c->how->image) : 0;
    return rc < 0 ? hf_rados_error(rc, "flush") : st;
}

static void end_digest(struct copy *c, char out[HF_RBD_DIGEST_MAX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    HF_ASSERT(EVP_DigestFinal_ex(c->hash, digest, &len) == 1 && len * 2 + 1 == HF_RBD_DIGEST_MAX);
    for (unsigned i = 0; i < len; i++)
        snprintf(out + (size_t)2 * i, 3, "%02x", digest[i]);
}

hf_status hf_rbd_import(const struct hf_rbd_import *how, char ret_digest[HF_RBD_DIGEST_MAX])
{
    struct copy c = {.how = how, .fd = -1, .hash = EVP_MD_CTX_new()};
    HF_ASSERT(c.hash && EVP_DigestInit_ex(c.hash, EVP_sha256(), NULL) == 1);
    for (size_t i = 0; i < DEPTH; i++)
        c.slots[i].data = hf_alloc(CHUNK_BYTES);
    hf_status st = open_source(&c);
    if (hf_ok(st))
        st = finish(&c, copy_all(&c));
    if (hf_ok(st))
        end_digest(&c, ret_digest);
    for (size_t i = 0; i < DEPTH; i++)
        free(c.slots[i].data);
    if (c.fd >= 0)
        close(c.fd);
    free(c.allocated);
    EVP_MD_CTX_free(c.hash);
    return st;
}
