/* Lease records and guests' writes on a simulated storage, and what becomes of them when ways break and
 * machines die. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sim/storage_record.h"
#include "sim/world.h"

#define MS HF_MS_NS

/* --- records: what a read finds --- */

static struct hf_lease_record draw_record(struct sim_rng *r, const struct hf_uuid *host, uint64_t epoch,
                                          uint64_t sequence)
{
    struct hf_lease_record rec = {.host = *host, .epoch = epoch, .sequence = sequence};
    snprintf(rec.boot_id, sizeof rec.boot_id, "boot-%u", (unsigned)sim_rng_below(r, 3));
    rec.closed = sim_rng_below(r, 4) == 0;
    rec.killed = rec.closed && sim_rng_below(r, 2) == 0;
    rec.n_runs = sim_rng_below(r, 5);
    for (size_t i = 0; i < rec.n_runs; i++) {
        rec.runs[i].instance.b[15] = (uint8_t)sim_rng_below(r, 9);
        rec.runs[i].run = sim_rng_below(r, 9);
        rec.runs[i].live = sim_rng_below(r, 2) == 0;
    }
    return rec;
}

static void same_reads(const struct hf_sampler_read *a, const struct hf_sampler_read *b)
{
    assert_int_equal(a->decode, b->decode);
    assert_string_equal(a->error, b->error);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->sequence, b->sequence);
    assert_string_equal(a->boot_id, b->boot_id);
    assert_int_equal(a->closed, b->closed);
    assert_int_equal(a->killed, b->killed);
    assert_int_equal(a->n_runs, b->n_runs);
    for (size_t i = 0; i < a->n_runs; i++) {
        assert_true(hf_uuid_equal(&a->runs[i].instance, &b->runs[i].instance));
        assert_int_equal(a->runs[i].run, b->runs[i].run);
        assert_int_equal(a->runs[i].live, b->runs[i].live);
    }
}

/* One history of writes, some of them torn; returns the number of times that the value changed. */
static unsigned compare(uint64_t seed)
{
    static uint8_t bytes[HF_LEASE_FILE_BYTES];
    struct sim_rng r = sim_rng_make(seed, "records", 0);
    struct sim_record_file f = {0};
    struct hf_uuid host = {{7}};
    uint64_t epoch = 1, hash = 0, sequence = sim_rng_below(&r, 2);
    unsigned changes = 0;
    memset(bytes, 0, sizeof bytes);
    for (int i = 0; i < 20; i++) {
        struct hf_lease_record rec = draw_record(&r, &host, epoch, ++sequence);
        bool torn = sim_rng_below(&r, 4) == 0;
        uint8_t *slot = bytes + sequence % 2 * HF_LEASE_SLOT_BYTES;
        hf_lease_record_encode(&rec, slot);
        if (torn)
            memset(slot + 8192, 0xff, 512);
        struct sim_record *mine = sim_record_new(&rec);
        sim_record_file_land(&f, mine, torn, i);
        sim_record_unref(mine);
        struct hf_sampler_read a = {.host = host}, b = {.host = host};
        sim_record_file_read(&f, i, &a);
        hf_sampler_digest(bytes, sizeof bytes, NULL, &b);
        same_reads(&a, &b);
        changes += a.hash != hash;
        hash = a.hash;
        free(a.runs);
        free(b.runs);
        epoch += sim_rng_below(&r, 10) == 0;
        sequence += sim_rng_below(&r, 8) == 0;
    }
    sim_record_file_done(&f);
    return changes;
}

static void a_read_finds_what_one_of_the_bytes_would(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        assert_int_equal(compare(seed), 20); /* every write is another value */
    struct hf_sampler_read a = {.hash = 0}, b = {.hash = 0};
    sim_record_file_read(NULL, 0, &a);
    hf_sampler_digest(NULL, 0, NULL, &b);
    same_reads(&a, &b);
}

static void a_read_finds_what_was_there_at_its_moment(void **state)
{
    (void)state;
    struct sim_record_file f = {0};
    struct hf_lease_record rec = {.host = {{7}}, .epoch = 1};
    for (int64_t at = 10; at <= 50; at += 10) {
        rec.sequence++;
        struct sim_record *r = sim_record_new(&rec);
        sim_record_file_land(&f, r, false, at);
        sim_record_unref(r);
    }
    for (int64_t at = 5; at <= 55; at += 10) {
        struct hf_sampler_read read = {.hash = 0};
        sim_record_file_read(&f, at, &read);
        assert_int_equal(read.sequence, at / 10);
        assert_int_equal(read.decode, at < 10 ? HF_LEASE_EMPTY : HF_LEASE_GOOD);
        free(read.runs);
    }
    sim_record_file_done(&f);
}

/* --- ways --- */

struct bench {
    struct sim_world w;
    struct sim_storage *s;
    struct sim_proc keeper, hostd;
    struct hf_uuid host;
    uint64_t sequence;
    unsigned good, bad, dropped; /* answers */
    struct hf_sampler_read last; /* of the last sample; runs are not kept */
    unsigned samples;
};

static struct bench *bench_new(uint64_t seed)
{
    struct bench *b = HF_NEW(struct bench);
    struct hf_uuid uuid = {{1}};
    b->w.sim = sim_create(seed);
    b->s = sim_storage_create(&b->w, &uuid, "shared1", true);
    b->host.b[0] = 7;
    sim_proc_init(&b->keeper, b->w.sim, "keeper", 0);
    sim_proc_init(&b->hostd, b->w.sim, "hostd", 0);
    sim_proc_start(&b->keeper);
    sim_proc_start(&b->hostd);
    return b;
}

static void bench_free(struct bench *b)
{
    sim_storage_host_died(b->s, 0);
    sim_proc_crash(&b->keeper);
    sim_proc_crash(&b->hostd);
    sim_free(b->w.sim);
    sim_storage_free(b->s);
    free(b);
}

static void run(struct bench *b, int64_t ms)
{
    sim_run_until(b->w.sim, sim_now_ns(b->w.sim) + ms * MS);
}

static void on_written(void *arg, bool ok, const char *why)
{
    struct bench *b = arg;
    (void)why;
    *(ok ? &b->good : &b->bad) += 1;
}

static void on_record(void *arg, bool ok, bool marked, const char *why)
{
    assert_false(marked); /* files are read for that */
    on_written(arg, ok, why);
}

static void on_dropped(void *arg)
{
    ((struct bench *)arg)->dropped++;
}

static void write_record(struct bench *b)
{
    struct hf_lease_record r = {.host = b->host, .epoch = 1, .sequence = ++b->sequence};
    sim_storage_write_record(b->s, 0, &b->keeper, &r, on_record, on_dropped, b);
}

static void on_sampled(void *arg, struct hf_sampler_read *reads, size_t n)
{
    struct bench *b = arg;
    b->samples++;
    b->last = reads[n - 1];
    b->last.runs = NULL;
}

/* What another host reads. */
static uint64_t read_sequence(struct bench *b)
{
    sim_storage_read_records(b->s, 1, &b->hostd, &b->host, 1, on_sampled, on_dropped, b);
    run(b, 200);
    return b->last.sequence;
}

static struct sim_storage_way *way(struct bench *b)
{
    return sim_storage_way(b->s, 0);
}

static void a_write_lands_and_is_answered(void **state)
{
    (void)state;
    struct bench *b = bench_new(1);
    for (unsigned i = 1; i <= 20; i++) {
        write_record(b);
        run(b, 100);
        assert_int_equal(b->good, i);
        assert_int_equal(read_sequence(b), i);
        assert_true(b->last.end_ms >= b->last.start_ms);
    }
    assert_true(sim_storage_works(b->s, 0));
    bench_free(b);
}

static void what_hangs_goes_on(void **state)
{
    (void)state;
    unsigned passed = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct bench *b = bench_new(seed);
        write_record(b); /* on its way when the way breaks: it may have passed, its answer not */
        way(b)->hangs = true;
        sim_storage_kick(b->s, 0);
        run(b, 60000);
        assert_int_equal(b->good + b->bad, 0);
        passed += (unsigned)read_sequence(b);
        assert_false(sim_storage_works(b->s, 1));
        way(b)->hangs = false;
        sim_storage_kick(b->s, 0);
        run(b, 100);
        assert_int_equal(b->good, 1);
        assert_int_equal(read_sequence(b), 1);
        bench_free(b);
    }
    assert_in_range(passed, 1, 39);
}

static void nothing_passes_a_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct bench *b = bench_new(seed);
        write_record(b);
        way(b)->cut = true;
        sim_storage_kick(b->s, 0);
        run(b, 1000);
        assert_int_equal(read_sequence(b), 0);
        way(b)->cut = false;
        sim_storage_kick(b->s, 0);
        run(b, 100);
        assert_int_equal(read_sequence(b), 1);
        bench_free(b);
    }
}

static void an_error_does_nothing(void **state)
{
    (void)state;
    struct bench *b = bench_new(3);
    way(b)->fails = sim_storage_way(b->s, 1)->fails = true;
    sim_storage_kick(b->s, 0);
    sim_storage_kick(b->s, 1);
    write_record(b);
    run(b, 100);
    assert_int_equal(b->bad, 1);
    assert_int_equal(read_sequence(b), 0);
    assert_true(b->last.error[0] != '\0');
    sim_storage_way(b->s, 1)->fails = false;
    sim_storage_kick(b->s, 1);
    assert_int_equal(read_sequence(b), 0);
    assert_int_equal(b->last.decode, HF_LEASE_EMPTY);
    bench_free(b);
}

static void a_sample_that_hangs_goes_on_where_it_was(void **state)
{
    (void)state;
    struct bench *b = bench_new(4);
    struct hf_uuid owners[30] = {{{0}}};
    owners[29] = b->host;
    write_record(b);
    run(b, 100);
    sim_storage_read_records(b->s, 1, &b->hostd, owners, 30, on_sampled, on_dropped, b);
    run(b, 10);
    sim_storage_way(b->s, 1)->hangs = true;
    sim_storage_kick(b->s, 1);
    write_record(b);
    run(b, 5000);
    assert_int_equal(b->samples, 0);
    sim_storage_way(b->s, 1)->hangs = false;
    sim_storage_kick(b->s, 1);
    run(b, 500);
    assert_int_equal(b->samples, 1);
    assert_int_equal(b->last.sequence, 2);
    assert_true(b->last.start_ms >= 6100);
    bench_free(b);
}

/* --- deaths --- */

static void a_write_of_a_dead_process_stays_in_the_kernel(void **state)
{
    (void)state;
    struct bench *b = bench_new(5);
    way(b)->cut = true;
    sim_storage_kick(b->s, 0);
    write_record(b);
    sim_storage_issuer_died(b->s, 0, &b->keeper);
    sim_proc_crash(&b->keeper);
    assert_int_equal(b->dropped, 1);
    run(b, 5000);
    assert_true(sim_storage_record_held(b->s, 0));
    way(b)->cut = false;
    sim_storage_kick(b->s, 0);
    run(b, 100);
    assert_false(sim_storage_record_held(b->s, 0));
    assert_int_equal(read_sequence(b), 1);
    assert_int_equal(b->good + b->bad, 0);
    bench_free(b);
}

/* Returns what of 100 writes had landed by then, and had been torn. */
static unsigned landed_after_death(int64_t late_ms, uint32_t torn_ppm, int64_t wait_ms, unsigned *ret_torn)
{
    unsigned landed = 0;
    *ret_torn = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct bench *b = bench_new(seed);
        way(b)->late_ms = late_ms;
        way(b)->torn_ppm = torn_ppm;
        write_record(b);
        sim_storage_host_died(b->s, 0);
        way(b)->hangs = true; /* it has left the machine */
        sim_storage_kick(b->s, 0);
        run(b, wait_ms);
        read_sequence(b);
        landed += b->last.decode == HF_LEASE_GOOD;
        *ret_torn += b->last.decode == HF_LEASE_TORN;
        assert_int_equal(b->dropped, 1);
        bench_free(b);
    }
    return landed;
}

static void a_write_of_a_dead_machine_is_lost_or_late(void **state)
{
    (void)state;
    unsigned torn;
    assert_int_equal(landed_after_death(0, 0, 10000, &torn), 0);
    unsigned soon = landed_after_death(1000, 0, 1, &torn), late = landed_after_death(1000, 0, 1000, &torn);
    assert_true(soon < late);
    assert_in_range(late, 20, 80);
    assert_int_equal(torn, 0);
    landed_after_death(0, 500000, 1000, &torn);
    assert_in_range(torn, 20, 80);
}

static void a_guest_hears_of_each_write_once(void **state)
{
    (void)state;
    struct hf_uuid vm = {{9}}, other = {{8}};
    struct bench *b = bench_new(6);
    sim_storage_guest_write(b->s, 0, &vm, 1, 1, on_written, b);
    run(b, 100);
    assert_int_equal(b->good, 1);
    way(b)->hangs = true;
    sim_storage_kick(b->s, 0);
    sim_storage_guest_write(b->s, 0, &vm, 1, 2, on_written, b);
    sim_storage_guest_write(b->s, 0, &other, 1, 1, on_written, b);
    run(b, 100);
    assert_int_equal(b->good + b->bad, 1);
    sim_storage_guest_killed(b->s, 0, &vm);
    assert_int_equal(b->bad, 1);
    sim_storage_host_died(b->s, 0);
    assert_int_equal(b->bad, 2);
    run(b, 10000);
    assert_int_equal(b->good + b->bad, 3);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_finds_what_one_of_the_bytes_would),
        cmocka_unit_test(a_read_finds_what_was_there_at_its_moment),
        cmocka_unit_test(a_write_lands_and_is_answered),
        cmocka_unit_test(what_hangs_goes_on),
        cmocka_unit_test(nothing_passes_a_cut),
        cmocka_unit_test(an_error_does_nothing),
        cmocka_unit_test(a_sample_that_hangs_goes_on_where_it_was),
        cmocka_unit_test(a_write_of_a_dead_process_stays_in_the_kernel),
        cmocka_unit_test(a_write_of_a_dead_machine_is_lost_or_late),
        cmocka_unit_test(a_guest_hears_of_each_write_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
