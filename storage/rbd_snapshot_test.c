/* Snapshots of one image that lives in memory, whose verbs fail, and whose answers get lost after they have
 * done their work: whatever is repeated ends the same, and what comes late takes nothing away. */
#include "storage/rbd_snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "storage/fake_calls.h"

#define MIB (1ull << 20)

struct fake {
    struct hf_rbd rbd;
    struct hf_rbd_snaps snaps;
    int content, snapped; /* of the image, and of its snapshot "s1" */
    uint64_t size_bytes, snapped_bytes;
    bool has_snap, has_clones, held, open_elsewhere;
    uint64_t mark;
    struct fake_calls calls;
};

static const struct hf_rbd_name volume = {"vms", "v1"};

static struct fake *of(struct hf_rbd_snaps *s)
{
    return hf_container_of(s, struct fake, snaps);
}

static hf_status fake_create(struct hf_rbd_snaps *s, const struct hf_rbd_name *n, const char *snap)
{
    struct fake *f = of(s);
    (void)n;
    assert_string_equal(snap, "s1");
    HF_TRY(fake_begin(&f->calls));
    if (f->has_snap)
        return hf_error(HF_EXISTS, "the snapshot is there");
    f->has_snap = true;
    f->snapped = f->content;
    f->snapped_bytes = f->size_bytes;
    return fake_end(&f->calls);
}

static hf_status fake_remove(struct hf_rbd_snaps *s, const struct hf_rbd_name *n, const char *snap)
{
    struct fake *f = of(s);
    (void)n, (void)snap;
    HF_TRY(fake_begin(&f->calls));
    if (!f->has_snap)
        return hf_error(HF_NOT_FOUND, "no such snapshot");
    if (f->has_clones)
        return hf_error(HF_CONFLICT, "it has clones");
    f->has_snap = false;
    return fake_end(&f->calls);
}

static hf_status fake_hold(struct hf_rbd_snaps *s, const struct hf_rbd_name *n)
{
    struct fake *f = of(s);
    (void)n;
    assert_false(f->held);
    HF_TRY(fake_begin(&f->calls));
    if (f->open_elsewhere)
        return hf_error(HF_UNAVAILABLE, "it is open in another client");
    hf_status st = fake_end(&f->calls);
    f->held = hf_ok(st);
    return st;
}

static hf_status fake_read_mark(struct hf_rbd_snaps *s, uint64_t *ret)
{
    assert_true(of(s)->held);
    HF_TRY(fake_begin(&of(s)->calls));
    *ret = of(s)->mark;
    return fake_end(&of(s)->calls);
}

static hf_status fake_roll_back(struct hf_rbd_snaps *s, const char *snap)
{
    struct fake *f = of(s);
    (void)snap;
    assert_true(f->held);
    HF_TRY(fake_begin(&f->calls));
    if (!f->has_snap)
        return hf_error(HF_NOT_FOUND, "no such snapshot");
    f->content = f->snapped;
    f->size_bytes = f->snapped_bytes;
    return fake_end(&f->calls);
}

static hf_status fake_write_mark(struct hf_rbd_snaps *s, uint64_t mark)
{
    assert_true(of(s)->held && mark > of(s)->mark);
    HF_TRY(fake_begin(&of(s)->calls));
    of(s)->mark = mark;
    return fake_end(&of(s)->calls);
}

static void fake_release(struct hf_rbd_snaps *s)
{
    assert_true(of(s)->held);
    of(s)->held = false;
}

static const struct hf_rbd_snap_ops fake_snap_ops = {.create = fake_create,
                                                     .remove = fake_remove,
                                                     .hold = fake_hold,
                                                     .read_mark = fake_read_mark,
                                                     .roll_back = fake_roll_back,
                                                     .write_mark = fake_write_mark,
                                                     .release = fake_release};

static hf_status fake_stat(struct hf_rbd *r, const struct hf_rbd_name *n, struct hf_rbd_stat *ret)
{
    struct fake *f = hf_container_of(r, struct fake, rbd);
    (void)n;
    HF_TRY(fake_begin(&f->calls));
    *ret = (struct hf_rbd_stat){.size_bytes = f->size_bytes};
    return fake_end(&f->calls);
}

static hf_status fake_grow(struct hf_rbd *r, const struct hf_rbd_name *n, uint64_t size_bytes)
{
    struct fake *f = hf_container_of(r, struct fake, rbd);
    (void)n;
    assert_false(f->held); /* the lock is its holder's alone */
    HF_TRY(fake_begin(&f->calls));
    assert_true(size_bytes > f->size_bytes);
    f->size_bytes = size_bytes;
    return fake_end(&f->calls);
}

static const struct hf_rbd_ops fake_ops = {.stat = fake_stat, .grow = fake_grow};

/* An image with 'a' in it. */
static struct fake image(void)
{
    return (struct fake){
        .rbd.ops = &fake_ops, .snaps.ops = &fake_snap_ops, .content = 'a', .size_bytes = 4 * MIB};
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

static hf_status snapshot(struct fake *f)
{
    return hf_rbd_snapshot(&f->snaps, &volume, "s1");
}

static hf_status delete_it(struct fake *f)
{
    return hf_rbd_delete_snapshot(&f->snaps, &volume, "s1");
}

static hf_status revert(struct fake *f)
{
    return hf_rbd_revert(&f->rbd, &f->snaps, &volume, "s1", 7, 8 * MIB);
}

/* The image since it was snapped: written to, and grown. */
static struct fake written(void)
{
    struct fake f = image();
    ok(snapshot(&f));
    f.content = 'b';
    f.size_bytes = 8 * MIB;
    f.calls.n = 0;
    return f;
}

/* Runs act() on what make() gives, with every one of its calls failing or unanswered once, then again: the
 * second try ends well. */
static void every_fault(struct fake (*make)(void), hf_status (*act)(struct fake *f),
                        void (*check)(const struct fake *f))
{
    for (int lost = 0; lost < 2; lost++) {
        for (int at = 1;; at++) {
            struct fake f = make();
            *(lost ? &f.calls.lose_at : &f.calls.fail_at) = at;
            hf_status_drop(act(&f));
            bool reached = f.calls.n >= at;
            f.calls.lose_at = f.calls.fail_at = 0;
            assert_false(f.held);
            ok(act(&f));
            check(&f);
            if (!reached)
                break;
        }
    }
}

static void is_snapped(const struct fake *f)
{
    assert_true(f->has_snap && f->snapped == 'a');
}

static void is_not_snapped(const struct fake *f)
{
    assert_false(f->has_snap);
}

static void is_back(const struct fake *f)
{
    assert_int_equal(f->content, 'a');
    assert_int_equal(f->size_bytes, 8 * MIB); /* a disk never shrinks */
    assert_int_equal(f->mark, 7);
    assert_false(f->held);
}

static void whatever_is_lost_ends_the_same(void **state)
{
    (void)state;
    every_fault(image, snapshot, is_snapped);
    every_fault(written, delete_it, is_not_snapped);
    every_fault(written, revert, is_back);
}

/* The order was carried out, its answer was lost, and another host did it again; the guest has written since.
 */
static void a_late_revert_takes_nothing_away(void **state)
{
    (void)state;
    struct fake f = written();
    ok(revert(&f));
    f.content = 'c';
    ok(revert(&f));
    assert_int_equal(f.content, 'c');
    f.mark = 8; /* by a later order */
    ok(revert(&f));
    assert_int_equal(f.content, 'c');
}

static void nobody_else_may_have_it_open(void **state)
{
    (void)state;
    struct fake f = written();
    f.open_elsewhere = true;
    code(revert(&f), HF_UNAVAILABLE);
    assert_int_equal(f.content, 'b');
    f.open_elsewhere = false;
    f.has_snap = false;
    code(revert(&f), HF_NOT_FOUND);
    assert_int_equal(f.mark, 0);
    assert_false(f.held);
}

static void clones_keep_a_snapshot(void **state)
{
    (void)state;
    struct fake f = written();
    f.has_clones = true;
    code(delete_it(&f), HF_CONFLICT);
    assert_true(f.has_snap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_lost_ends_the_same),
        cmocka_unit_test(a_late_revert_takes_nothing_away),
        cmocka_unit_test(nobody_else_may_have_it_open),
        cmocka_unit_test(clones_keep_a_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
