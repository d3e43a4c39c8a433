/* The command line of hostd. */
#ifndef HF_HOSTD_HOSTD_OPTIONS_H
#define HF_HOSTD_HOSTD_OPTIONS_H

#include "hostd/control_link.h"

#define HF_HOSTD_EXIT_LEFT 10 /* the host has left: not to be started again before the machine is */

struct hf_hostd_options {
    const char *controls[HF_CONTROL_LINK_NODES_MAX];
    size_t n_controls;
    const char *state_dir, *mount_base, *run_dir, *keeper_socket, *libvirt_uri, *management_ip, *accelerator;
    const char *emulator;  /* NULL: the gate */
    unsigned cpus;         /* 0: found */
    uint64_t memory_bytes; /* 0: found */
    struct hf_tls_files tls;
    unsigned patience_s; /* that the leader has to empty this host when the machine is switched off */
    const char *migration; /* "tls", "tcp": how guests are sent to other hosts */
    bool shut_down;      /* not the daemon: the call that tells it so */
    bool help, version;
};

/* Changes argv's strings. INVALID names the option. */
hf_status hf_hostd_options_parse(int argc, char **argv, struct hf_hostd_options *ret) HF_MUST_USE;

/* "16GiB", "512M", "1073741824": binary multiples; false when it is no size. */
bool hf_size_parse(const char *text, uint64_t *ret);

extern const char hf_hostd_help[];

#endif
