/* The command line of holdfastd. */
#ifndef HF_CONTROL_DAEMON_OPTIONS_H
#define HF_CONTROL_DAEMON_OPTIONS_H

#include "consensus/raft_uv.h"
#include "rpc/grpc_server.h"

#define HF_PEERS_MAX 9

struct hf_peer {
    uint64_t id;
    char *raft_address, *api_address;
};

struct hf_daemon_options {
    uint64_t id;
    const char *data_dir;
    const char *raft_address, *api_address;
    struct hf_peer peers[HF_PEERS_MAX]; /* this node among them */
    size_t n_peers;
    bool join;
    struct hf_tls_files tls;
    const char *profile;
    unsigned election_ms;
    const char *fence_agents; /* directory */
};

enum hf_parse { HF_PARSE_RUN, HF_PARSE_EXIT /* help or version was printed */ };

/* INVALID is a sentence for the user. The strings of argv must live as long as the options. */
hf_status hf_daemon_options_parse(int argc, char **argv, struct hf_daemon_options *ret,
                                  enum hf_parse *ret_what) HF_MUST_USE;
void hf_daemon_options_done(struct hf_daemon_options *o);

/* API address of a peer by its id, or NULL. */
const char *hf_daemon_options_api_address(const struct hf_daemon_options *o, uint64_t id);

#endif
