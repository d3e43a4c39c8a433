#include "storage/ceph_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void spellings(void **state)
{
    static const struct {
        const char *text, *entry; /* NULL: it is none */
    } cases[] = {
        {"10.0.0.5", "10.0.0.5:0/0"},
        {"10.0.0.5:0/0", "10.0.0.5:0/0"},
        {"10.0.0.5:0/2027028864", "10.0.0.5:0/2027028864"},
        {"v1:10.0.0.5:6789/0", "10.0.0.5:0/0"},
        {"v2:10.0.0.5:3300/7", "10.0.0.5:0/7"},
        {"any:10.0.0.5:0/4294967295", "10.0.0.5:0/4294967295"},
        {"10.0.0.5:6800", "10.0.0.5:0/0"},
        {"10.0.0.5:0/4294967296", NULL},
        {"10.0.0.5:0/", NULL},
        {"10.0.0.5:0/1x", NULL},
        {"10.0.0.5:65536/1", NULL},
        {"10.0.0.5:", NULL},
        {"10.0.0:0/1", NULL},
        {"0.0.0.0:0/1", NULL},
        {"[fd00::5]:0/1", NULL},
        {"-", NULL},
        {":/0", NULL},
        {"", NULL},
        {"1000000000000000000000.1.1.1", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_ceph_client c;
        char entry[HF_CEPH_ENTRY_MAX];
        bool is = hf_ceph_client_parse(cases[i].text, &c);
        if (is != (cases[i].entry != NULL))
            fail_msg("'%s'", cases[i].text);
        if (is)
            assert_string_equal(hf_ceph_client_format(&c, entry), cases[i].entry);
    }
}

static void lists(void **state)
{
    struct hf_ceph_seen s = {.n = 0};
    char text[64];
    (void)state;
    hf_ceph_seen_add(&s, "");
    hf_ceph_seen_add(&s, "-");
    hf_ceph_seen_add(&s, "[::1]:0/4");
    assert_int_equal(s.n, 0);
    hf_ceph_seen_add(&s, "[v2:10.0.0.1:3300/0,v1:10.0.0.2:6789/0]");
    hf_ceph_seen_add(&s, "10.0.0.1:0/77");
    assert_int_equal(s.n, 2);
    assert_string_equal(s.ip[0], "10.0.0.1");
    assert_string_equal(s.ip[1], "10.0.0.2");
    hf_ceph_seen_add(&s, "[v2:[fd00::1]:0/3,any:10.0.0.3:0/3]"); /* one of both kinds */
    assert_int_equal(s.n, 3);
    for (int i = 0; i < 2 * HF_CEPH_SEEN_MAX; i++) {
        snprintf(text, sizeof text, "10.0.1.%d", i);
        hf_ceph_seen_add(&s, text);
    }
    assert_int_equal(s.n, HF_CEPH_SEEN_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
