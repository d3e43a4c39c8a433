/* The guard against an oracle that is written the other way round: every combination of what a placement was
 * and becomes, in every state of host and fence; then fixed cases with their sentences.
 */
#include "control/guard_testing.h"

/* --- exhaustive: one instance, before × after × host × fence --- */

enum fence_case {
    NO_FENCE,
    BARE_FENCE,
    SILENT_S1,
    SILENT_S2,
    KILLED_S1,
    KILLED_S2,
    OPERATORS_WORD,
    NEXT_GRANTED,
    FENCE_CASES
};
enum end_case {
    OPEN,
    STOPPED_FITS,
    STOPPED_HOST,
    STOPPED_EPOCH,
    STOPPED_RUN,
    FENCED_FITS,
    FENCED_EPOCH,
    FENCED_RUN,
    END_UNKNOWN,
    END_CASES
};

static void store_fence_case(struct bench *b, enum fence_case fc, uint64_t epoch)
{
    struct fence f;
    if (fc == NO_FENCE)
        return;
    ProtobufCMessage *m = fence(&f, H1, epoch);
    if (fc == SILENT_S1 || fc == SILENT_S2)
        evidence(&f, EVIDENCE(SILENCE), fc == SILENT_S1 ? S1 : S2);
    else if (fc == KILLED_S1 || fc == KILLED_S2)
        evidence(&f, EVIDENCE(CLOSED_AND_KILLED), fc == KILLED_S1 ? S1 : S2);
    else if (fc == OPERATORS_WORD)
        evidence(&f, EVIDENCE(OPERATOR), NULL);
    else if (fc == NEXT_GRANTED)
        evidence(&f, EVIDENCE(NEXT_EPOCH), NULL);
    stored(b, KIND(FENCE), f.uuid, f.name, m);
}

static void apply_end_case(struct instance *i, enum end_case ec, const char *host, uint64_t epoch,
                           uint64_t run)
{
    bool stop = ec >= STOPPED_FITS && ec <= STOPPED_RUN;
    int kind = ec == END_UNKNOWN ? (int)END(KIND_UNSPECIFIED) : stop ? (int)END(STOPPED) : (int)END(FENCED);
    if (ec == OPEN)
        return;
    ended(i, kind, ec == STOPPED_HOST ? H2 : host,
          ec == STOPPED_EPOCH || ec == FENCED_EPOCH ? epoch + 1 : epoch,
          ec == STOPPED_RUN || ec == FENCED_RUN ? run + 1 : run);
}

struct shape {
    const char *host; /* NULL: no placement */
    uint64_t epoch, run;
    enum end_case end;
};

static bool same_host(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_shape(const struct shape *a, const struct shape *b)
{
    return same_host(a->host, b->host) && a->epoch == b->epoch && a->run == b->run;
}

/* What rule 5 says, read from the rule and not from the code. before is (H1, 2, 5) or none; disks on S1. */
static bool oracle(const struct shape *before, const struct shape *after, uint64_t h1_epoch,
                   enum fence_case fc)
{
    bool proven =
        h1_epoch > 2 || fc == SILENT_S1 || fc == KILLED_S1 || fc == OPERATORS_WORD || fc == NEXT_GRANTED;
    bool new_ok =
        after->host != NULL && after->end == OPEN &&
        ((same_host(after->host, H1) && after->epoch == h1_epoch && !(fc != NO_FENCE && h1_epoch == 2)) ||
         (same_host(after->host, H2) && after->epoch == 1));
    if (before->host == NULL)
        return after->host == NULL || new_ok;
    if (same_shape(before, after)) {
        if (before->end != OPEN)
            return after->end == before->end;
        return after->end == OPEN || after->end == STOPPED_FITS || (after->end == FENCED_FITS && proven);
    }
    return before->end != OPEN && new_ok && after->run > before->run;
}

static void check_shapes(const struct shape *before, const struct shape *after, uint64_t h1_epoch,
                         enum fence_case fc)
{
    struct bench b;
    struct instance old, new;
    bench_start(&b);
    store_host(&b, H1, "host-1", h1_epoch);
    store_host(&b, H2, "host-2", 1);
    store_fence_case(&b, fc, 2);
    ProtobufCMessage *o = instance(&old, before->host, before->epoch, before->run, S1);
    if (before->host != NULL)
        apply_end_case(&old, before->end, before->host, before->epoch, before->run);
    stored(&b, KIND(INSTANCE), I1, "vm", o);
    ProtobufCMessage *n = instance(&new, after->host, after->epoch, after->run, S1);
    if (after->host != NULL)
        apply_end_case(&new, after->end, after->host, after->epoch, after->run);
    bool want = oracle(before, after, h1_epoch, fc);
    bool got = allowed(&b, KIND(INSTANCE), I1, "vm", n);
    if (want != got)
        print_error("before %.2s/%d/%d end %d, after %.2s/%d/%d end %d, epoch %d, fence %d: %s\n",
                    before->host != NULL ? before->host : "--", (int)before->epoch, (int)before->run,
                    before->end, after->host != NULL ? after->host : "--", (int)after->epoch, (int)after->run,
                    after->end, (int)h1_epoch, fc, b.why);
    assert_int_equal(want, got);
    bench_stop(&b);
}

static void every_change_of_a_placement(void **state)
{
    (void)state;
    static const struct shape befores[] = {
        {NULL, 0, 0, OPEN}, {H1, 2, 5, OPEN}, {H1, 2, 5, STOPPED_FITS}, {H1, 2, 5, FENCED_FITS}};
    static const char *const hosts[] = {NULL, H1, H2, H3};
    unsigned n = 0;
    for (size_t b = 0; b < sizeof befores / sizeof befores[0]; b++)
        for (size_t h = 0; h < 4; h++)
            for (uint64_t epoch = 0; epoch <= 4; epoch++)
                for (uint64_t run = 4; run <= 7; run++)
                    for (int end = OPEN; end < END_CASES; end++)
                        for (uint64_t h1_epoch = 2; h1_epoch <= 3; h1_epoch++)
                            for (int fc = NO_FENCE; fc < FENCE_CASES; fc++, n++) {
                                struct shape after = {hosts[h], epoch, run, (enum end_case)end};
                                check_shapes(&befores[b], &after, h1_epoch, (enum fence_case)fc);
                            }
    assert_true(n > 40000);
}

/* --- fixed cases --- */

static void an_open_instance_is_not_deleted(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    stored(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 5, S1));
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", NULL));
    assert_string_equal(b.why, "delete instance 'vm': run 5 on host " H1 " (epoch 2) is not proven over");
    ProtobufCMessage *m = instance(&i, H1, 2, 5, S1);
    ended(&i, END(STOPPED), H1, 2, 5);
    stored(&b, KIND(INSTANCE), I1, "vm", m);
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", NULL));
    bench_stop(&b);
}

static void storages_stay_while_a_run_is_open(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    stored(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 5, S1));
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 5, S2)));
    assert_non_null(strstr(b.why, "storages cannot change while run 5 may run"));
    /* Not in the transaction that ends it either: the evidence was about the old ones. */
    ProtobufCMessage *m = instance(&i, H1, 2, 5, S2);
    ended(&i, END(STOPPED), H1, 2, 5);
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    bench_stop(&b);
}

static void an_instance_is_placed_once_it_has_been_named(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, NULL, 0, 0, S1)));
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 1, S1)));
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 0, S1)));
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, "", 2, 1, S1)));
    /* Another spelling of a host would be looked up under another fence. */
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm",
                         instance(&i, "11111111-1111-1111-1111-111111111111", 2, 1, S1)));
    bench_stop(&b);
}

static void an_end_names_the_fence_of_its_host(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    struct fence f, other;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    store_host(&b, H2, "host-2", 1);
    ProtobufCMessage *m = fence(&f, H1, 2);
    evidence(&f, EVIDENCE(OPERATOR), NULL);
    stored(&b, KIND(FENCE), f.uuid, f.name, m);
    fence(&other, H2, 1);
    stored(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 5, S1));
    m = instance(&i, H1, 2, 5, S1);
    ended(&i, END(FENCED), H1, 2, 5);
    i.end.fence_uuid = f.uuid;
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    i.end.fence_uuid = other.uuid;
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    bench_stop(&b);
}

static bool host_to(struct bench *b, const char *uuid, uint64_t epoch)
{
    Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
    h.status = &st;
    st.epoch = epoch;
    return allowed(b, KIND(HOST), uuid, "host-1", &h.base);
}

static void epochs_grow_by_one_over_a_proven_end(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b);
    assert_true(host_to(&b, H1, 0));
    assert_false(host_to(&b, H1, 1)); /* a new host has none */
    store_host(&b, H1, "host-1", 0);
    assert_true(host_to(&b, H1, 0));
    assert_true(host_to(&b, H1, 1));
    store_host(&b, H1, "host-1", 2);
    assert_true(host_to(&b, H1, 2));
    assert_false(host_to(&b, H1, 1));
    assert_false(host_to(&b, H1, 0));
    assert_false(host_to(&b, H1, 4));
    assert_false(host_to(&b, H1, 3)); /* nothing says that epoch 2 is over */
    assert_string_equal(b.why,
                        "host 'host-1': epoch 2 must be fenced with evidence before the next one is granted");
    store_fence_case(&b, BARE_FENCE, 2);
    assert_false(host_to(&b, H1, 3));
    store_fence_case(&b, NEXT_GRANTED, 2);
    assert_true(host_to(&b, H1, 3));
    store_fence_case(&b, BARE_FENCE, 3);
    assert_false(host_to(&b, H1, 3));
    store_host(&b, H1, "host-1",
               0); /* deleted and added again: an epoch that is fenced is not granted twice */
    assert_false(host_to(&b, H1, 2));
    assert_true(host_to(&b, H1, 4));
    bench_stop(&b);
}

static void a_host_is_deleted_when_nothing_can_run_there(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    bench_start(&b);
    store_host(&b, H1, "host-1", 0);
    assert_true(allowed(&b, KIND(HOST), H1, "host-1", NULL)); /* it never lived */
    store_host(&b, H1, "host-1", 2);
    assert_false(allowed(&b, KIND(HOST), H1, "host-1", NULL)); /* epoch 2 would be granted again one day */
    assert_non_null(strstr(b.why, "nothing would remember its epoch 2"));
    store_fence_case(&b, BARE_FENCE, 2);
    assert_true(allowed(&b, KIND(HOST), H1, "host-1", NULL));
    stored(&b, KIND(INSTANCE), I1, "vm", instance(&i, H2, 1, 5, S1));
    assert_true(allowed(&b, KIND(HOST), H1, "host-1", NULL));
    stored(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 6, S1));
    assert_false(allowed(&b, KIND(HOST), H1, "host-1", NULL));
    assert_non_null(strstr(b.why, "instance 'vm' may still run there"));
    store_fence_case(&b, OPERATORS_WORD, 2);
    assert_true(allowed(&b, KIND(HOST), H1, "host-1", NULL));
    bench_stop(&b);
}

static bool put_fence(struct bench *b, struct fence *f)
{
    return allowed(b, KIND(FENCE), f->uuid, f->name, &f->m.base);
}

static void fences_are_for_ever(void **state)
{
    (void)state;
    struct bench b;
    struct fence f, g;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    fence(&f, H1, 2);
    assert_true(put_fence(&b, &f));
    fence(&f, H1, 3);
    assert_false(put_fence(&b, &f)); /* not granted yet */
    fence(&f, H1, 0);
    assert_false(put_fence(&b, &f));
    fence(&f, H3, 1);
    assert_false(put_fence(&b, &f)); /* no such host */
    fence(&f, H1, 2);
    snprintf(f.name, sizeof f.name, "%s/1", H1);
    assert_false(put_fence(&b, &f));

    ProtobufCMessage *m = fence(&f, H1, 2);
    evidence(&f, EVIDENCE(CLOSED_AND_KILLED), S1);
    stored(&b, KIND(FENCE), f.uuid, f.name, m);
    assert_false(allowed(&b, KIND(FENCE), f.uuid, f.name, NULL));
    assert_non_null(strstr(b.why, "for ever"));
    evidence(&f, EVIDENCE(SILENCE), S2);
    assert_true(put_fence(&b, &f)); /* one more */
    fence(&g, H1, 2);
    assert_false(put_fence(&b, &g)); /* none */
    evidence(&g, EVIDENCE(CLOSED_AND_KILLED), S2);
    assert_false(put_fence(&b, &g)); /* another */
    fence(&g, H1, 2);
    g.m.epoch = 1;
    assert_false(put_fence(&b, &g));
    bench_stop(&b);
}

static bool one_piece(struct bench *b, int kind, void (*spoil)(Evidence *e))
{
    struct fence f;
    fence(&f, H1, 2);
    Evidence *e = evidence(&f, kind, S1);
    if (spoil != NULL)
        spoil(e);
    return put_fence(b, &f);
}

static void other_host(Evidence *e)
{
    e->host_uuid = H2;
}
static void other_epoch(Evidence *e)
{
    e->epoch = 1;
}
static void too_short(Evidence *e)
{
    e->silent_ms = e->required_ms - 1;
}
static void no_bound(Evidence *e)
{
    e->required_ms = 0;
}
static void no_mark(Evidence *e)
{
    e->marked = false;
}
static void no_observer(Evidence *e)
{
    e->observer_host_uuid = "";
}
static void no_statement(Evidence *e)
{
    e->detail = "";
}

static void evidence_is_about_its_own_fence(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    store_host(&b, H2, "host-2", 1);
    assert_true(one_piece(&b, EVIDENCE(CLOSED_AND_KILLED), NULL));
    assert_false(one_piece(&b, EVIDENCE(CLOSED_AND_KILLED), other_host));
    assert_false(one_piece(&b, EVIDENCE(CLOSED_AND_KILLED), other_epoch));
    assert_true(one_piece(&b, EVIDENCE(SILENCE), NULL));
    assert_false(one_piece(&b, EVIDENCE(SILENCE), too_short));
    assert_false(one_piece(&b, EVIDENCE(SILENCE), no_bound));
    assert_false(one_piece(&b, EVIDENCE(SILENCE), no_observer));
    assert_false(one_piece(&b, EVIDENCE(SILENCE), no_mark));
    assert_true(one_piece(&b, EVIDENCE(OPERATOR), NULL));
    assert_false(one_piece(&b, EVIDENCE(OPERATOR), no_statement));
    assert_false(one_piece(&b, EVIDENCE(NEXT_EPOCH), NULL)); /* epoch 3 was not granted */
    assert_false(one_piece(&b, EVIDENCE(KIND_UNSPECIFIED), NULL));
    assert_false(one_piece(&b, 77, NULL));
    store_host(&b, H1, "host-1", 3);
    assert_true(one_piece(&b, EVIDENCE(NEXT_EPOCH), NULL));
    bench_stop(&b);
}

static bool put_sessions(struct bench *b, uint64_t epoch, uint64_t session)
{
    Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
    Holdfast__V1__HostStatus__StorageSession s = HOLDFAST__V1__HOST_STATUS__STORAGE_SESSION__INIT,
                                             *list[] = {&s};
    h.status = &st;
    st.epoch = epoch;
    st.watchdog = "hardware";
    s.primary_storage_uuid = (char *)S1;
    s.session = session;
    st.storage_sessions = list;
    st.n_storage_sessions = session > 0;
    if (!allowed(b, KIND(HOST), H1, "host-1", &h.base))
        return false;
    stored(b, KIND(HOST), H1, "host-1", &h.base);
    return true;
}

static void of_session_1(Evidence *e)
{
    e->session = 1;
}

static void of_session_2(Evidence *e)
{
    e->session = 2;
}

/* A storage is opened again by the next number only, in a life that is not fenced; the word of an earlier
 * opening is no evidence. */
static void sessions_grow_by_one(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    assert_false(put_sessions(&b, 2, 3));
    assert_true(put_sessions(&b, 2, 2));
    assert_true(put_sessions(&b, 2, 2));
    assert_false(put_sessions(&b, 2, 0));
    assert_false(one_piece(&b, EVIDENCE(CLOSED_AND_KILLED), of_session_1));
    assert_true(one_piece(&b, EVIDENCE(CLOSED_AND_KILLED), of_session_2));
    assert_true(one_piece(&b, EVIDENCE(CLOSED_AND_KILLED), NULL)); /* of the whole epoch */
    struct fence f;
    fence(&f, H1, 2);
    evidence(&f, (int)EVIDENCE(CLOSED_AND_KILLED), S1);
    stored(&b, KIND(FENCE), f.uuid, f.name, &f.m.base);
    assert_false(put_sessions(&b, 2, 3));
    assert_false(put_sessions(&b, 3, 2));
    assert_true(put_sessions(&b, 3, 0));
    bench_stop(&b);
}

static void silence_needs_a_watchdog(void **state)
{
    (void)state;
    static const struct {
        const char *watchdog;
        bool counts;
    } cases[] = {{"hardware", true}, {"stand-in", true}, {"none", false}, {"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench b;
        bench_start(&b);
        Host h = HOLDFAST__V1__HOST__INIT;
        Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
        h.status = &st;
        st.epoch = 2;
        st.watchdog = (char *)cases[i].watchdog;
        stored(&b, KIND(HOST), H1, "host-1", &h.base);
        assert_int_equal(one_piece(&b, EVIDENCE(SILENCE), NULL), cases[i].counts);
        bench_stop(&b);
    }
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    static const uint32_t kinds[] = {KIND(INSTANCE), KIND(HOST), KIND(FENCE)};
    for (size_t i = 0; i < 3; i++) {
        static const uint8_t junk[] = {0xff, 0xff, 0xff};
        struct hf_change c = {
            .kind = kinds[i], .uuid = uuid_of(I1), .name = "x", .after = junk, .after_len = sizeof junk};
        struct hf_guard_view v = {.store = b.store, .changes = &c, .n_changes = 1};
        assert_false(hf_placement_guard.allow(&hf_placement_guard, &v, &c, b.why, sizeof b.why));
    }
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_of_a_placement),
        cmocka_unit_test(an_open_instance_is_not_deleted),
        cmocka_unit_test(storages_stay_while_a_run_is_open),
        cmocka_unit_test(an_instance_is_placed_once_it_has_been_named),
        cmocka_unit_test(an_end_names_the_fence_of_its_host),
        cmocka_unit_test(epochs_grow_by_one_over_a_proven_end),
        cmocka_unit_test(a_host_is_deleted_when_nothing_can_run_there),
        cmocka_unit_test(fences_are_for_ever),
        cmocka_unit_test(evidence_is_about_its_own_fence),
        cmocka_unit_test(silence_needs_a_watchdog),
        cmocka_unit_test(sessions_grow_by_one),
        cmocka_unit_test(damaged_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
