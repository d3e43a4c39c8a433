#include "hostd/hostd_options.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ha/keeper_wire.h"
#include "storage/primary.h"

const char hf_hostd_help[] =
    "Usage: hostd --control ADDRESS[,ADDRESS...] --management-ip IP [options]\n"
    "\n"
    "The host daemon of Holdfast: attaches to the leader and runs this host's share of the instances.\n"
    "hf-lease must run on the same host; hostd waits for it. SIGTERM ends hostd and leaves the guests "
    "running.\n"
    "\n"
    "       hostd --shut-down [--run-dir DIR] [--shutdown-patience SECONDS]\n"
    "\n"
    "Before the machine is switched off: tells the daemon to have this host emptied by the leader, to stop "
    "what "
    "is still\n"
    "here when its patience ends, and to close the host's epoch; waits until it has left.\n"
    "\n"
    "  --control LIST        control nodes, for example 10.0.0.1:7480,10.0.0.2:7480,10.0.0.3:7480\n"
    "  --management-ip IP    this host's address in the management network\n"
    "  --state-dir DIR       identity of this host                  [/var/lib/holdfast]\n"
    "  --mount-base DIR      NFS storages are mounted below it      [/var/lib/holdfast/nfsprimarystorage]\n"
    "  --run-dir DIR         files that do not outlive a boot       [/run/holdfast]\n"
    "  --keeper-socket PATH  where hf-lease listens                 [" HF_KEEPER_SOCKET "]\n"
    "  --libvirt-uri URI     hypervisor                             [qemu:///system]\n"
    "  --accel auto|kvm|tcg  auto: found by running a guest         [auto]\n"
    "  --emulator PATH       starts guests in place of the gate, hf-qemu beside this program; then the "
    "keeper is\n"
    "                        not asked when a guest is born: for tests only\n"
    "  --migration tls|tcp   how guests move to other hosts: by libvirt's TLS, or in the clear  [tls]\n"
    "  --cpus N              processors to offer                    [all of this machine]\n"
    "  --memory SIZE         memory to offer, for example 16GiB     [all of this machine]\n"
    "  --tls-ca FILE         certificates that the control nodes' ones are checked against; without it: no "
    "TLS\n"
    "  --tls-cert FILE       certificate of this host\n"
    "  --tls-key FILE        its key\n"
    "  --shutdown-patience SECONDS  how long the leader has to empty the host before it is switched off "
    "[120]\n"
    "  --version, --help\n"
    "\n"
    "HOLDFAST_LOG=debug|info|warn|error sets what is logged on standard error.\n";

enum {
    CONTROL = 256,
    MANAGEMENT_IP,
    STATE_DIR,
    MOUNT_BASE,
    RUN_DIR,
    KEEPER,
    LIBVIRT,
    ACCEL,
    EMULATOR,
    MIGRATION,
    CPUS,
    MEMORY,
    CA,
    CERT,
    KEY,
    SHUT_DOWN,
    PATIENCE,
    VERSION,
    HELP
};

static const struct option table[] = {
    {"control", required_argument, NULL, CONTROL},
    {"management-ip", required_argument, NULL, MANAGEMENT_IP},
    {"state-dir", required_argument, NULL, STATE_DIR},
    {"mount-base", required_argument, NULL, MOUNT_BASE},
    {"run-dir", required_argument, NULL, RUN_DIR},
    {"keeper-socket", required_argument, NULL, KEEPER},
    {"libvirt-uri", required_argument, NULL, LIBVIRT},
    {"accel", required_argument, NULL, ACCEL},
    {"cpus", required_argument, NULL, CPUS},
    {"memory", required_argument, NULL, MEMORY},
    {"emulator", required_argument, NULL, EMULATOR},
    {"migration", required_argument, NULL, MIGRATION},
    {"tls-ca", required_argument, NULL, CA},
    {"tls-cert", required_argument, NULL, CERT},
    {"tls-key", required_argument, NULL, KEY},
    {"shut-down", no_argument, NULL, SHUT_DOWN},
    {"shutdown-patience", required_argument, NULL, PATIENCE},
    {"version", no_argument, NULL, VERSION},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

bool hf_size_parse(const char *text, uint64_t *ret)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    static const char units[] = "KMGT";
    unsigned shift = 0;
    if (!isdigit((unsigned char)text[0]) || n == ULLONG_MAX)
        return false;
    if (*end) {
        const char *unit = strchr(units, toupper((unsigned char)*end));
        if (!unit)
            return false;
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
        if (strcmp(end, "iB") == 0 || strcmp(end, "B") == 0)
            end += strlen(end);
    }
    if (*end || n > UINT64_MAX >> shift)
        return false;
    *ret = (uint64_t)n << shift;
    return true;
}

static hf_status parse_controls(char *list, struct hf_hostd_options *o)
{
    char *save = NULL;
    for (char *a = strtok_r(list, ",", &save); a; a = strtok_r(NULL, ",", &save)) {
        if (!strrchr(a, ':'))
            return hf_error(HF_INVALID, "--control: '%s' is no address: write HOST:PORT", a);
        if (o->n_controls == HF_CONTROL_LINK_NODES_MAX)
            return hf_error(HF_INVALID, "--control: more than %d control nodes", HF_CONTROL_LINK_NODES_MAX);
        o->controls[o->n_controls++] = a;
    }
    return HF_STATUS_OK;
}

static hf_status parse_numbers(int option, const char *text, struct hf_hostd_options *o)
{
    char *end;
    if (option == MEMORY) {
        if (!hf_size_parse(text, &o->memory_bytes) || o->memory_bytes == 0)
            return hf_error(HF_INVALID, "--memory: '%s' is no size: write for example 16GiB", text);
        return HF_STATUS_OK;
    }
    long n = strtol(text, &end, 10);
    if (option == PATIENCE) {
        if (end == text || *end || n < 0 || n > 86400)
            return hf_error(HF_INVALID, "--shutdown-patience: '%s' is no number of seconds from 0 to 86400",
                            text);
        o->patience_s = (unsigned)n;
        return HF_STATUS_OK;
    }
    if (end == text || *end || n < 1 || n > 65536)
        return hf_error(HF_INVALID, "--cpus: '%s' is no number from 1 to 65536", text);
    o->cpus = (unsigned)n;
    return HF_STATUS_OK;
}

static const char **text_option(struct hf_hostd_options *o, int option)
{
    switch (option) {
    case MANAGEMENT_IP:
        return &o->management_ip;
    case STATE_DIR:
        return &o->state_dir;
    case MOUNT_BASE:
        return &o->mount_base;
    case RUN_DIR:
        return &o->run_dir;
    case KEEPER:
        return &o->keeper_socket;
    case LIBVIRT:
        return &o->libvirt_uri;
    case ACCEL:
        return &o->accelerator;
    case EMULATOR:
        return &o->emulator;
    case MIGRATION:
        return &o->migration;
    case CA:
        return &o->tls.ca;
    case CERT:
        return &o->tls.cert;
    case KEY:
        return &o->tls.key;
    default:
        return NULL;
    }
}

static hf_status check(const struct hf_hostd_options *o)
{
    if (o->help || o->version || o->shut_down)
        return HF_STATUS_OK;
    if (o->n_controls == 0)
        return hf_error(HF_INVALID, "--control is missing: name at least one control node (hostd --help)");
    if (!o->management_ip || !o->management_ip[0])
        return hf_error(HF_INVALID,
                        "--management-ip is missing: this host's address in the management network");
    HF_TRY(hf_wrap(hf_primary_path_check(o->mount_base), "--mount-base"));
    if (strcmp(o->accelerator, "auto") != 0 && strcmp(o->accelerator, "kvm") != 0 &&
        strcmp(o->accelerator, "tcg") != 0)
        return hf_error(HF_INVALID, "--accel: '%s' is not auto, kvm or tcg", o->accelerator);
    if (strcmp(o->migration, "tls") != 0 && strcmp(o->migration, "tcp") != 0)
        return hf_error(HF_INVALID, "--migration: '%s' is not tls or tcp", o->migration);
    if ((o->tls.cert || o->tls.key) && !(o->tls.cert && o->tls.key && o->tls.ca))
        return hf_error(HF_INVALID, "--tls-cert and --tls-key are given together, with --tls-ca");
    return HF_STATUS_OK;
}

hf_status hf_hostd_options_parse(int argc, char **argv, struct hf_hostd_options *ret)
{
    struct hf_hostd_options o = {
        .state_dir = "/var/lib/holdfast",
        .mount_base = "/var/lib/holdfast/nfsprimarystorage",
        .run_dir = "/run/holdfast",
        .keeper_socket = HF_KEEPER_SOCKET,
        .libvirt_uri = "qemu:///system",
        .accelerator = "auto",
        .migration = "tls",
        .patience_s = 120,
    };
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        const char **text = text_option(&o, option);
        if (text)
            *text = optarg;
        else if (option == CONTROL)
            HF_TRY(parse_controls(optarg, &o));
        else if (option == CPUS || option == MEMORY || option == PATIENCE)
            HF_TRY(parse_numbers(option, optarg, &o));
        else if (option == HELP)
            o.help = true;
        else if (option == SHUT_DOWN)
            o.shut_down = true;
        else if (option == VERSION)
            o.version = true;
        else
            return hf_error(HF_INVALID, "option '%s' is not known or lacks its value (hostd --help)",
                            argv[optind - 1]);
    }
    if (optind < argc)
        return hf_error(HF_INVALID, "'%s' is no option (hostd --help)", argv[optind]);
    HF_TRY(check(&o));
    *ret = o;
    return HF_STATUS_OK;
}
