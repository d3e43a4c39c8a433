/* Tests of the CLI's parsing and requests: the table is sound, words become flags, flags become JSON. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "rpc/pbjson.h"

struct cli_options cli_options = {.control = "127.0.0.1:1", .timeout_s = 1};

static const ProtobufCMethodDescriptor *method_of(const struct cli_noun *n, const struct cli_verb *v)
{
    return protobuf_c_service_descriptor_get_method_by_name(n->service, v->method);
}

static void every_row_names_a_method(void **state)
{
    (void)state;
    for (const struct cli_noun *n = cli_nouns; n->name; n++)
        for (const struct cli_verb *v = n->verbs; v->name; v++)
            if (v->method && !method_of(n, v))
                fail_msg("%s %s: the schema has no method %s", n->name, v->name, v->method);
}

static const struct cli_flag *flag_of(const char *noun, const char *verb, const char *flag)
{
    for (const struct cli_noun *n = cli_nouns; n->name; n++)
        for (const struct cli_verb *v = strcmp(n->name, noun) == 0 ? n->verbs : NULL; v && v->name; v++)
            for (const struct cli_flag *f = strcmp(v->name, verb) == 0 ? v->flags : NULL; f && f->name; f++)
                if (strcmp(f->name, flag) == 0)
                    return f;
    return NULL;
}

/* A key need not stand on a command line, where everybody on the machine reads it. */
static void a_secret_from_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/hf-cli-XXXXXX", value[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "AQDj==\nmore\n", 12) == 12);
    close(fd);
    snprintf(value, sizeof value, "@%s", path);
    const struct cli_flag *key = flag_of("storage", "create", "key");
    assert_non_null(key);
    struct cli_args args = {.n_given = 1};
    args.given[0] = (struct cli_given){key, value};
    json_t *root = json_object();
    assert_true(hf_ok(cli_request_fill(&args, root, NULL, NULL)));
    assert_string_equal(json_string_value(cli_json_at(root, "spec.ceph.key")), "AQDj==");
    unlink(path);
    hf_status st = cli_request_fill(&args, root, NULL, NULL);
    assert_non_null(strstr(hf_status_message(st), "--key"));
    hf_status_drop(st);
    json_decref(root);
}

static void a_file_gives_its_length(void **state)
{
    (void)state;
    char path[] = "/tmp/hf-cli-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "seven b", 7) == 7);
    close(fd);
    struct cli_args args = {.n_given = 1};
    args.given[0] = (struct cli_given){flag_of("image", "create", "upload"), path};
    json_t *root = json_object();
    assert_true(hf_ok(cli_request_fill(&args, root, NULL, NULL)));
    assert_int_equal(json_integer_value(cli_json_at(root, "spec.uploadBytes")), 7);
    unlink(path);
    for (size_t i = 0; i < 2; i++) {
        args.given[0].value = i == 0 ? path : "/tmp";
        hf_status st = cli_request_fill(&args, root, NULL, NULL);
        assert_non_null(strstr(hf_status_message(st), "--upload"));
        hf_status_drop(st);
    }
    json_decref(root);
}

/* Every flag's path exists in the schema: a filled request converts into its message. */
static void every_flag_names_a_field(void **state)
{
    (void)state;
    for (const struct cli_noun *n = cli_nouns; n->name; n++)
        for (const struct cli_verb *v = n->verbs; v->name; v++)
            for (const struct cli_flag *f = v->flags; f && f->name && v->method; f++) {
                const ProtobufCMethodDescriptor *m = method_of(n, v);
                bool in_object = v->shape == CLI_CREATE || v->shape == CLI_UPDATE;
                json_t *root = json_object(), *request = root;
                struct cli_args args = {.n_given = 1};
                const char *value = f->type == CLI_RANGE ? "10.0.0.1-10.0.0.9" : f->type == CLI_PAIR ? "ip=10.0.0.1" : "1";
                args.given[0] = (struct cli_given){f, value};
                char choice[64] = "";
                if (f->type == CLI_CHOICE) {
                    snprintf(choice, sizeof choice, "%.*s", (int)strcspn(f->choices, "="), f->choices);
                    args.given[0].value = choice;
                }
                if (f->type == CLI_FILE)
                    args.given[0].value = "/proc/self/exe";
                if (f->type == CLI_REF)
                    args.given[0].value = "0123456789abcdef0123456789abcdef";
                hf_status st = cli_request_fill(&args, root, NULL, NULL);
                if (hf_ok(st) && in_object) {
                    request = json_object();
                    cli_json_set(request, m->input->fields[1].name, root);
                }
                ProtobufCMessage *message = NULL;
                if (hf_ok(st))
                    st = hf_pb_from_json(m->input, request, &message);
                if (!hf_ok(st))
                    fail_msg("%s %s --%s: %s", n->name, v->name, f->name, hf_status_message(st));
                protobuf_c_message_free_unpacked(message, NULL);
                json_decref(request);
            }
}

static bool parse(const char *noun, const char *verb, struct cli_args *ret, char **words)
{
    const struct cli_noun *n = cli_noun_find(noun);
    return cli_args_parse(n, cli_verb_find(n, verb), words, ret);
}

static void words_become_flags(void **state)
{
    (void)state;
    struct cli_args a;
    char *words[] = {"small", "--cpus", "2", "--memory=512M", NULL};
    assert_true(parse("offering", "create", &a, words));
    assert_string_equal(a.subject, "small");
    assert_string_equal(cli_args_get(&a, "cpus"), "2");
    assert_string_equal(cli_args_get(&a, "memory"), "512M");
    assert_null(cli_args_get(&a, "strategy"));
    json_t *root = json_object();
    assert_true(hf_ok(cli_request_fill(&a, root, NULL, NULL)));
    assert_int_equal(json_integer_value(cli_json_at(root, "spec.memoryBytes")), 512 << 20);
    json_decref(root);
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    struct cli_args a;
    char *missing_name[] = {"--cpus", "2", "--memory", "1G", NULL};
    char *missing_flag[] = {"small", "--cpus", "2", NULL};
    char *unknown_flag[] = {"small", "--cpus", "2", "--memory", "1G", "--colour", "red", NULL};
    char *no_value[] = {"small", "--memory", "1G", "--cpus", NULL};
    char *too_many[] = {"small", "large", "--cpus", "2", "--memory", "1G", NULL};
    assert_false(parse("offering", "create", &a, missing_name));
    assert_false(parse("offering", "create", &a, missing_flag));
    assert_false(parse("offering", "create", &a, unknown_flag));
    assert_false(parse("offering", "create", &a, no_value));
    assert_false(parse("offering", "create", &a, too_many));
}

static void sizes_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        long long bytes;
    } good[] = {{"1024", 1024}, {"1K", 1024}, {"1.5G", 3LL << 29}, {"2TiB", 2LL << 40}, {"16mb", 16 << 20}};
    static const char *const bad[] = {"", "x", "1X", "-1", "1Gx", "G", "1e30"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        long long n = 0;
        assert_true(hf_ok(cli_size_parse(good[i].text, &n)));
        assert_int_equal(n, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        long long n = 0;
        hf_status st = cli_size_parse(bad[i], &n);
        if (hf_ok(st))
            fail_msg("'%s' was taken for a size", bad[i]);
        hf_status_drop(st);
    }
}

static void paths_become_objects(void **state)
{
    (void)state;
    json_t *root = json_object();
    cli_json_set(root, "spec.ip_ranges[0].start_ip", json_string("10.0.0.1"));
    cli_json_set(root, "spec.ip_ranges[0].end_ip", json_string("10.0.0.9"));
    cli_json_set(root, "spec.dns[]", json_string("1.1.1.1"));
    cli_json_set(root, "spec.dns[]", json_string("8.8.8.8"));
    char *text = json_dumps(root, JSON_COMPACT);
    assert_string_equal(text, "{\"spec\":{\"ipRanges\":[{\"startIp\":\"10.0.0.1\",\"endIp\":\"10.0.0.9\"}],"
                              "\"dns\":[\"1.1.1.1\",\"8.8.8.8\"]}}");
    free(text);
    json_decref(root);
}

static void a_verb_may_have_two_words(void **state)
{
    (void)state;
    const struct cli_noun *host = cli_noun_find("host");
    size_t used;
    char *enter[] = {"maintenance", "enter", "host-1", NULL}, *drain[] = {"drain", "enter", NULL};
    char *half[] = {"maintenance", NULL}, *nothing[] = {NULL};
    assert_string_equal(cli_verb_of(host, enter, &used)->method, "EnterMaintenance");
    assert_int_equal(used, 2);
    assert_string_equal(cli_verb_of(host, drain, &used)->method, "DrainHost");
    assert_int_equal(used, 1);
    assert_null(cli_verb_of(host, half, &used));
    assert_null(cli_verb_of(host, nothing, &used));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_names_a_method), cmocka_unit_test(every_flag_names_a_field),
        cmocka_unit_test(a_secret_from_a_file),
        cmocka_unit_test(a_file_gives_its_length),
        cmocka_unit_test(words_become_flags),       cmocka_unit_test(wrong_words_are_refused),
        cmocka_unit_test(sizes_have_units),         cmocka_unit_test(paths_become_objects),
        cmocka_unit_test(a_verb_may_have_two_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
