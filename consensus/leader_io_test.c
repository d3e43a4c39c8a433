/* The order of a leader's I/O, on an I/O that only writes down what reaches it. */
#include "consensus/leader_io.h"

#include "base/env.h"
#include "consensus/testing.h"

#define WORDS_MAX 8192

struct bed {
    struct hf_env *env;
    struct hf_replica *replica;
    struct raft raft;
    struct raft_io io;
    struct raft_server servers[3];
    struct hf_leader_io *leader_io;
    struct raft_io_append append[600];
    struct raft_io_send send[600];
    int append_result;
    char said[WORDS_MAX]; /* what reached the I/O and what was told, in words */
};

static struct bed *bed;

static void say(const char *word, unsigned long long n)
{
    size_t len = strlen(bed->said);
    snprintf(bed->said + len, sizeof bed->said - len, "%s%s %llu", len == 0 ? "" : ", ", word, n);
}

#define assert_said(text) (assert_string_equal(bed->said, text), (void)(bed->said[0] = 0))

/* --- the I/O below --- */

static int io_append(struct raft_io *io, struct raft_io_append *request, const struct raft_entry entries[], unsigned n,
                     raft_io_append_cb cb)
{
    (void)io, (void)request, (void)entries, (void)cb;
    say("append", n);
    return bed->append_result;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    (void)io;
    say("truncate", index);
    return 0;
}

static int io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    (void)io, (void)request, (void)snapshot, (void)cb;
    say("snapshot", trailing);
    return 0;
}

static int io_send(struct raft_io *io, struct raft_io_send *request, const struct raft_message *message,
                   raft_io_send_cb cb)
{
    (void)io, (void)request, (void)cb;
    if (message->type != RAFT_APPEND_ENTRIES)
        say("other", message->server_id);
    else if (message->append_entries.n_entries > 0)
        say("entry", message->server_id);
    else
        say("notice", message->append_entries.leader_commit);
    return 0;
}

static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
    (void)io, (void)cb;
    say("close", 0);
}

/* --- what libraft does --- */

static void on_append(struct raft_io_append *request, int status)
{
    (void)request;
    say("appended", (unsigned long long)status);
}

static void on_send(struct raft_io_send *request, int status)
{
    (void)request;
    say("told", (unsigned long long)status);
}

static void append(unsigned n)
{
    static const struct raft_entry entry;
    assert_int_equal(bed->io.append(&bed->io, &bed->append[n], &entry, n, on_append), 0);
}

static void send_message(raft_id to, unsigned n_entries, raft_index commit)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES,
                             .server_id = to,
                             .server_address = "gone by the time it is used",
                             .append_entries = {.term = 7, .n_entries = n_entries, .leader_commit = commit}};
    assert_int_equal(bed->io.send(&bed->io, &bed->send[commit], &m, on_send), 0);
}

static int set_up(void **state)
{
    (void)state;
    bed = HF_NEW(struct bed);
    bed->env = hf_env_manual_create(1);
    bed->replica = hf_replica_create(bed->env, NULL, 0);
    bed->io = (struct raft_io){.data = &bed->raft,
                               .append = io_append,
                               .truncate = io_truncate,
                               .snapshot_put = io_snapshot_put,
                               .send = io_send,
                               .close = io_close};
    for (raft_id i = 0; i < 3; i++)
        bed->servers[i] = (struct raft_server){.id = i + 1, .address = "member", .role = RAFT_VOTER};
    bed->raft.io = &bed->io;
    bed->raft.fsm = hf_replica_fsm(bed->replica);
    bed->raft.id = 1;
    bed->raft.state = RAFT_LEADER;
    bed->raft.current_term = 7;
    bed->raft.configuration = (struct raft_configuration){bed->servers, 3};
    bed->leader_io = hf_leader_io_create(bed->replica, &bed->raft);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bed->io.close(&bed->io, NULL);
    hf_leader_io_free(bed->leader_io);
    hf_replica_free(bed->replica);
    hf_env_manual_free(bed->env);
    free(bed);
    return 0;
}

/* --- the disk --- */

static void members_come_before_the_own_disk(void **state)
{
    (void)state;
    append(1);
    send_message(2, 1, 0);
    send_message(3, 1, 0);
    append(2);
    assert_said("entry 2, entry 3");
    hf_leader_io_flush(bed->leader_io);
    assert_said("append 1, append 2");
    hf_leader_io_flush(bed->leader_io);
    assert_said("");
}

static void a_follower_does_not_wait(void **state)
{
    (void)state;
    append(1);
    bed->raft.state = RAFT_FOLLOWER;
    append(2);
    assert_said("append 1, append 2");
}

static void nothing_overtakes_an_entry_on_the_disk(void **state)
{
    (void)state;
    append(1);
    bed->io.truncate(&bed->io, 9);
    append(2);
    bed->io.snapshot_put(&bed->io, 4, NULL, NULL, NULL);
    assert_said("append 1, truncate 9, append 2, snapshot 4");
}

static void a_refused_write_is_told(void **state)
{
    (void)state;
    append(1);
    bed->append_result = RAFT_NOSPACE;
    hf_leader_io_flush(bed->leader_io);
    char text[64];
    snprintf(text, sizeof text, "append 1, appended %llu", (unsigned long long)RAFT_NOSPACE);
    assert_said(text);
}

static void too_many_entries_do_not_wait(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++)
        append(1);
    assert_said("");
    append(2);
    assert_non_null(strstr(bed->said, "append 1, append 2"));
    bed->said[0] = 0;
    append(3);
    assert_said("");
}

/* --- notices --- */

static void a_notice_goes_at_once_in_quiet_times(void **state)
{
    (void)state;
    send_message(2, 0, 11);
    assert_said("notice 11");
    send_message(2, 1, 0);
    hf_env_manual_advance_ms(bed->env, 100);
    send_message(2, 0, 12);
    send_message(3, 0, 13); /* another member that got nothing for long */
    assert_said("entry 2, notice 12, notice 13");
}

static void the_next_entry_makes_a_notice_needless(void **state)
{
    (void)state;
    send_message(2, 1, 0);
    send_message(2, 0, 11);
    hf_env_manual_advance_ms(bed->env, 1);
    send_message(2, 1, 0);
    assert_said("entry 2, entry 2");
    hf_env_manual_advance_ms(bed->env, 100);
    assert_said("told 0");
}

static void the_last_notice_of_a_burst_arrives(void **state)
{
    (void)state;
    send_message(2, 1, 0);
    send_message(3, 1, 0);
    send_message(2, 0, 11);
    send_message(2, 0, 12);
    send_message(3, 0, 13);
    hf_env_manual_advance_ms(bed->env, 4);
    assert_said("entry 2, entry 3");
    hf_env_manual_advance_ms(bed->env, 1);
    assert_said("told 0, notice 12, notice 13");
}

static void a_deposed_leader_says_nothing_more(void **state)
{
    (void)state;
    send_message(2, 1, 0);
    send_message(2, 0, 11);
    bed->raft.state = RAFT_FOLLOWER;
    hf_env_manual_advance_ms(bed->env, 100);
    assert_said("entry 2, told 0");
    bed->raft.state = RAFT_LEADER;
    send_message(2, 1, 0);
    send_message(2, 0, 12);
    bed->raft.current_term = 9; /* it leads again, but what it wanted to say was of term 7 */
    hf_env_manual_advance_ms(bed->env, 100);
    assert_said("entry 2, told 0");
}

static void a_removed_member_is_not_written_to(void **state)
{
    (void)state;
    send_message(3, 1, 0);
    send_message(3, 0, 11);
    bed->raft.configuration.n = 2;
    hf_env_manual_advance_ms(bed->env, 100);
    assert_said("entry 3, told 0");
}

static void other_messages_do_not_wait(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_TIMEOUT_NOW, .server_id = 2};
    send_message(2, 1, 0);
    bed->io.send(&bed->io, &bed->send[1], &m, on_send);
    assert_said("entry 2, other 2");
}

static void too_many_notices_do_not_wait(void **state)
{
    (void)state;
    send_message(2, 1, 0);
    bed->said[0] = 0;
    for (raft_index i = 1; i <= 256; i++)
        send_message(2, 0, i);
    assert_said("");
    send_message(2, 0, 257);
    assert_said("notice 257");
}

static void the_end_cancels_what_waits(void **state)
{
    (void)state;
    append(1);
    send_message(2, 1, 0);
    send_message(2, 0, 11);
    bed->said[0] = 0;
    bed->io.close(&bed->io, NULL);
    char text[96];
    snprintf(text, sizeof text, "appended %llu, told %llu, close 0", (unsigned long long)RAFT_CANCELED,
             (unsigned long long)RAFT_CANCELED);
    assert_said(text);
    hf_env_manual_advance_ms(bed->env, 100);
    hf_leader_io_flush(bed->leader_io);
    assert_said("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_come_before_the_own_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_follower_does_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_overtakes_an_entry_on_the_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_write_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_entries_do_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_notice_goes_at_once_in_quiet_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_entry_makes_a_notice_needless, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_notice_of_a_burst_arrives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deposed_leader_says_nothing_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_removed_member_is_not_written_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_messages_do_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_notices_do_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_cancels_what_waits, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
