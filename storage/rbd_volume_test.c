/* Templates and volumes on a pool that lives in memory, whose verbs fail, and whose answers get lost after
 * they have done their work: whatever is repeated ends with the same images. */
#include "storage/rbd_volume.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "storage/fake_calls.h"

#define IMAGES_MAX 16
#define MIB        (1ull << 20)

/* Only its address matters here. */
struct hf_rbd_source {
    int unused;
};
static struct hf_rbd_source far_image;

struct fake_image {
    bool used, trashed;
    char pool[HF_CEPH_NAME_MAX], name[HF_CEPH_NAME_MAX];
    struct hf_rbd_stat stat;
    bool filled;
    unsigned open_by; /* clients elsewhere */
};

struct fake {
    struct hf_rbd rbd;
    struct fake_image images[IMAGES_MAX];
    struct fake_calls calls;
};

static struct fake *of(struct hf_rbd *r)
{
    return hf_container_of(r, struct fake, rbd);
}

static struct fake_image *find(struct fake *f, const char *pool, const char *name)
{
    for (size_t i = 0; i < IMAGES_MAX; i++) {
        struct fake_image *at = &f->images[i];
        if (at->used && !at->trashed && strcmp(at->pool, pool) == 0 && strcmp(at->name, name) == 0)
            return at;
    }
    return NULL;
}

static hf_status find_or_say(struct fake *f, const struct hf_rbd_name *n, struct fake_image **ret)
{
    *ret = find(f, n->pool, n->image);
    return *ret ? HF_STATUS_OK : hf_error(HF_NOT_FOUND, "no image '%s/%s'", n->pool, n->image);
}

static hf_status add(struct fake *f, const struct hf_rbd_name *n, uint64_t size, struct fake_image **ret)
{
    if (find(f, n->pool, n->image))
        return hf_error(HF_EXISTS, "'%s/%s' is there", n->pool, n->image);
    struct fake_image *at = f->images;
    while (at->used)
        at++;
    HF_ASSERT(at < f->images + IMAGES_MAX);
    *at = (struct fake_image){.used = true, .stat.size_bytes = size};
    snprintf(at->pool, sizeof at->pool, "%s", n->pool);
    snprintf(at->name, sizeof at->name, "%s", n->image);
    *ret = at;
    return HF_STATUS_OK;
}

static hf_status fake_stat(struct hf_rbd *r, const struct hf_rbd_name *n, struct hf_rbd_stat *ret)
{
    struct fake_image *at;
    HF_TRY(fake_begin(&of(r)->calls));
    *ret = (struct hf_rbd_stat){0};
    HF_TRY(find_or_say(of(r), n, &at));
    *ret = at->stat;
    return fake_end(&of(r)->calls);
}

static hf_status fake_create(struct hf_rbd *r, const struct hf_rbd_name *n, uint64_t size_bytes)
{
    struct fake_image *at;
    HF_TRY(fake_begin(&of(r)->calls));
    HF_TRY(add(of(r), n, size_bytes, &at));
    return fake_end(&of(r)->calls);
}

static hf_status fake_clone(struct hf_rbd *r, const struct hf_rbd_name *t, const struct hf_rbd_name *n)
{
    struct fake_image *from, *at;
    HF_TRY(fake_begin(&of(r)->calls));
    HF_TRY(find_or_say(of(r), t, &from));
    assert_true(from->stat.is_template);
    HF_TRY(add(of(r), n, from->stat.size_bytes, &at));
    snprintf(at->stat.parent_pool, sizeof at->stat.parent_pool, "%s", t->pool);
    snprintf(at->stat.parent_image, sizeof at->stat.parent_image, "%s", t->image);
    at->filled = true;
    return fake_end(&of(r)->calls);
}

static hf_status fake_grow(struct hf_rbd *r, const struct hf_rbd_name *n, uint64_t size_bytes)
{
    struct fake_image *at;
    HF_TRY(fake_begin(&of(r)->calls));
    HF_TRY(find_or_say(of(r), n, &at));
    assert_true(size_bytes > at->stat.size_bytes);
    at->stat.size_bytes = size_bytes;
    return fake_end(&of(r)->calls);
}

static hf_status fake_rename(struct hf_rbd *r, const struct hf_rbd_name *n, const char *to)
{
    struct fake_image *at;
    HF_TRY(fake_begin(&of(r)->calls));
    HF_TRY(find_or_say(of(r), n, &at));
    if (find(of(r), n->pool, to))
        return hf_error(HF_EXISTS, "'%s/%s' is there", n->pool, to);
    assert_true(at->filled && at->stat.is_template); /* the final name is only for what is whole */
    snprintf(at->name, sizeof at->name, "%s", to);
    return fake_end(&of(r)->calls);
}

static hf_status fake_protect(struct hf_rbd *r, const struct hf_rbd_name *n, uint64_t file_bytes)
{
    struct fake_image *at;
    HF_TRY(fake_begin(&of(r)->calls));
    HF_TRY(find_or_say(of(r), n, &at));
    at->stat.is_template = true;
    at->stat.file_bytes = file_bytes;
    return fake_end(&of(r)->calls);
}

static hf_status fake_import(struct hf_rbd *r, const struct hf_rbd_name *n, const char *file)
{
    struct fake_image *at;
    HF_TRY(fake_begin(&of(r)->calls));
    assert_string_equal(file, "/scratch/file");
    HF_TRY(find_or_say(of(r), n, &at));
    assert_false(at->filled); /* only into a fresh one: what is zero is not written */
    at->filled = true;
    return fake_end(&of(r)->calls);
}

static hf_status fake_copy(struct hf_rbd *r, const struct hf_rbd_name *n, struct hf_rbd_source *from)
{
    struct fake_image *at;
    HF_TRY(fake_begin(&of(r)->calls));
    assert_ptr_equal(from, &far_image);
    HF_TRY(find_or_say(of(r), n, &at));
    assert_false(at->filled);
    at->filled = true;
    return fake_end(&of(r)->calls);
}

static hf_status fake_trash(struct hf_rbd *r, const struct hf_rbd_name *n)
{
    struct fake_image *at;
    HF_TRY(fake_begin(&of(r)->calls));
    HF_TRY(find_or_say(of(r), n, &at));
    at->trashed = true;
    return fake_end(&of(r)->calls);
}

static hf_status fake_purge(struct hf_rbd *r, const struct hf_rbd_name *n)
{
    struct fake *f = of(r);
    HF_TRY(fake_begin(&f->calls));
    for (size_t i = 0; i < IMAGES_MAX; i++)
        if (f->images[i].trashed && strcmp(f->images[i].pool, n->pool) == 0 &&
            strcmp(f->images[i].name, n->image) == 0)
            f->images[i] = (struct fake_image){0};
    return fake_end(&f->calls);
}

static hf_status fake_evict(struct hf_rbd *r, const struct hf_rbd_name *n, unsigned *ret_n)
{
    struct fake_image *at;
    HF_TRY(fake_begin(&of(r)->calls));
    HF_TRY(find_or_say(of(r), n, &at));
    *ret_n = at->open_by;
    at->open_by = 0;
    return fake_end(&of(r)->calls);
}

static const struct hf_rbd_ops fake_ops = {fake_stat,   fake_create,  fake_clone,  fake_grow,
                                           fake_rename, fake_protect, fake_import, fake_trash,
                                           fake_purge,  fake_evict,   fake_copy};

static const struct hf_rbd_name template_ = {"images", "t1"}, other = {"images", "t2"},
                                volume = {"vms", "v1"};

static size_t count(const struct fake *f)
{
    size_t n = 0;
    for (size_t i = 0; i < IMAGES_MAX; i++)
        n += f->images[i].used;
    return n;
}

static hf_status have_template(struct fake *f)
{
    return hf_rbd_have_template(&f->rbd, &template_, "host-1", "/scratch/file", 4 * MIB, 1 * MIB);
}

static void put_template(struct fake *f, const struct hf_rbd_name *n)
{
    struct fake_image *at;
    hf_status st = add(f, n, 4 * MIB, &at);
    assert_true(hf_ok(st));
    at->filled = at->stat.is_template = true;
    at->stat.file_bytes = 1 * MIB;
}

static void ok(hf_status st)
{
    assert_string_equal(hf_status_message(st), "ok");
    hf_status_drop(st);
}

static void code(hf_status st, enum hf_code c)
{
    assert_int_equal(hf_status_code(st), c);
    hf_status_drop(st);
}

/* Runs act() with every one of its calls failing or unanswered once, then again: the second try ends well. */
static void every_fault(hf_status (*act)(struct fake *f), void (*check)(const struct fake *f))
{
    for (int lost = 0; lost < 2; lost++) {
        for (int at = 1;; at++) {
            struct fake f = {.rbd.ops = &fake_ops};
            put_template(&f, &other);
            *(lost ? &f.calls.lose_at : &f.calls.fail_at) = at;
            hf_status_drop(act(&f));
            bool reached = f.calls.n >= at;
            f.calls.lose_at = f.calls.fail_at = 0;
            ok(act(&f));
            check(&f);
            if (!reached)
                break;
        }
    }
}

static void template_is_whole(const struct fake *f)
{
    const struct fake_image *at = find((struct fake *)(uintptr_t)f, "images", "t1");
    assert_non_null(at);
    assert_true(at->stat.is_template && at->filled);
    assert_int_equal(at->stat.size_bytes, 4 * MIB);
    assert_int_equal(count(f), 2); /* nothing half is left */
}

static void templates(void **state)
{
    (void)state;
    every_fault(have_template, template_is_whole);
}

static const struct hf_rbd_name cached = {"cache", "t2"};

static hf_status have_clone(struct fake *f)
{
    return hf_rbd_have_template_clone(&f->rbd, &cached, "host-1", &other);
}

static void clone_is_whole(const struct fake *f)
{
    const struct fake_image *at = find((struct fake *)(uintptr_t)f, "cache", "t2");
    assert_non_null(at);
    assert_true(at->stat.is_template);
    assert_string_equal(at->stat.parent_pool, "images");
    assert_string_equal(at->stat.parent_image, "t2");
    assert_int_equal(count(f), 2);
}

static void clones_of_templates(void **state)
{
    (void)state;
    struct fake f = {.rbd.ops = &fake_ops};
    every_fault(have_clone, clone_is_whole);
    code(have_clone(&f), HF_NOT_FOUND); /* the image server has none */
    assert_int_equal(count(&f), 0);
}

static hf_status have_copy(struct fake *f)
{
    return hf_rbd_have_template_copy(&f->rbd, &template_, "host-1", &far_image, 4 * MIB, 1 * MIB);
}

static void copies_of_templates(void **state)
{
    (void)state;
    every_fault(have_copy, template_is_whole);
}

static void another_host_is_faster(void **state)
{
    (void)state;
    struct fake f = {.rbd.ops = &fake_ops};
    struct fake_image *at;
    ok(add(&f, &template_, 4 * MIB, &at)); /* of that name, not whole: never taken, never replaced */
    code(have_template(&f), HF_NOT_FOUND);
    assert_int_equal(count(&f), 1);
    at->stat.is_template = true;
    ok(have_template(&f));
    assert_int_equal(count(&f), 1);
}

static hf_status have_volume(struct fake *f)
{
    unsigned evicted;
    return hf_rbd_have_volume(&f->rbd, &volume, &other, 8 * MIB, &evicted);
}

static void volume_is_whole(const struct fake *f)
{
    const struct fake_image *at = find((struct fake *)(uintptr_t)f, "vms", "v1");
    assert_non_null(at);
    assert_int_equal(at->stat.size_bytes, 8 * MIB);
    assert_string_equal(at->stat.parent_image, "t2");
    assert_int_equal(count(f), 2);
}

static void volumes(void **state)
{
    (void)state;
    every_fault(have_volume, volume_is_whole);
}

static hf_status have_then_delete(struct fake *f)
{
    HF_TRY(have_volume(f));
    return hf_rbd_delete(&f->rbd, &volume);
}

static void volume_is_gone(const struct fake *f)
{
    assert_int_equal(count(f), 1);
}

static void deletes(void **state)
{
    (void)state;
    every_fault(have_then_delete, volume_is_gone);
}

static void wrong_volumes(void **state)
{
    (void)state;
    struct fake f = {.rbd.ops = &fake_ops};
    unsigned evicted;
    code(hf_rbd_have_volume(&f.rbd, &volume, NULL, 0, &evicted), HF_INVALID);
    code(hf_rbd_have_volume(&f.rbd, &volume, &template_, 8 * MIB, &evicted), HF_NOT_FOUND);
    put_template(&f, &template_);
    put_template(&f, &other);
    code(hf_rbd_have_volume(&f.rbd, &volume, &template_, 1 * MIB, &evicted), HF_INVALID);
    ok(hf_rbd_have_volume(&f.rbd, &volume, &template_, 0, &evicted));
    code(hf_rbd_have_volume(&f.rbd, &volume, &other, 0, &evicted), HF_PRECONDITION);
    code(hf_rbd_have_volume(&f.rbd, &volume, NULL, 8 * MIB, &evicted), HF_PRECONDITION);
    find(&f, "vms", "v1")->stat.parent_image[0] = '\0'; /* flattened */
    ok(hf_rbd_have_volume(&f.rbd, &volume, &template_, 0, &evicted));
}

/* What an earlier run has left open is refused before the next run starts, also when the answer gets lost. */
static void clients_of_an_earlier_run(void **state)
{
    (void)state;
    struct fake f = {.rbd.ops = &fake_ops};
    unsigned evicted = 7;
    put_template(&f, &other);
    ok(hf_rbd_have_volume(&f.rbd, &volume, &other, 8 * MIB, &evicted));
    assert_int_equal(evicted, 0); /* nobody knows of a fresh one */
    find(&f, "vms", "v1")->open_by = 2;
    f.calls.n = 0;
    f.calls.lose_at = 2;
    code(hf_rbd_have_volume(&f.rbd, &volume, &other, 8 * MIB, &evicted), HF_TIMEOUT);
    assert_int_equal(find(&f, "vms", "v1")->open_by, 0);
    find(&f, "vms", "v1")->open_by = 1;
    f.calls.lose_at = 0;
    ok(hf_rbd_have_volume(&f.rbd, &volume, &other, 8 * MIB, &evicted));
    assert_int_equal(evicted, 1);
    find(&f, "vms", "v1")->open_by = 1;
    f.calls.n = 0;
    f.calls.fail_at = 2; /* not known to be refused: no start */
    code(hf_rbd_have_volume(&f.rbd, &volume, &other, 8 * MIB, &evicted), HF_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clones_of_templates),
        cmocka_unit_test(templates),
        cmocka_unit_test(copies_of_templates),
        cmocka_unit_test(another_host_is_faster),
        cmocka_unit_test(volumes),
        cmocka_unit_test(deletes),
        cmocka_unit_test(wrong_volumes),
        cmocka_unit_test(clients_of_an_earlier_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
