/* The keeper's unix sockets: take packets, remember who asked what, send answers. One is hostd's; several
 * connections at once, hostd may die and another one come. The other is the gate's, open to every user, since
 * QEMU has one of its own: there only HF_KEEPER_GATE is taken, and the process that asks is who the kernel
 * says it is. Non-blocking: whoever does not read its answers is cut off, and so is the one that has waited
 * longest when too many stand before the gate. */
#ifndef HF_HOSTD_KEEPER_SERVER_H
#define HF_HOSTD_KEEPER_SERVER_H

#include <poll.h>

#include "base/status.h"
#include "ha/keeper_wire.h"

#define HF_KEEPER_CONNS_MAX    16  /* of hostd */
#define HF_KEEPER_GATES_MAX    64  /* processes before the gate */
#define HF_KEEPER_REQUESTS_MAX 256 /* asked and not answered, over all connections */
#define HF_KEEPER_POLL_MAX     (2 + HF_KEEPER_CONNS_MAX + HF_KEEPER_GATES_MAX)

struct hf_keeper_server {
    int listen_fd, gate_fd;
    struct hf_keeper_conn {
        int fd; /* -1: free */
        uint64_t serial;
        int pid;                                        /* of a process before the gate; 0: hostd */
    } conns[HF_KEEPER_CONNS_MAX + HF_KEEPER_GATES_MAX]; /* those before the gate behind the others */
    struct hf_keeper_asked {
        uint64_t conn; /* serial; 0: free */
        uint64_t id;
        uint64_t token;
    } asked[HF_KEEPER_REQUESTS_MAX]; /* by the token's remainder */
    uint64_t next_serial, next_token;
    /* A request that changes something; answer it later with its token. */
    void (*request)(void *arg, uint64_t token, const struct hf_keeper_request *q);
    /* Writes the view behind its head into buf (HF_KEEPER_PACKET_MAX); returns the packet's length. */
    size_t (*view)(void *arg, struct hf_keeper_wire_view *buf);
    void *arg;
};

/* Replaces sockets that an earlier keeper left. The functions and arg must be set. */
hf_status hf_keeper_server_init(struct hf_keeper_server *s, const char *path,
                                const char *gate_path) HF_MUST_USE;
/* Fills in what to poll for; returns how many entries of at most HF_KEEPER_POLL_MAX. */
nfds_t hf_keeper_server_poll(const struct hf_keeper_server *s, struct pollfd *fds);
/* Serves what poll found. */
void hf_keeper_server_serve(struct hf_keeper_server *s, const struct pollfd *fds, nfds_t n);
/* An asker that has gone is no error. */
void hf_keeper_server_reply(struct hf_keeper_server *s, uint64_t token, enum hf_code code, const char *text);
void hf_keeper_server_changed(struct hf_keeper_server *s);

#endif
