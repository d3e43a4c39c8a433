/* The driver in network and mount namespaces of its own, with real bridges, a real dnsmasq and real DHCP
 * clients. The host has the NIC eth1, whose wire ends in the namespace "outside"; "guest" hangs on the bridge
 * like an instance. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "base/run_command.h"
#include "net/host_net.h"

#define LONG_MS   60000
#define GUEST_MAC "52:54:00:00:00:01"

static const char *why_not; /* a reason to skip everything */

struct fixture {
    uv_loop_t loop;
    struct hf_env *env;
    struct hf_host_net *net;
};

struct answer {
    unsigned n;
    enum hf_code code;
    char message[256];
};

static struct fixture *fx;

static void on_done(void *arg, hf_status st)
{
    struct answer *a = arg;
    a->n++;
    a->code = hf_status_code(st);
    snprintf(a->message, sizeof a->message, "%s", hf_status_message(st));
}

static struct answer wait_for(struct answer *a)
{
    while (a->n == 0)
        uv_run(&fx->loop, UV_RUN_ONCE);
    assert_int_equal(a->n, 1);
    return *a;
}

/* The output, to be freed; NULL when the script fails. */
static char *run(const char *fmt, ...) HF_PRINTF(1, 2);

static char *run(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *script = hf_vprintf(fmt, ap), *out = NULL;
    va_end(ap);
    const char *argv[] = {"sh", "-ec", script, NULL};
    hf_status_drop(hf_run_command(argv, LONG_MS, &out));
    free(script);
    return out;
}

#define sh(...)                                                                                              \
    do {                                                                                                     \
        char *out_ = run(__VA_ARGS__);                                                                       \
        if (!out_)                                                                                           \
            fail_msg("failed: " __VA_ARGS__);                                                                \
        free(out_);                                                                                          \
    } while (0)

static void assert_output(const char *script, const char *expected)
{
    char *out = run("%s", script);
    if (!out)
        fail_msg("failed: %s", script);
    assert_string_equal(out, expected);
    free(out);
}

static void open_net(void)
{
    hf_status st = hf_host_net_nl_create(fx->env, "/run/holdfast/net", &fx->net);
    assert_string_equal(hf_status_message(st), "ok");
}

static int set_up(void **state)
{
    *state = NULL;
    if (why_not)
        return 0;
    fx = HF_NEW(struct fixture);
    uv_loop_init(&fx->loop);
    fx->env = hf_env_uv_create(&fx->loop);
    open_net();
    sh("ip netns add outside; ip link add eth1 type veth peer name wire netns outside; ip -n outside link "
       "set wire up");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (why_not)
        return 0;
    fx->net->ops->close(fx->net);
    hf_env_uv_close(fx->env);
    uv_run(&fx->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fx->loop), 0);
    free(fx);
    sh("ip link del eth1; ip link del vnet0 2>/dev/null || true; ip link del br_eth1 2>/dev/null || true; ip "
       "netns del outside; ip netns del guest 2>/dev/null || true");
    return 0;
}

static void skip_if_told(void)
{
    if (!why_not)
        return;
    print_message("skipped: %s\n", why_not);
    skip();
}

static struct answer ensure_bridge(const char *nic)
{
    struct answer a = {0};
    fx->net->ops->ensure_bridge(fx->net, nic, LONG_MS, on_done, &a);
    return wait_for(&a);
}

static struct hf_dhcp_config config(const struct hf_dhcp_host *hosts, size_t n)
{
    static const char *const dns[] = {"8.8.8.8"};
    struct hf_dhcp_config c = {.bridge = "br_eth1",
                               .cidr = "172.20.0.0/16",
                               .dhcp_ip = "172.20.180.41",
                               .gateway = "172.20.0.1",
                               .dns = dns,
                               .n_dns = 1,
                               .hosts = hosts,
                               .n_hosts = n};
    assert_true(hf_uuid_parse("0123456789abcdef0123456789abcdef", &c.l3_uuid));
    return c;
}

static struct answer ensure_dhcp(const struct hf_dhcp_host *hosts, size_t n)
{
    struct answer a = {0};
    struct hf_dhcp_config c = config(hosts, n);
    fx->net->ops->ensure_dhcp(fx->net, &c, LONG_MS, on_done, &a);
    return wait_for(&a);
}

static struct answer remove_dhcp(void)
{
    struct answer a = {0};
    struct hf_dhcp_config c = config(NULL, 0);
    fx->net->ops->remove_dhcp(fx->net, &c.l3_uuid, LONG_MS, on_done, &a);
    return wait_for(&a);
}

static void assert_done(struct answer a)
{
    assert_string_equal(a.message, "ok");
}

static void add_guest(void)
{
    sh("ip netns add guest; ip link add vnet0 type veth peer name eth0 netns guest; ip link set vnet0 master "
       "br_eth1 up; "
       "ip -n guest link set eth0 address " GUEST_MAC " up");
}

/* What DHCP tells; "none" without an answer. Few, short tries: a server on this machine answers at once. */
static char *lease(const char *netns, const char *ifname)
{
    sh("cat >/run/udhcpc.sh <<'X'\n#!/bin/sh\n[ $1 = bound ] && echo \"$ip/$mask router=$router dns=$dns "
       "host=$hostname\" >/run/lease\n"
       "exit 0\nX\nchmod +x /run/udhcpc.sh; echo none >/run/lease");
    free(run(
        "ip netns exec %s busybox udhcpc -f -q -n -t 3 -T 1 -i %s -s /run/udhcpc.sh -x hostname:x || true",
        netns, ifname));
    return run("cat /run/lease");
}

static void assert_lease(const char *netns, const char *ifname, const char *expected)
{
    char *got = lease(netns, ifname);
    assert_non_null(got);
    got[strcspn(got, "\n")] = '\0';
    assert_string_equal(got, expected);
    free(got);
}

static void makes_a_bridge_with_its_nic(void **state)
{
    (void)state;
    skip_if_told();
    for (int i = 0; i < 2; i++) {
        assert_done(ensure_bridge("eth1"));
        assert_output("ip -br link show master br_eth1 | cut -d@ -f1", "eth1\n");
        sh("ip -d link show br_eth1 | grep -q 'forward_delay 0 .*stp_state 0'");
        sh("ip link show br_eth1 | grep -q '[<,]UP'; ip link show eth1 | grep -q '[<,]UP'");
    }
}

static void refuses_what_would_do_harm(void **state)
{
    struct answer a;
    (void)state;
    skip_if_told();
    a = ensure_bridge("eth9");
    assert_int_equal(a.code, HF_NOT_FOUND);
    assert_non_null(strstr(a.message, "this host has no NIC 'eth9'"));
    sh("ip addr add 10.9.9.9/24 dev eth1");
    a = ensure_bridge("eth1");
    assert_int_equal(a.code, HF_PRECONDITION);
    assert_non_null(strstr(a.message, "carries addresses of the host"));
    sh("ip addr del 10.9.9.9/24 dev eth1; ip link add other type bridge; ip link set eth1 master other");
    a = ensure_bridge("eth1");
    assert_int_equal(a.code, HF_PRECONDITION);
    assert_non_null(strstr(a.message, "is in another bridge"));
    sh("ip link del other; ip link add longlonglong01 type veth peer longlonglong02");
    assert_done(ensure_bridge("longlonglong01"));
    a = ensure_bridge("longlonglong02");
    assert_int_equal(a.code, HF_PRECONDITION);
    assert_non_null(strstr(a.message, "has the NIC 'longlonglong01' already"));
    sh("ip link del br_longlonglong; ip link del longlonglong01");
}

static const struct hf_dhcp_host routed = {GUEST_MAC, "172.20.108.40", "vm-1", true};

static void gives_leases_to_its_guests_only(void **state)
{
    (void)state;
    skip_if_told();
    assert_done(ensure_bridge("eth1"));
    add_guest();
    assert_done(ensure_dhcp(&routed, 1));
    assert_lease("guest", "eth0", "172.20.108.40/16 router=172.20.0.1 dns=8.8.8.8 host=vm-1");
    sh("ip -n guest link set eth0 address 52:54:00:00:00:02");
    assert_lease("guest", "eth0", "none");
    assert_done(remove_dhcp());
}

static void takes_changes_in(void **state)
{
    const struct hf_dhcp_host two[] = {routed, {"52:54:00:00:00:02", "172.20.108.41", "vm-2", false}};
    const struct hf_dhcp_host moved = {"52:54:00:00:00:02", "172.20.108.40", "vm-2", true};
    (void)state;
    skip_if_told();
    assert_done(ensure_bridge("eth1"));
    add_guest();
    assert_done(ensure_dhcp(&routed, 1));
    char *first = run("cat /run/holdfast/net/01234567/dnsmasq.pid");
    assert_lease("guest", "eth0", "172.20.108.40/16 router=172.20.0.1 dns=8.8.8.8 host=vm-1");
    assert_done(ensure_dhcp(&routed, 1));
    assert_done(ensure_dhcp(two, 2));
    char *second = run("cat /run/holdfast/net/01234567/dnsmasq.pid");
    assert_string_equal(first, second);
    sh("ip -n guest link set eth0 address 52:54:00:00:00:02");
    assert_lease("guest", "eth0", "172.20.108.41/16 router= dns= host=vm-2");
    /* vm-1 is gone and its address is somebody else's now. */
    assert_done(ensure_dhcp(&moved, 1));
    assert_lease("guest", "eth0", "172.20.108.40/16 router=172.20.0.1 dns=8.8.8.8 host=vm-2");
    free(first);
    free(second);
    assert_done(remove_dhcp());
}

static void a_restarted_daemon_takes_over(void **state)
{
    (void)state;
    skip_if_told();
    assert_done(ensure_bridge("eth1"));
    add_guest();
    assert_done(ensure_dhcp(&routed, 1));
    char *first = run("cat /run/holdfast/net/01234567/dnsmasq.pid");
    fx->net->ops->close(fx->net);
    open_net();
    assert_done(ensure_dhcp(&routed, 1));
    char *second = run("cat /run/holdfast/net/01234567/dnsmasq.pid");
    assert_string_equal(first, second);
    /* A dnsmasq that has died, and a namespace that somebody deleted, are made again. */
    sh("kill -9 %s", first);
    assert_done(ensure_dhcp(&routed, 1));
    assert_lease("guest", "eth0", "172.20.108.40/16 router=172.20.0.1 dns=8.8.8.8 host=vm-1");
    sh("ip netns del hf-dhcp-01234567");
    assert_done(ensure_dhcp(&routed, 1));
    assert_lease("guest", "eth0", "172.20.108.40/16 router=172.20.0.1 dns=8.8.8.8 host=vm-1");
    free(first);
    free(second);
    assert_done(remove_dhcp());
}

static void dhcp_never_leaves_the_host(void **state)
{
    const struct hf_dhcp_host far = {"52:54:00:00:00:07", "172.20.108.47", "far", true};
    (void)state;
    skip_if_told();
    assert_done(ensure_bridge("eth1"));
    assert_done(ensure_dhcp(&far, 1));
    sh("ip -n outside link set wire address 52:54:00:00:00:07; ip -n outside addr add 172.20.9.9/16 dev "
       "wire");
    assert_lease("outside", "wire", "none");
    assert_null(run("ip netns exec outside busybox arping -c 2 -w 2 -I wire 172.20.180.41"));
    /* It is the rules that keep it: without them both are answered. */
    sh("nft delete table bridge hf_dhcp_01234567");
    sh("ip netns exec outside busybox arping -c 2 -w 2 -I wire 172.20.180.41");
    assert_lease("outside", "wire", "172.20.108.47/16 router=172.20.0.1 dns=8.8.8.8 host=far");
    assert_done(ensure_dhcp(&far, 1));
    assert_lease("outside", "wire", "none");
    assert_done(remove_dhcp());
}

static void takes_all_of_it_away(void **state)
{
    (void)state;
    skip_if_told();
    assert_done(ensure_bridge("eth1"));
    assert_done(ensure_dhcp(&routed, 1));
    char *pid = run("cat /run/holdfast/net/01234567/dnsmasq.pid");
    for (int i = 0; i < 2; i++) {
        assert_done(remove_dhcp());
        assert_output("ip netns list | grep hf-dhcp || true", "");
        assert_output("ip -o link show type veth | grep hfd || true", "");
        assert_output("nft list tables | grep hf_dhcp || true", "");
        assert_output("ls -A /run/holdfast/net", "");
    }
    pid[strcspn(pid, "\n")] = '\0';
    sh("test -z \"$(tr -d '\\0' </proc/%s/cmdline)\"", pid); /* gone, or a zombie that nobody reaps */
    free(pid);
}

static void says_what_is_wrong(void **state)
{
    struct answer a;
    const struct hf_dhcp_host outside = {GUEST_MAC, "10.0.0.1", "x", true};
    (void)state;
    skip_if_told();
    a = ensure_dhcp(&routed, 1);
    assert_int_equal(a.code, HF_NOT_FOUND);
    assert_non_null(strstr(
        a.message,
        "DHCP of the L3 network 0123456789abcdef0123456789abcdef: there is no network interface 'br_eth1'"));
    assert_done(ensure_bridge("eth1"));
    a = ensure_dhcp(&outside, 1);
    assert_int_equal(a.code, HF_INVALID);
    assert_non_null(strstr(a.message, "the address of a NIC 10.0.0.1 is outside the network"));
}

/* The kernel, the rights and the programs that these tests need. */
static const char *enter_own_world(void)
{
    if (geteuid() != 0)
        return "not root";
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
        return "this kernel or container allows no namespaces";
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, NULL) != 0)
        return "this kernel or container allows no mounts";
    free(run("ip link set lo up"));
    char *ok = run("command -v dnsmasq busybox nft ip >/dev/null && ip link add hfprobe type bridge && ip "
                   "link del hfprobe && "
                   "nft add table bridge hfprobe && nft delete table bridge hfprobe");
    free(ok);
    return ok ? NULL : "dnsmasq, busybox, nft or ip is missing, or the kernel has no bridges";
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(makes_a_bridge_with_its_nic),
        TEST(refuses_what_would_do_harm),
        TEST(gives_leases_to_its_guests_only),
        TEST(takes_changes_in),
        TEST(a_restarted_daemon_takes_over),
        TEST(dhcp_never_leaves_the_host),
        TEST(takes_all_of_it_away),
        TEST(says_what_is_wrong),
    };
    why_not = enter_own_world();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
