#include "storage/ceph_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rbd/librbd.h>

bool bed_is_there(void)
{
    bool is = getenv("HF_CEPH_MON") && getenv("HF_CEPH_KEY");
    if (!is)
        printf("started by ceph_real_test.py\n");
    return is;
}

static const struct hf_rados_limits limits = {.connect_ms = 10000, .op_ms = 10000};

struct hf_rados_access access_of(const char *key, const char *fsid)
{
    return (struct hf_rados_access){
        .mon_host = getenv("HF_CEPH_MON"), .user = "admin", .key = key, .fsid = fsid};
}

rados_t connected(void)
{
    rados_t c = NULL;
    struct hf_rados_access a = access_of(getenv("HF_CEPH_KEY"), "");
    hf_status st = hf_rados_connect(&a, &limits, &c);
    assert_string_equal(hf_status_message(st), "ok");
    return c;
}

rados_ioctx_t pool_of(rados_t c)
{
    rados_ioctx_t io;
    assert_int_equal(rados_ioctx_create(c, POOL, &io), 0);
    return io;
}

void ok(hf_status st)
{
    assert_string_equal(hf_status_message(st), "ok");
    hf_status_drop(st);
}

void is(hf_status st, enum hf_code code, const char *says)
{
    if (hf_status_code(st) != code || !strstr(hf_status_message(st), says))
        fail_msg("%s", hf_status_message(st));
    hf_status_drop(st);
}

void write_block(rados_t c, const char *name, char content)
{
    char block[4096];
    rados_ioctx_t io = pool_of(c);
    rbd_image_t image;
    memset(block, content, sizeof block);
    assert_int_equal(rbd_open(io, name, &image, NULL), 0);
    assert_int_equal(rbd_write(image, 0, sizeof block, block), sizeof block);
    rbd_close(image);
    rados_ioctx_destroy(io);
}

char read_block(rados_t c, const char *name)
{
    char byte = 0;
    rados_ioctx_t io = pool_of(c);
    rbd_image_t image;
    assert_int_equal(rbd_open_read_only(io, name, &image, NULL), 0);
    assert_int_equal(rbd_read(image, 0, 1, &byte), 1);
    rbd_close(image);
    rados_ioctx_destroy(io);
    return byte;
}
