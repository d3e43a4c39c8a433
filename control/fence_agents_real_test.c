/* Real fence agents: fence_ipmilan and ipmitool against a simulated BMC (OpenIPMI's ipmi_sim), whose power
 * button is a script that keeps the power in a file; and fence_dummy. They come from Debian's fence-agents,
 * ipmitool and openipmi (scripts/packages).
 */
#include "control/fence_agents_testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LONG_MS 60000

struct bmc {
    struct bed *bed;
    unsigned port;
    char port_text[8];
    pid_t pid;
    struct hf_power_option options[6];
};

static const char button[] = "#!/bin/sh\n"
                             "dir=%s\n"
                             "echo \"$*\" >> $dir/presses\n"
                             "shift; verb=$1; shift\n"
                             "while [ $# -gt 0 ]; do\n"
                             "  case $verb:$1 in\n"
                             "  get:power) echo power:$(cat $dir/power); shift ;;\n"
                             "  set:power) [ -e $dir/stuck ] || echo $2 > $dir/power; shift 2 ;;\n"
                             "  *) shift ;;\n"
                             "  esac\n"
                             "done\n";

static const char lan[] = "name \"bmc\"\n"
                          "set_working_mc 0x20\n"
                          "chassis_control \"%s/button 0x20\"\n"
                          "startlan 1\n"
                          "  addr 127.0.0.1 %u\n"
                          "  priv_limit admin\n"
                          "  allowed_auths_admin none md2 md5 straight\n"
                          "  guid a123456789abcdefa123456789abcdef\n"
                          "endlan\n"
                          "user 1 true \"\" \"none\" user 10 none md2 md5 straight\n"
                          "user 2 true \"admin\" \"s3cret\" admin 10 none md2 md5 straight\n";

static const char emulation[] = "mc_setbmc 0x20\n"
                                "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n"
                                "sel_enable 0x20 1000 0x0a\n"
                                "mc_enable 0x20\n";

/* A UDP port that nobody has at this moment. */
static unsigned free_port(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void write_formatted(struct bed *b, const char *name, mode_t mode, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = hf_vprintf(fmt, ap);
    va_end(ap);
    write_file(b, name, text, mode);
    free(text);
}

static void start_bmc(struct bmc *m)
{
    char *conf = path_in(m->bed, "lan.conf"), *emu = path_in(m->bed, "bmc.emu"),
         *state = path_in(m->bed, "state");
    char *log = path_in(m->bed, "ipmi_sim.log");
    assert_int_equal(mkdir(state, 0700), 0);
    m->pid = fork();
    if (m->pid == 0) {
        (void)!freopen(log, "w", stdout);
        dup2(1, 2);
        execlp("ipmi_sim", "ipmi_sim", "-c", conf, "-f", emu, "-s", state, "-n", (char *)NULL);
        _exit(127);
    }
    free(conf);
    free(emu);
    free(state);
    free(log);
}

static int setup(void **state)
{
    struct bmc *m = HF_NEW(struct bmc);
    m->bed = bed_make(HF_FENCE_AGENTS_DIR);
    m->port = free_port();
    snprintf(m->port_text, sizeof m->port_text, "%u", m->port);
    write_formatted(m->bed, "button", 0755, button, m->bed->dir);
    write_formatted(m->bed, "lan.conf", 0600, lan, m->bed->dir, m->port);
    write_file(m->bed, "bmc.emu", emulation, 0600);
    write_file(m->bed, "power", "1\n", 0600);
    struct hf_power_option options[] = {{"ip", "127.0.0.1", false},   {"ipport", m->port_text, false},
                                        {"lanplus", "1", false},      {"cipher", "3", false},
                                        {"username", "admin", false}, {"password", "s3cret", true}};
    memcpy(m->options, options, sizeof options);
    start_bmc(m);
    for (int i = 0; i < 30; i++) /* until it listens */
        if (ask(m->bed, "fence_ipmilan", HF_POWER_STATUS, LONG_MS, m->options, 6).answer == HF_POWER_IS_ON)
            break;
    *state = m;
    return 0;
}

static void stop_bmc(struct bmc *m)
{
    if (m->pid <= 0)
        return;
    kill(m->pid, SIGKILL);
    waitpid(m->pid, NULL, 0);
    m->pid = 0;
}

static int teardown(void **state)
{
    struct bmc *m = *state;
    stop_bmc(m);
    bed_free(m->bed);
    free(m);
    return 0;
}

static struct cut_device device_of(const struct bmc *m)
{
    return (struct cut_device){"bmc", "fence_ipmilan", 1, LONG_MS, m->options, 6};
}

static void off_is_confirmed(void **state)
{
    struct bmc *m = *state;
    struct cut c;
    struct cut_device d = device_of(m);
    assert_true(cut_power(&c, m->bed, &d, 1, 1));
    assert_true(file_says(m->bed, "power", "0"));
    assert_int_equal(c.offs, 1);
    assert_true(cut_power(&c, m->bed, &d, 1, 1)); /* off already: nothing is sent */
    assert_int_equal(c.offs, 0);
    assert_int_equal(ask(m->bed, "fence_ipmilan", HF_POWER_ON, LONG_MS, m->options, 6).answer,
                     HF_POWER_ACCEPTED);
    assert_int_equal(ask(m->bed, "fence_ipmilan", HF_POWER_STATUS, LONG_MS, m->options, 6).answer,
                     HF_POWER_IS_ON);
}

static void a_wrong_password(void **state)
{
    struct bmc *m = *state;
    struct cut c;
    m->options[5].value = "wrong-one";
    struct cut_device d = device_of(m);
    char text[HF_POWER_TEXT_MAX];
    assert_false(cut_power(&c, m->bed, &d, 1, 1));
    assert_true(file_says(m->bed, "power", "1"));
    assert_false(file_says(m->bed, "presses", "set"));
    hf_power_fence_say(&c.fence, clock_ms(), text, sizeof text);
    print_message("%s\n", text);
    assert_true(hf_power_fence_in_trouble(&c.fence));
    assert_null(strstr(text, "wrong-one"));
}

/* The BMC takes the "off" and does nothing. */
static void a_bmc_that_does_nothing(void **state)
{
    struct bmc *m = *state;
    struct cut c;
    write_file(m->bed, "stuck", "", 0600);
    struct cut_device d = device_of(m);
    d.timeout_ms = 3000; /* the agent itself waits for 20 s */
    assert_false(cut_power(&c, m->bed, &d, 1, 1));
    assert_int_equal(c.offs, HF_POWER_CUTS_MAX);
    assert_true(file_says(m->bed, "presses", "set power 0"));
    assert_true(file_says(m->bed, "power", "1"));
}

/* It hangs in the middle (the agent runs into its deadline), and another level helps. */
static void a_hanging_bmc_and_a_second_level(void **state)
{
    struct bmc *m = *state;
    struct cut c;
    char *file = path_in(m->bed, "strip");
    struct hf_power_option strip[] = {{"type", "file", false}, {"status_file", file, false}};
    struct cut_device d[] = {device_of(m), {"strip", "fence_dummy", 2, LONG_MS, strip, 2}};
    write_file(m->bed, "strip", "on", 0600);
    kill(m->pid, SIGSTOP);
    d[0].timeout_ms = 2000;
    assert_true(cut_power(&c, m->bed, d, 2, 3));
    assert_int_equal(c.fence.level, 2);
    assert_true(file_says(m->bed, "strip", "off"));
    free(file);
}

/* Nobody is there: the agent says so by itself, or at its deadline. */
static void an_unreachable_bmc(void **state)
{
    struct bmc *m = *state;
    struct cut c;
    stop_bmc(m);
    struct cut_device d = device_of(m);
    d.timeout_ms = 5000;
    assert_false(cut_power(&c, m->bed, &d, 1, 1));
    assert_int_equal(c.offs, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(off_is_confirmed),        TEST(a_wrong_password),
        TEST(a_bmc_that_does_nothing), TEST(a_hanging_bmc_and_a_second_level),
        TEST(an_unreachable_bmc),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
