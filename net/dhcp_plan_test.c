#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/dhcp_plan.h"

static const char *const dns[] = {"8.8.8.8", "1.1.1.1"};
static const struct hf_dhcp_host hosts[] = {
    {"52:54:00:00:00:01", "172.20.108.40", "vm-1", true},
    {"52:54:00:00:00:02", "172.20.108.41", "not a label", false},
};

static struct hf_dhcp_config config(void)
{
    struct hf_dhcp_config c = {.bridge = "br_eth1",
                               .cidr = "172.20.0.0/16",
                               .dhcp_ip = "172.20.180.41",
                               .gateway = "172.20.0.1",
                               .dns = dns,
                               .n_dns = 2,
                               .hosts = hosts,
                               .n_hosts = 2};
    assert_true(hf_uuid_parse("0123456789abcdef0123456789abcdef", &c.l3_uuid));
    return c;
}

static struct hf_dhcp_plan make(const struct hf_dhcp_config *c, const char *uplink)
{
    struct hf_dhcp_plan p;
    hf_status st = hf_dhcp_plan_make(&p, "/run/hf/net", c, uplink);
    assert_string_equal(hf_status_message(st), "ok");
    return p;
}

static void names_bridges(void **state)
{
    char out[HF_IFNAME_MAX];
    (void)state;
    assert_string_equal(hf_bridge_name("eth1", out), "br_eth1");
    assert_string_equal(hf_bridge_name("enp0s31f6np0123", out), "br_enp0s31f6np0");
    assert_int_equal(strlen(out), HF_IFNAME_MAX - 1);
}

static void writes_the_files(void **state)
{
    struct hf_dhcp_config c = config();
    struct hf_dhcp_plan p = make(&c, NULL);
    (void)state;
    assert_string_equal(p.netns, "hf-dhcp-01234567");
    assert_string_equal(p.veth, "hfd01234567");
    assert_string_equal(p.hosts_dir, "/run/hf/net/01234567/hosts");
    assert_string_equal(p.hosts, "52:54:00:00:00:01,set:route,172.20.108.40,vm-1,infinite\n"
                                 "52:54:00:00:00:02,172.20.108.41,infinite\n");
    assert_string_equal(p.opts, "option:router\noption:dns-server\n"
                                "tag:route,option:router,172.20.0.1\n"
                                "tag:route,option:dns-server,8.8.8.8,1.1.1.1\n");
    hf_dhcp_plan_done(&p);
    c.n_dns = 0;
    c.gateway = "";
    c.n_hosts = 0;
    p = make(&c, NULL);
    assert_string_equal(p.hosts, "");
    assert_string_equal(p.opts, "option:router\noption:dns-server\n");
    hf_dhcp_plan_done(&p);
}

static void has_arg(const struct hf_dhcp_plan *p, const char *arg)
{
    for (size_t i = 0; p->argv[i]; i++)
        if (strcmp(p->argv[i], arg) == 0)
            return;
    fail_msg("no %s", arg);
}

static void tells_dnsmasq(void **state)
{
    struct hf_dhcp_config c = config();
    struct hf_dhcp_plan p = make(&c, NULL);
    (void)state;
    assert_string_equal(p.argv[0], "dnsmasq");
    has_arg(&p, "--dhcp-range=172.20.0.0,static,255.255.0.0,infinite");
    has_arg(&p, "--no-ping");
    has_arg(&p, "--dhcp-hostsdir=/run/hf/net/01234567/hosts");
    has_arg(&p, "--pid-file=/run/hf/net/01234567/dnsmasq.pid");
    hf_dhcp_plan_done(&p);
}

static void keeps_dhcp_on_the_host(void **state)
{
    struct hf_dhcp_config c = config();
    struct hf_dhcp_plan p = make(&c, "eth1");
    (void)state;
    assert_non_null(
        strstr(p.rules, "add table bridge hf_dhcp_01234567\ndelete table bridge hf_dhcp_01234567\n"));
    assert_non_null(strstr(p.rules, "iifname \"eth1\" ether type arp arp daddr ip 172.20.180.41 drop"));
    assert_non_null(strstr(p.rules, "oifname \"eth1\" ether type arp arp saddr ip 172.20.180.41 drop"));
    assert_non_null(strstr(p.rules, "iifname \"eth1\" ether type ip udp dport { 67, 68 } drop"));
    assert_non_null(strstr(p.rules, "oifname \"eth1\" ether type ip udp dport { 67, 68 } drop"));
    hf_dhcp_plan_done(&p);
    p = make(&c, NULL);
    assert_null(strstr(p.rules, "chain"));
    hf_dhcp_plan_done(&p);
}

static void refuses_bad_configurations(void **state)
{
    static const struct hf_dhcp_host bad_mac = {"52:54:00:00:00:0x", "172.20.108.40", "a", true};
    static const struct hf_dhcp_host long_mac = {"52:54:00:00:00:01\n", "172.20.108.40", "a", true};
    static const struct hf_dhcp_host outside = {"52:54:00:00:00:01", "172.21.108.40", "a", true};
    static const char *const bad_dns[] = {"8.8.8.8\nlog-queries"};
    struct hf_dhcp_config bad[8];
    struct hf_dhcp_plan p;
    (void)state;
    for (int i = 0; i < 8; i++)
        bad[i] = config();
    bad[0].cidr = "172.20.0.1/16";
    bad[1].dhcp_ip = "172.21.0.1";
    bad[2].gateway = "10.0.0.1";
    bad[3].hosts = &bad_mac;
    bad[4].hosts = &long_mac;
    bad[5].hosts = &outside;
    bad[6].dns = bad_dns;
    bad[7].dhcp_ip = NULL;
    bad[3].n_hosts = bad[4].n_hosts = bad[5].n_hosts = 1;
    bad[6].n_dns = 1;
    for (int i = 0; i < 8; i++) {
        hf_status st = hf_dhcp_plan_make(&p, "/run/hf/net", &bad[i], NULL);
        assert_int_equal(hf_status_code(st), HF_INVALID);
        hf_status_drop(st);
    }
}

static void assert_change(const char *old_hosts, const char *old_opts, const struct hf_dhcp_plan *p,
                          enum hf_dhcp_change change, const char *added)
{
    char *got = NULL;
    assert_int_equal(hf_dhcp_change(old_hosts, old_opts, p, &got), change);
    if (added)
        assert_string_equal(got, added);
    else
        assert_null(got);
    free(got);
}

static void knows_what_a_change_asks_for(void **state)
{
    struct hf_dhcp_config c = config();
    struct hf_dhcp_plan p = make(&c, NULL);
    const char *first = "52:54:00:00:00:01,set:route,172.20.108.40,vm-1,infinite\n";
    const char *second = "52:54:00:00:00:02,172.20.108.41,infinite\n";
    char turned[256];
    (void)state;
    snprintf(turned, sizeof turned, "%s%s", second, first);
    assert_change(p.hosts, p.opts, &p, HF_DHCP_SAME, NULL);
    assert_change(turned, p.opts, &p, HF_DHCP_SAME, NULL);
    assert_change(first, p.opts, &p, HF_DHCP_ADD, second);
    assert_change("", p.opts, &p, HF_DHCP_ADD, p.hosts);
    assert_change(p.hosts, "option:router\n", &p, HF_DHCP_RESTART, NULL);
    assert_change("52:54:00:00:00:09,172.20.108.40,infinite\n", p.opts, &p, HF_DHCP_RESTART, NULL);
    assert_change("52:54:00:00:00:01,set:route,172.20.108.49,vm-1,infinite\n", p.opts, &p, HF_DHCP_RESTART,
                  NULL);
    assert_change("52:54:00", p.opts, &p, HF_DHCP_RESTART, NULL);
    assert_change(NULL, p.opts, &p, HF_DHCP_RESTART, NULL);
    assert_change(p.hosts, NULL, &p, HF_DHCP_RESTART, NULL);
    hf_dhcp_plan_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_bridges),
        cmocka_unit_test(writes_the_files),
        cmocka_unit_test(tells_dnsmasq),
        cmocka_unit_test(keeps_dhcp_on_the_host),
        cmocka_unit_test(refuses_bad_configurations),
        cmocka_unit_test(knows_what_a_change_asks_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
