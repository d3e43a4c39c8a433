#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "net/ipam.h"

static uint32_t ip(const char *text)
{
    uint32_t v;

    assert_true(hf_ip_parse(text, &v));
    return v;
}

static struct hf_ip_range range(const char *start, const char *end, const char *netmask, const char *gateway)
{
    struct hf_ip_range r;

    assert_true(hf_ok(hf_ip_range_parse(start, end, netmask, gateway, NULL, &r)));
    return r;
}

static void assert_invalid(hf_status st, const char *sentence)
{
    assert_int_equal(hf_status_code(st), HF_INVALID);
    assert_string_equal(hf_status_message(st), sentence);
    hf_status_drop(st);
}

static void parses_and_formats_addresses(void **state)
{
    static const char *const bad[] = {"",         "1.2.3",      "1.2.3.4.5", "256.1.1.1", "1.2.3.04",
                                      " 1.2.3.4", "1.2.3.4/24", "::1",       "a.b.c.d",   "1.2.3.4 "};
    char text[20];
    uint32_t v;

    (void)state;
    assert_int_equal(ip("172.20.108.40"), 0xac146c28);
    assert_string_equal(hf_ip_format(0xac146c28, text), "172.20.108.40");
    assert_string_equal(hf_ip_format(UINT32_MAX, text), "255.255.255.255");
    assert_string_equal(hf_cidr_format(UINT32_MAX, 32, text), "255.255.255.255/32");
    assert_false(hf_ip_parse(NULL, &v));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(hf_ip_parse(bad[i], &v));
}

static void parses_netmasks(void **state)
{
    static const struct {
        const char *text;
        unsigned prefix;
    } good[] = {{"255.255.0.0", 16}, {"16", 16}, {"0", 0},
                {"0.0.0.0", 0},      {"32", 32}, {"255.255.255.252", 30}};
    static const char *const bad[] = {"255.0.255.0", "33", "016", "-1", "1.6", "255.255.255.256", "", "16 "};
    unsigned prefix;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(hf_netmask_parse(good[i].text, &prefix));
        assert_int_equal(prefix, good[i].prefix);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(hf_netmask_parse(bad[i], &prefix));
    assert_false(hf_netmask_parse(NULL, &prefix));
}

static void takes_a_range_by_its_ends(void **state)
{
    struct hf_ip_range r = range("172.20.108.40", "172.20.108.50", "255.255.0.0", "172.20.0.1");
    struct hf_ip_range single = range("10.0.0.9", "10.0.0.9", "24", "10.0.0.1");

    (void)state;
    assert_int_equal(r.start, ip("172.20.108.40"));
    assert_int_equal(r.end, ip("172.20.108.50"));
    assert_int_equal(r.gateway, ip("172.20.0.1"));
    assert_int_equal(r.network, ip("172.20.0.0"));
    assert_int_equal(r.prefix, 16);
    assert_int_equal(single.start, single.end);
}

static void takes_a_cidr_alone(void **state)
{
    struct hf_ip_range r;

    (void)state;
    assert_true(hf_ok(hf_ip_range_parse("", NULL, "", "", "192.168.10.0/24", &r)));
    assert_int_equal(r.gateway, ip("192.168.10.1"));
    assert_int_equal(r.start, ip("192.168.10.2"));
    assert_int_equal(r.end, ip("192.168.10.254"));
    assert_int_equal(r.network, ip("192.168.10.0"));
    assert_int_equal(r.prefix, 24);
    assert_true(hf_ok(hf_ip_range_parse(NULL, NULL, NULL, "10.0.0.1", "10.0.0.0/30", &r)));
    assert_int_equal(r.start, ip("10.0.0.2"));
    assert_int_equal(r.end, ip("10.0.0.2"));
}

static void takes_the_ends_with_a_cidr(void **state)
{
    struct hf_ip_range r;

    (void)state;
    assert_true(hf_ok(hf_ip_range_parse("10.1.0.10", "10.1.0.20", NULL, "10.1.0.1", "10.1.0.0/16", &r)));
    assert_int_equal(r.prefix, 16);
    assert_true(
        hf_ok(hf_ip_range_parse("10.1.0.10", "10.1.0.20", "255.255.0.0", "10.1.0.1", "10.1.0.0/16", &r)));
}

static void says_which_rule_a_range_breaks(void **state)
{
    static const struct {
        const char *start, *end, *netmask, *gateway, *cidr, *sentence;
    } cases[] = {
        {NULL, NULL, NULL, NULL, NULL, "the start address is missing"},
        {"10.0.0.5", "", "24", "10.0.0.1", NULL, "the end address is missing"},
        {"10.0.0.5", "10.0.0.9", "24", NULL, NULL, "the gateway is missing"},
        {"10.0.0.5", "10.0.0.9", NULL, "10.0.0.1", NULL, "the netmask is missing"},
        {"10.0.0.x", "10.0.0.9", "24", "10.0.0.1", NULL,
         "the start address '10.0.0.x' is not an IPv4 address"},
        {"10.0.0.5", "10.0.0.9", "255.0.255.0", "10.0.0.1", NULL,
         "the netmask '255.0.255.0' is neither like 255.255.255.0 nor a prefix length"},
        {"10.0.0.9", "10.0.0.5", "24", "10.0.0.1", NULL,
         "the start address 10.0.0.9 is above the end address 10.0.0.5"},
        {"10.0.0.5", "10.0.1.9", "24", "10.0.0.1", NULL, "the end address 10.0.1.9 is outside 10.0.0.0/24"},
        {"10.0.0.5", "10.0.0.9", "24", "10.0.1.1", NULL, "the gateway 10.0.1.1 is outside 10.0.0.0/24"},
        {"10.0.0.5", "10.0.0.9", "24", "10.0.0.7", NULL,
         "the gateway 10.0.0.7 lies inside the range 10.0.0.5-10.0.0.9"},
        {"10.0.0.0", "10.0.0.9", "24", "10.0.0.1", NULL,
         "the start address 10.0.0.0 is the network address of 10.0.0.0/24"},
        {"10.0.0.5", "10.0.0.255", "24", "10.0.0.1", NULL,
         "the end address 10.0.0.255 is the broadcast address of 10.0.0.0/24"},
        {"10.0.0.5", "10.0.0.9", "7", "10.0.0.1", NULL, "the prefix /7 is not between /8 and /30"},
        {"10.0.0.1", "10.0.0.1", "31", "10.0.0.0", NULL, "the prefix /31 is not between /8 and /30"},
        {"127.0.0.5", "127.0.0.9", "24", "127.0.0.1", NULL,
         "127.0.0.0/24 is reserved (0.0.0.0/8, 127.0.0.0/8 and 224.0.0.0 upward are)"},
        {"10.0.0.5", "10.0.0.9", NULL, "10.0.0.1", "10.0.1.0/24",
         "the start address 10.0.0.5 is outside 10.0.1.0/24"},
        {"10.0.0.5", "10.0.0.9", "16", "10.0.0.1", "10.0.0.0/24",
         "the netmask '16' and the CIDR '10.0.0.0/24' are of different size"},
        {NULL, NULL, NULL, NULL, "10.0.0.1/24",
         "'10.0.0.1/24' is not a CIDR: 10.0.0.1 is not the first address of a /24 network"},
        {NULL, NULL, NULL, NULL, "10.0.0.0", "'10.0.0.0' is not a CIDR: write it like 192.168.10.0/24"},
        {NULL, NULL, NULL, NULL, "10.0.0.0/", "'10.0.0.0/' is not a CIDR: write it like 192.168.10.0/24"},
        {NULL, NULL, NULL, NULL, "10.0.0.0.0.0.0.0.0.0/8",
         "'10.0.0.0.0.0.0.0.0.0/8' is not a CIDR: write it like 192.168.10.0/24"},
        {NULL, NULL, NULL, NULL, "10.0.0.0/31", "the prefix /31 is not between /8 and /30"},
        {NULL, NULL, NULL, "10.0.0.9", "10.0.0.0/24",
         "the gateway 10.0.0.9 is not the first address of 10.0.0.0/24: give a start and an end address too"},
    };
    struct hf_ip_range r;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_invalid(hf_ip_range_parse(cases[i].start, cases[i].end, cases[i].netmask, cases[i].gateway,
                                         cases[i].cidr, &r),
                       cases[i].sentence);
}

static void ranges_of_one_network_agree(void **state)
{
    struct hf_ip_range a = range("10.0.0.10", "10.0.0.20", "24", "10.0.0.1");
    struct hf_ip_range b = range("10.0.0.21", "10.0.0.30", "24", "10.0.0.1");
    struct hf_ip_range c = range("10.0.0.20", "10.0.0.22", "24", "10.0.0.1");
    struct hf_ip_range other_gateway = range("10.0.0.40", "10.0.0.50", "24", "10.0.0.2");
    struct hf_ip_range other_cidr = range("10.0.1.40", "10.0.1.50", "24", "10.0.1.1");
    struct hf_ip_range inside = range("10.0.0.12", "10.0.0.13", "24", "10.0.0.1");

    (void)state;
    assert_true(hf_ok(hf_ip_ranges_check(NULL, 0)));
    assert_true(hf_ok(hf_ip_ranges_check((struct hf_ip_range[]){b, a}, 2)));
    assert_invalid(hf_ip_ranges_check((struct hf_ip_range[]){a, c}, 2),
                   "the ranges 10.0.0.10-10.0.0.20 and 10.0.0.20-10.0.0.22 overlap");
    assert_invalid(hf_ip_ranges_check((struct hf_ip_range[]){a, b, c}, 3),
                   "the ranges 10.0.0.10-10.0.0.20 and 10.0.0.20-10.0.0.22 overlap");
    assert_invalid(hf_ip_ranges_check((struct hf_ip_range[]){inside, a}, 2),
                   "the ranges 10.0.0.12-10.0.0.13 and 10.0.0.10-10.0.0.20 overlap");
    assert_invalid(hf_ip_ranges_check((struct hf_ip_range[]){a, other_gateway}, 2),
                   "the ranges 10.0.0.10-10.0.0.20 and 10.0.0.40-10.0.0.50 have different gateways, "
                   "10.0.0.1 and 10.0.0.2");
    assert_invalid(hf_ip_ranges_check((struct hf_ip_range[]){a, other_cidr}, 2),
                   "the ranges 10.0.0.10-10.0.0.20 and 10.0.1.40-10.0.1.50 are of different networks, "
                   "10.0.0.0/24 and 10.0.1.0/24");
}

static void dhcp_address_rules(void **state)
{
    struct hf_ip_range r = range("172.20.108.40", "172.20.108.50", "255.255.0.0", "172.20.0.1");

    (void)state;
    assert_true(hf_ok(hf_dhcp_ip_check(&r, 1, "172.20.180.41")));
    assert_true(hf_ok(hf_dhcp_ip_check(&r, 1, "172.20.108.41")));
    assert_invalid(hf_dhcp_ip_check(&r, 1, "172.20.0.1"), "the DHCP address 172.20.0.1 is the gateway");
    assert_invalid(hf_dhcp_ip_check(&r, 1, "172.21.0.1"),
                   "the DHCP address 172.21.0.1 is outside 172.20.0.0/16");
    assert_invalid(hf_dhcp_ip_check(&r, 1, "172.20.0.0"),
                   "the DHCP address 172.20.0.0 is the network address of 172.20.0.0/16");
    assert_invalid(hf_dhcp_ip_check(&r, 1, "172.20.255.255"),
                   "the DHCP address 172.20.255.255 is the broadcast address of 172.20.0.0/16");
    assert_invalid(hf_dhcp_ip_check(&r, 1, "x"), "the DHCP address 'x' is not an IPv4 address");
    assert_invalid(hf_dhcp_ip_check(&r, 1, ""), "the DHCP address is missing");
    assert_invalid(hf_dhcp_ip_check(NULL, 0, "172.20.0.9"),
                   "a DHCP address needs a range of the network first");
}

static bool below(void *arg, uint32_t v)
{
    return v < *(const uint32_t *)arg;
}

static void finds_the_first_free_address(void **state)
{
    struct hf_ip_range r[2] = {range("10.0.0.10", "10.0.0.12", "24", "10.0.0.1"),
                               range("10.0.0.20", "10.0.0.21", "24", "10.0.0.1")};
    uint32_t limit = 0, got = 0;

    (void)state;
    assert_true(hf_ip_first_free(r, 2, below, &limit, &got));
    assert_int_equal(got, ip("10.0.0.10"));
    limit = ip("10.0.0.12");
    assert_true(hf_ip_first_free(r, 2, below, &limit, &got));
    assert_int_equal(got, ip("10.0.0.12"));
    limit = ip("10.0.0.13");
    assert_true(hf_ip_first_free(r, 2, below, &limit, &got));
    assert_int_equal(got, ip("10.0.0.20"));
    limit = ip("10.0.0.22");
    assert_false(hf_ip_first_free(r, 2, below, &limit, &got));
    assert_false(hf_ip_first_free(r, 0, below, &limit, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_formats_addresses), cmocka_unit_test(parses_netmasks),
        cmocka_unit_test(takes_a_range_by_its_ends),    cmocka_unit_test(takes_a_cidr_alone),
        cmocka_unit_test(takes_the_ends_with_a_cidr),   cmocka_unit_test(says_which_rule_a_range_breaks),
        cmocka_unit_test(ranges_of_one_network_agree),  cmocka_unit_test(dhcp_address_rules),
        cmocka_unit_test(finds_the_first_free_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
