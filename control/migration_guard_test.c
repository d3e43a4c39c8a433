/* Rule 6 in the guard, against an oracle that is written from the rule: every way from a migration that is
 * (not) open to what the next transaction makes of it, with every proof about the target; then fixed cases
 * with their sentences. */
#include "control/guard_testing.h"

typedef Holdfast__V1__Placement__Migration Migration;
#define PHASE(name) HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__##name

/* The instance is on (H1, 2, run 5); its migration leads to (H2, 3, run 6). */
struct moving {
    struct instance i;
    Migration m;
    End end; /* of the migration */
};

static ProtobufCMessage *moving(struct moving *v, const char *host, uint64_t epoch, uint64_t run, int phase)
{
    ProtobufCMessage *message = instance(&v->i, host, epoch, run, S1);
    holdfast__v1__placement__migration__init(&v->m);
    holdfast__v1__placement__end__init(&v->end);
    v->m.phase = (Holdfast__V1__Placement__Migration__Phase)phase;
    v->m.target_host_uuid = H2;
    v->m.target_epoch = 3;
    v->m.run = 6;
    if (phase != PHASE(PHASE_UNSPECIFIED))
        v->i.placement.migration = &v->m;
    return message;
}

static void closed_by(struct moving *v, int kind, const char *host, uint64_t epoch, uint64_t run)
{
    v->m.end = &v->end;
    v->end.kind = (Holdfast__V1__Placement__End__Kind)kind;
    v->end.host_uuid = (char *)host;
    v->end.epoch = epoch;
    v->end.run = run;
}

/* --- every way --- */

enum proof { NO_PROOF, TARGET_STOPPED, TARGET_FENCED, SOURCE_STOPPED, SOURCE_HANDED_OVER, WRONG_RUN, PROOFS };
enum place { STAYS, AT_TARGET, AT_TARGET_OTHER_RUN, ELSEWHERE, PLACES };
enum over { NOT_OVER, OVER_STOPPED, OVER_FENCED, OVERS };
enum fences { NO_FENCES, SOURCE_PROVEN, TARGET_PROVEN, BOTH_PROVEN, FENCES };

static void prove(struct moving *v, enum proof p)
{
    switch (p) {
    case TARGET_STOPPED:
        closed_by(v, END(STOPPED), H2, 3, 6);
        return;
    case TARGET_FENCED:
        closed_by(v, END(FENCED), H2, 3, 6);
        return;
    case SOURCE_STOPPED:
        closed_by(v, END(STOPPED), H1, 2, 5);
        return;
    case SOURCE_HANDED_OVER:
        closed_by(v, END(HANDED_OVER), H1, 2, 5);
        return;
    case WRONG_RUN:
        closed_by(v, END(STOPPED), H2, 3, 5);
        return;
    case NO_PROOF:
    case PROOFS:
        return;
    }
}

static void store_fences(struct bench *b, enum fences f)
{
    struct fence source, target;
    ProtobufCMessage *s = fence(&source, H1, 2), *t = fence(&target, H2, 3);
    evidence(&source, EVIDENCE(CLOSED_AND_KILLED), S1);
    evidence(&target, EVIDENCE(CLOSED_AND_KILLED), S1);
    if (f == SOURCE_PROVEN || f == BOTH_PROVEN)
        stored(b, KIND(FENCE), source.uuid, source.name, s);
    if (f == TARGET_PROVEN || f == BOTH_PROVEN)
        stored(b, KIND(FENCE), target.uuid, target.name, t);
}

static bool is_open(int phase)
{
    return phase == PHASE(OPEN) || phase == PHASE(CANCELLING);
}

/* Read from rule 6: while it is open, the placement neither ends nor goes anywhere but to the target, and
 * that only by the source's word; it is closed only by proof for the target's copy. */
static bool oracle(int before, int after, enum proof p, enum place where, enum over over, enum fences f)
{
    bool target_over =
        p == TARGET_STOPPED || (p == TARGET_FENCED && (f == TARGET_PROVEN || f == BOTH_PROVEN));
    bool source_over = over == NOT_OVER || over == OVER_STOPPED || f == SOURCE_PROVEN || f == BOTH_PROVEN;
    if (where == AT_TARGET)
        return is_open(before) && after == PHASE(COMPLETED) && p == SOURCE_HANDED_OVER && over == NOT_OVER;
    if (where != STAYS)
        return false;
    if (is_open(before) && is_open(after))
        return p == NO_PROOF && over == NOT_OVER && (after == before || after == PHASE(CANCELLING));
    if (is_open(before))
        return after == PHASE(CANCELLED) && target_over && source_over;
    if (before == PHASE(PHASE_UNSPECIFIED) && after == PHASE(PHASE_UNSPECIFIED))
        return source_over;
    /* A new intent: nothing of it is over, and the target is not fenced. */
    return before == PHASE(PHASE_UNSPECIFIED) && after == PHASE(OPEN) && p == NO_PROOF && over == NOT_OVER &&
           f != TARGET_PROVEN && f != BOTH_PROVEN;
}

static void check_way(int before, int after, enum proof p, enum place where, enum over over, enum fences f)
{
    static const char *const hosts[PLACES] = {H1, H2, H2, H1};
    static const uint64_t epochs[PLACES] = {2, 3, 3, 2}, runs[PLACES] = {5, 6, 7, 7};
    struct bench b;
    struct moving old, new;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    store_host(&b, H2, "host-2", 3);
    store_fences(&b, f);
    stored(&b, KIND(INSTANCE), I1, "vm", moving(&old, H1, 2, 5, before));
    ProtobufCMessage *m = moving(&new, hosts[where], epochs[where], runs[where], after);
    prove(&new, p);
    if (over != NOT_OVER)
        ended(&new.i, over == OVER_STOPPED ? (int)END(STOPPED) : (int)END(FENCED), hosts[where],
              epochs[where], runs[where]);
    bool want = oracle(before, after, p, where, over, f), got = allowed(&b, KIND(INSTANCE), I1, "vm", m);
    if (want != got)
        print_error("phase %d to %d, proof %d, place %d, end %d, fences %d: %s\n", before, after, p, where,
                    over, f, b.why);
    assert_int_equal(want, got);
    bench_stop(&b);
}

static void every_way_of_a_migration(void **state)
{
    (void)state;
    static const int befores[] = {PHASE(PHASE_UNSPECIFIED), PHASE(OPEN), PHASE(CANCELLING)};
    for (size_t b = 0; b < sizeof befores / sizeof befores[0]; b++)
        for (int after = PHASE(PHASE_UNSPECIFIED); after <= (int)PHASE(COMPLETED); after++)
            for (int p = NO_PROOF; p < PROOFS; p++)
                for (int where = STAYS; where < PLACES; where++)
                    for (int over = NOT_OVER; over < OVERS; over++)
                        for (int f = NO_FENCES; f < FENCES; f++)
                            check_way(befores[b], after, (enum proof)p, (enum place)where, (enum over)over,
                                      (enum fences)f);
}

/* --- fixed cases --- */

static void begin(struct bench *b, struct moving *old, int phase)
{
    bench_start(b);
    store_host(b, H1, "host-1", 2);
    store_host(b, H2, "host-2", 3);
    stored(b, KIND(INSTANCE), I1, "vm", moving(old, H1, 2, 5, phase));
}

static void a_stop_of_the_source_alone_ends_nothing(void **state)
{
    (void)state;
    struct bench b;
    struct moving old, new;
    begin(&b, &old, PHASE(OPEN));
    ProtobufCMessage *m = moving(&new, H1, 2, 5, PHASE(OPEN));
    ended(&new.i, END(STOPPED), H1, 2, 5);
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    assert_string_equal(b.why, "end run 5 of instance 'vm': its migration to host " H2
                               " is not over, so that it may run there");
    bench_stop(&b);
}

/* C18b: it is gone at the source, but not over. */
static void handed_over_is_not_an_end(void **state)
{
    (void)state;
    struct bench b;
    struct moving old, new;
    begin(&b, &old, PHASE(PHASE_UNSPECIFIED));
    ProtobufCMessage *m = moving(&new, H1, 2, 5, PHASE(PHASE_UNSPECIFIED));
    ended(&new.i, END(HANDED_OVER), H1, 2, 5);
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    assert_string_equal(b.why, "end run 5 of instance 'vm': neither stopped nor fenced");
    bench_stop(&b);
}

static void the_number_of_a_copy_is_never_used_again(void **state)
{
    (void)state;
    struct bench b;
    struct moving old, new;
    begin(&b, &old, PHASE(CANCELLED));
    ProtobufCMessage *m = moving(&new, H1, 2, 5, PHASE(OPEN));
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    assert_string_equal(b.why, "instance 'vm': the end of its migration 6 is final");
    new.m.run = 7;
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    new.m.run = 5;
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    assert_string_equal(b.why, "migrate instance 'vm': the run of its copy must be above 6, not 5");
    bench_stop(&b);

    /* Nor by the start that follows. */
    begin(&b, &old, PHASE(CANCELLED));
    ended(&old.i, END(STOPPED), H1, 2, 5);
    stored(&b, KIND(INSTANCE), I1, "vm", &old.i.m.base);
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&new.i, H1, 2, 6, S1)));
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&new.i, H1, 2, 7, S1)));
    bench_stop(&b);
}

static void a_migration_leads_to_another_living_host(void **state)
{
    (void)state;
    struct bench b;
    struct moving old, new;
    begin(&b, &old, PHASE(PHASE_UNSPECIFIED));
    ProtobufCMessage *m = moving(&new, H1, 2, 5, PHASE(OPEN));
    new.m.target_host_uuid = H1;
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    assert_string_equal(b.why, "migrate instance 'vm': it is on host " H1 " already");
    new.m.target_host_uuid = H3;
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    assert_string_equal(b.why, "migrate instance 'vm': host " H3 " does not exist");
    new.m.target_host_uuid = H2;
    new.m.target_epoch = 2;
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    assert_string_equal(b.why, "migrate instance 'vm': host " H2 " lives epoch 3, not 2");
    bench_stop(&b);
}

static void the_target_is_not_deleted_meanwhile(void **state)
{
    (void)state;
    struct bench b;
    struct moving old;
    struct fence f;
    begin(&b, &old, PHASE(CANCELLING));
    ProtobufCMessage *m = fence(&f, H2, 3);
    stored(&b, KIND(FENCE), f.uuid, f.name, m);
    assert_false(allowed(&b, KIND(HOST), H2, "host-2", NULL));
    assert_string_equal(b.why, "delete host 'host-2': instance 'vm' may still run there and epoch 3 is not "
                               "proven over");
    bench_stop(&b);
}

static void the_record_of_a_migration_is_kept(void **state)
{
    (void)state;
    struct bench b;
    struct moving old, new;
    begin(&b, &old, PHASE(OPEN));
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", moving(&new, H1, 2, 5, PHASE(PHASE_UNSPECIFIED))));
    assert_string_equal(b.why, "instance 'vm': the record of its migration 6 must be kept");
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_of_a_migration),
        cmocka_unit_test(a_stop_of_the_source_alone_ends_nothing),
        cmocka_unit_test(handed_over_is_not_an_end),
        cmocka_unit_test(the_number_of_a_copy_is_never_used_again),
        cmocka_unit_test(a_migration_leads_to_another_living_host),
        cmocka_unit_test(the_target_is_not_deleted_meanwhile),
        cmocka_unit_test(the_record_of_a_migration_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
