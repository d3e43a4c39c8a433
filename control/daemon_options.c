#include "control/daemon_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/fence_agents.h"

/* clang-format off */
static const char help[] =
    "holdfastd: a control node of Holdfast. Three (or five) of them agree on the cloud's state;\n"
    "any majority goes on.\n"
    "\n"
    "  holdfastd --id N --data-dir DIR --raft-address HOST:PORT --api-address HOST:PORT\n"
    "            --peers LIST [options]\n"
    "\n"
    "What it is and where it listens\n"
    "  --id N                 this node's number, from 1, never given to another node again\n"
    "  --data-dir DIR         its part of the replicated log; made if missing. Never copy it\n"
    "                         between nodes\n"
    "  --raft-address H:P     where the other control nodes reach it (plain TCP: give it a\n"
    "                         network of its own)\n"
    "  --api-address H:P      where the CLI, other clients and host daemons reach it (gRPC)\n"
    "  --peers LIST           the first members, the same list on each:\n"
    "                         ID=RAFT_ADDRESS=API_ADDRESS,...\n"
    "  --join                 an empty node that 'holdfast control add' brings into a running\n"
    "                         cluster\n"
    "\n"
    "Security of the API\n"
    "  --tls-cert FILE        PEM certificate; without it the API speaks plaintext\n"
    "  --tls-key FILE         its private key\n"
    "  --tls-ca FILE          clients must show a certificate of this authority\n"
    "\n"
    "Timing\n"
    "  --profile NAME         durations of leases and fencing, the same on every node and host:\n"
    "                         fast, default, san\n"
    "  --election-ms N        silence after which a new leader is elected (default 1000)\n"
    "\n"
    "Power fencing\n"
    "  --fence-agent-dir DIR  where fence agents are looked for (default /usr/sbin)\n"
    "\n"
    "  --help, --version\n"
    "\n"
    "Example: three nodes on one machine (run each in a terminal, with N = 1, 2, 3)\n"
    "  P1=1=127.0.0.1:7101=127.0.0.1:7481\n"
    "  P2=2=127.0.0.1:7102=127.0.0.1:7482\n"
    "  P3=3=127.0.0.1:7103=127.0.0.1:7483\n"
    "  holdfastd --id N --data-dir /tmp/hf/N --raft-address 127.0.0.1:710N \\\n"
    "            --api-address 127.0.0.1:748N --peers $P1,$P2,$P3\n"
    "\n"
    "Lines go to standard error; HOLDFAST_LOG=debug|info|warn|error sets how many. SIGTERM hands\n"
    "leadership over and ends. Exit codes: 0 ended by a signal, 1 could not start (the last line\n"
    "says why and what to do), 2 wrong usage, 3 its log failed while running (a disk error): it\n"
    "must not go on, the other nodes do.\n";
/* clang-format on */

enum {
    OPT_HELP = 1000,
    OPT_VERSION,
    OPT_ID,
    OPT_DATA,
    OPT_RAFT,
    OPT_API,
    OPT_PEERS,
    OPT_JOIN,
    OPT_CERT,
    OPT_KEY,
    OPT_CA,
    OPT_PROFILE,
    OPT_ELECTION,
    OPT_FENCE_AGENTS
};

static const struct option options[] = {
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"id", required_argument, NULL, OPT_ID},
    {"data-dir", required_argument, NULL, OPT_DATA},
    {"raft-address", required_argument, NULL, OPT_RAFT},
    {"api-address", required_argument, NULL, OPT_API},
    {"peers", required_argument, NULL, OPT_PEERS},
    {"join", no_argument, NULL, OPT_JOIN},
    {"tls-cert", required_argument, NULL, OPT_CERT},
    {"tls-key", required_argument, NULL, OPT_KEY},
    {"tls-ca", required_argument, NULL, OPT_CA},
    {"profile", required_argument, NULL, OPT_PROFILE},
    {"election-ms", required_argument, NULL, OPT_ELECTION},
    {"fence-agent-dir", required_argument, NULL, OPT_FENCE_AGENTS},
    {NULL, 0, NULL, 0},
};

static hf_status parse_number(const char *what, const char *text, uint64_t max, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || v == 0 || v > max)
        return hf_error(HF_INVALID, "%s: '%s' is not a number from 1 to %llu", what, text,
                        (unsigned long long)max);
    *ret = v;
    return HF_STATUS_OK;
}

static hf_status check_address(const char *what, const char *address)
{
    const char *colon = strrchr(address, ':');
    uint64_t port;
    if (colon == NULL || colon == address)
        return hf_error(HF_INVALID, "%s: '%s' is not HOST:PORT", what, address);
    return parse_number(what, colon + 1, 65535, &port);
}

/* ID=RAFT=API */
static hf_status parse_peer(char *text, struct hf_peer *ret)
{
    char *raft = strchr(text, '=');
    char *api = raft != NULL ? strchr(raft + 1, '=') : NULL;
    if (api == NULL)
        return hf_error(HF_INVALID, "--peers: '%s' is not ID=RAFT_ADDRESS=API_ADDRESS", text);
    *raft++ = '\0';
    *api++ = '\0';
    HF_TRY(parse_number("--peers: id", text, UINT32_MAX, &ret->id));
    HF_TRY(check_address("--peers: Raft address", raft));
    HF_TRY(check_address("--peers: API address", api));
    ret->raft_address = hf_strdup(raft);
    ret->api_address = hf_strdup(api);
    return HF_STATUS_OK;
}

static hf_status parse_peers(const char *list, struct hf_daemon_options *o)
{
    char *copy = hf_strdup(list), *rest = copy, *text;
    hf_status st = HF_STATUS_OK;
    while (hf_ok(st) && (text = strsep(&rest, ",")) != NULL) {
        if (o->n_peers == HF_PEERS_MAX)
            st = hf_error(HF_INVALID, "--peers: more than %d nodes", HF_PEERS_MAX);
        else
            st = parse_peer(text, &o->peers[o->n_peers]);
        if (hf_ok(st) && hf_daemon_options_api_address(o, o->peers[o->n_peers].id) != NULL)
            st = hf_error(HF_INVALID, "--peers: node %llu is there twice",
                          (unsigned long long)o->peers[o->n_peers].id);
        if (hf_ok(st))
            o->n_peers++;
    }
    free(copy);
    return st;
}

/* Where the text of an option goes as it is; NULL for those that are parsed. */
static const char **text_of(int opt, struct hf_daemon_options *o)
{
    switch (opt) {
    case OPT_DATA:
        return &o->data_dir;
    case OPT_RAFT:
        return &o->raft_address;
    case OPT_API:
        return &o->api_address;
    case OPT_CERT:
        return &o->tls.cert;
    case OPT_KEY:
        return &o->tls.key;
    case OPT_CA:
        return &o->tls.ca;
    case OPT_PROFILE:
        return &o->profile;
    case OPT_FENCE_AGENTS:
        return &o->fence_agents;
    default:
        return NULL;
    }
}

static hf_status parse_option(int opt, struct hf_daemon_options *o)
{
    const char **text = text_of(opt, o);
    uint64_t v = 0;
    if (text != NULL) {
        *text = optarg;
        return HF_STATUS_OK;
    }
    switch (opt) {
    case OPT_ID:
        return parse_number("--id", optarg, UINT32_MAX, &o->id);
    case OPT_PEERS:
        return parse_peers(optarg, o);
    case OPT_JOIN:
        o->join = true;
        return HF_STATUS_OK;
    case OPT_ELECTION:
        HF_TRY(parse_number("--election-ms", optarg, 60000, &v));
        o->election_ms = (unsigned)v;
        return HF_STATUS_OK;
    default:
        return hf_error(HF_INVALID, "an option is not known or lacks its value; holdfastd --help lists them");
    }
}

static hf_status check_peers(struct hf_daemon_options *o)
{
    for (size_t i = 0; i < o->n_peers; i++) {
        const struct hf_peer *p = &o->peers[i];
        if (p->id != o->id)
            continue;
        if (strcmp(p->raft_address, o->raft_address) != 0 || strcmp(p->api_address, o->api_address) != 0)
            return hf_error(
                HF_INVALID,
                "--peers says that node %llu is at %s and %s, --raft-address and --api-address say "
                "%s and %s",
                (unsigned long long)o->id, p->raft_address, p->api_address, o->raft_address, o->api_address);
        return HF_STATUS_OK;
    }
    if (o->n_peers > 0 && !o->join)
        return hf_error(HF_INVALID, "--peers does not name this node (%llu)", (unsigned long long)o->id);
    if (o->n_peers == HF_PEERS_MAX)
        return hf_error(HF_INVALID, "--peers: more than %d nodes", HF_PEERS_MAX);
    o->peers[o->n_peers++] = (struct hf_peer){o->id, hf_strdup(o->raft_address), hf_strdup(o->api_address)};
    return HF_STATUS_OK;
}

static hf_status check_options(struct hf_daemon_options *o)
{
    if (o->id == 0 || o->data_dir == NULL || o->raft_address == NULL || o->api_address == NULL)
        return hf_error(
            HF_INVALID,
            "--id, --data-dir, --raft-address and --api-address are needed; see holdfastd --help");
    HF_TRY(check_address("--raft-address", o->raft_address));
    HF_TRY(check_address("--api-address", o->api_address));
    if (strcmp(o->profile, "fast") != 0 && strcmp(o->profile, "default") != 0 &&
        strcmp(o->profile, "san") != 0)
        return hf_error(HF_INVALID, "--profile: '%s' is not fast, default or san", o->profile);
    if ((o->tls.cert == NULL) != (o->tls.key == NULL))
        return hf_error(HF_INVALID, "--tls-cert and --tls-key go together");
    if (o->tls.ca != NULL && o->tls.cert == NULL)
        return hf_error(HF_INVALID, "--tls-ca needs --tls-cert and --tls-key");
    return check_peers(o);
}

hf_status hf_daemon_options_parse(int argc, char **argv, struct hf_daemon_options *ret,
                                  enum hf_parse *ret_what)
{
    *ret = (struct hf_daemon_options){.profile = "default", .fence_agents = HF_FENCE_AGENTS_DIR};
    *ret_what = HF_PARSE_RUN;
    opterr = 0;
    optind = 0; /* glibc: start over */
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (opt == OPT_HELP || opt == OPT_VERSION) {
            fputs(opt == OPT_HELP ? help : "holdfastd " HF_VERSION "\n", stdout);
            *ret_what = HF_PARSE_EXIT;
            return HF_STATUS_OK;
        }
        HF_TRY(parse_option(opt, ret));
    }
    if (optind < argc)
        return hf_error(HF_INVALID, "'%s' is not an option; see holdfastd --help", argv[optind]);
    return check_options(ret);
}

void hf_daemon_options_done(struct hf_daemon_options *o)
{
    for (size_t i = 0; i < HF_PEERS_MAX; i++) {
        free(o->peers[i].raft_address);
        free(o->peers[i].api_address);
    }
}

const char *hf_daemon_options_api_address(const struct hf_daemon_options *o, uint64_t id)
{
    for (size_t i = 0; i < o->n_peers; i++)
        if (o->peers[i].id == id)
            return o->peers[i].api_address;
    return NULL;
}
