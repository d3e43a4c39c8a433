/* A simulated storage that is a Ceph cluster: what its OSDs refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sim/ceph.h"
#include "sim/storage.h"
#include "sim/world.h"

#define DAY_NS (86400 * HF_S_NS)

struct bench {
    struct sim_world w;
    struct sim_storage *s;
    struct sim_ceph *c;
    struct sim_proc keeper;
    uint64_t sequence;
    unsigned good, bad, refused; /* answers */
    char entry[SIM_CEPH_ENTRY];  /* of the whole host 0 */
};

static const struct hf_uuid host = {{7}}, vm = {{9}}, other = {{8}};

static struct bench *bench_new(uint64_t seed, uint32_t shared_ppm)
{
    struct bench *b = HF_NEW(struct bench);
    struct hf_uuid uuid = {{1}};
    b->w.sim = sim_create(seed);
    b->s = sim_storage_create(&b->w, &uuid, "shared1", true);
    b->c = sim_ceph_create(b->w.sim, 0, 3, shared_ppm);
    sim_storage_make_ceph(b->s, b->c);
    for (unsigned i = 0; i < 3; i++)
        sim_ceph_host_boots(b->c, i, 1);
    snprintf(b->entry, sizeof b->entry, "%s:0/0", sim_ceph_host_address(b->c, 0));
    sim_proc_init(&b->keeper, b->w.sim, "keeper", 0);
    sim_proc_start(&b->keeper);
    return b;
}

static void bench_free(struct bench *b)
{
    sim_storage_host_died(b->s, 0);
    sim_proc_crash(&b->keeper);
    sim_free(b->w.sim);
    sim_storage_free(b->s);
    free(b);
}

static void run(struct bench *b, int64_t ms)
{
    sim_run_until(b->w.sim, sim_now_ns(b->w.sim) + ms * HF_MS_NS);
}

static void on_written(void *arg, bool ok, const char *why)
{
    struct bench *b = arg;
    (void)why;
    *(ok ? &b->good : &b->bad) += 1;
}

static void on_record(void *arg, bool ok, bool marked, const char *why)
{
    struct bench *b = arg;
    if (ok && marked)
        b->refused++;
    else
        on_written(arg, ok, why);
}

static void on_dropped(void *arg)
{
    (void)arg;
}

static void renew(struct bench *b, uint64_t epoch, bool closed)
{
    struct hf_lease_record r = {.host = host, .epoch = epoch, .sequence = ++b->sequence, .closed = closed};
    sim_storage_write_record(b->s, 0, &b->keeper, &r, on_record, on_dropped, b);
}

static void write_guest(struct bench *b, const struct hf_uuid *instance, uint64_t n)
{
    sim_storage_guest_write(b->s, 0, instance, 1, n, on_written, b);
}

static void assert_heard(struct bench *b, unsigned good, unsigned bad, unsigned refused)
{
    run(b, 100);
    assert_int_equal(b->good, good);
    assert_int_equal(b->bad, bad);
    assert_int_equal(b->refused, refused);
}

static void a_renewal_needs_an_epoch_above_the_mark(void **state)
{
    (void)state;
    bool hangs;
    struct bench *b = bench_new(1, 0);
    renew(b, 2, false);
    assert_heard(b, 1, 0, 0);
    assert_true(sim_storage_mark(b->s, 1, &host, 2, &hangs));
    renew(b, 2, false);
    assert_heard(b, 1, 0, 1);
    renew(b, 2, true); /* the last word is no renewal */
    assert_heard(b, 2, 0, 1);
    renew(b, 3, false);
    assert_heard(b, 3, 0, 1);
    renew(b, 2, true); /* late, and older than the last record */
    assert_heard(b, 3, 0, 2);
    bench_free(b);
}

static void a_late_renewal_of_a_fenced_host_is_refused(void **state)
{
    (void)state;
    bool hangs;
    struct bench *b = bench_new(2, 0);
    sim_storage_way(b->s, 0)->hangs = true;
    sim_storage_kick(b->s, 0);
    renew(b, 1, false);
    run(b, 1000);
    assert_true(sim_storage_mark(b->s, 1, &host, 1, &hangs));
    sim_storage_way(b->s, 0)->hangs = false;
    sim_storage_kick(b->s, 0);
    assert_heard(b, 0, 0, 1);
    bench_free(b);
}

static void who_is_on_the_blocklist_is_not_served(void **state)
{
    (void)state;
    bool hangs;
    struct bench *b = bench_new(3, 0);
    uint64_t map = sim_ceph_osdmap_epoch(b->c);
    write_guest(b, &vm, 1); /* under way when the map changes */
    sim_ceph_block(b->c, b->entry, sim_now_ns(b->w.sim) + DAY_NS);
    assert_int_equal(sim_ceph_osdmap_epoch(b->c), map + 1);
    assert_heard(b, 0, 1, 0);
    renew(b, 1, false);
    write_guest(b, &vm, 2);
    assert_heard(b, 0, 2, 1);
    assert_false(sim_storage_mark(b->s, 0, &other, 1, &hangs));
    assert_true(sim_storage_mark(b->s, 1, &other, 1, &hangs));
    sim_ceph_unblock(b->c, b->entry);
    write_guest(b, &vm, 3);
    assert_heard(b, 1, 2, 1);
    bench_free(b);
}

static void an_entry_lapses(void **state)
{
    (void)state;
    struct bench *b = bench_new(4, 0);
    sim_ceph_block(b->c, b->entry, 10 * HF_S_NS);
    sim_ceph_block(b->c, b->entry, 20 * HF_S_NS); /* nothing is prolonged */
    run(b, 9000);
    write_guest(b, &vm, 1);
    assert_heard(b, 0, 1, 0);
    run(b, 1000);
    write_guest(b, &vm, 2);
    assert_heard(b, 1, 1, 0);
    bench_free(b);
}

static void one_client_leaves_the_others_of_its_address_alone(void **state)
{
    (void)state;
    struct bench *b = bench_new(5, 0);
    char entry[SIM_CEPH_ENTRY];
    snprintf(entry, sizeof entry, "%s:0/%u", sim_ceph_host_address(b->c, 0), sim_ceph_guest_number(&vm, 1));
    sim_ceph_block(b->c, entry, DAY_NS);
    write_guest(b, &vm, 1);
    write_guest(b, &other, 1);
    renew(b, 1, false);
    assert_heard(b, 2, 1, 0);
    bench_free(b);
}

/* What left the machine before it booted keeps the address that it left with. */
static void a_late_write_comes_from_the_old_address(void **state)
{
    (void)state;
    uint64_t seed = 0;
    struct bench *b;
    do {
        b = bench_new(++seed, 0);
        sim_ceph_host_boots(b->c, 0, 2);
        if (strncmp(b->entry, sim_ceph_host_address(b->c, 0), strlen(sim_ceph_host_address(b->c, 0))) != 0)
            break;
        bench_free(b);
    } while (seed < 100);
    assert_true(seed < 100);
    write_guest(b, &vm, 1);
    sim_ceph_host_boots(b->c, 0, 1);
    write_guest(b, &vm, 2);
    sim_ceph_host_boots(b->c, 0, 2);
    sim_ceph_block(b->c, b->entry, DAY_NS);
    assert_heard(b, 1, 1, 0);
    bench_free(b);
}

/* Violations: the old run's write behind the next one's. listed: its client is on the list by itself. */
static size_t late_writes(uint64_t seed, bool listed)
{
    struct sim_ceph_client who = {.number = sim_ceph_guest_number(&vm, 1)};
    struct bench *b = bench_new(seed, 0);
    const struct sim_violation *v;
    b->w.checks = sim_checks_create(hf_ha_timing_find("fast"), NULL, NULL);
    sim_storage_way(b->s, 0)->cut = true;
    write_guest(b, &vm, 1);
    sim_storage_guest_killed(b->s, 0, &vm);
    assert_heard(b, 0, 1, 0); /* as far as it knew */
    sim_storage_guest_write(b->s, 1, &vm, 2, 1, on_written, b);
    assert_heard(b, 1, 1, 0);
    snprintf(who.address, sizeof who.address, "%s", sim_ceph_host_address(b->c, 0));
    if (listed)
        sim_ceph_block_client(b->c, &who, DAY_NS);
    sim_ceph_block(b->c, b->entry, DAY_NS);
    sim_ceph_unblock(b->c, b->entry);
    sim_storage_way(b->s, 0)->cut = false;
    sim_storage_kick(b->s, 0);
    assert_heard(b, 1, 1, 0);
    size_t n = sim_checks_violations(b->w.checks, &v);
    sim_checks_free(b->w.checks);
    b->w.checks = NULL;
    bench_free(b);
    return n;
}

static void what_a_killed_client_had_sent_comes_when_the_way_is_whole(void **state)
{
    (void)state;
    size_t late = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        late += late_writes(seed, false);
        assert_int_equal(late_writes(seed, true), 0);
    }
    assert_in_range(late, 3, 17);
}

static void some_hosts_share_their_address(void **state)
{
    (void)state;
    unsigned with_host = 0, with_daemon = 0, with_node = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct bench *b = bench_new(seed, 1000000);
        const char *mine = sim_ceph_host_address(b->c, 1);
        char node[SIM_CEPH_ADDRESS];
        with_daemon += sim_ceph_daemon_at(b->c, mine) != NULL;
        with_host += strcmp(mine, sim_ceph_host_address(b->c, 0)) == 0;
        with_node += strcmp(mine, sim_ceph_node_address(1, node)) == 0;
        bench_free(b);
    }
    assert_true(with_host > 5 && with_daemon > 5 && with_node > 5);
    assert_int_equal(with_host + with_daemon + with_node, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_renewal_needs_an_epoch_above_the_mark),
        cmocka_unit_test(a_late_renewal_of_a_fenced_host_is_refused),
        cmocka_unit_test(who_is_on_the_blocklist_is_not_served),
        cmocka_unit_test(an_entry_lapses),
        cmocka_unit_test(one_client_leaves_the_others_of_its_address_alone),
        cmocka_unit_test(a_late_write_comes_from_the_old_address),
        cmocka_unit_test(what_a_killed_client_had_sent_comes_when_the_way_is_whole),
        cmocka_unit_test(some_hosts_share_their_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
