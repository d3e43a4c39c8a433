/* One HTTP/2 connection, of a server or a client: an nghttp2 session over libuv TCP, with TLS if wanted. It
 * reads, writes (everything of one loop turn in one go), keeps the connection alive and notices when it is
 * not; what streams mean is its owner's affair, who embeds the struct and gives the session its callbacks.
 * Loop thread only.
 */
#ifndef HF_RPC_HTTP2_CONN_H
#define HF_RPC_HTTP2_CONN_H

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include "rpc/h2_driver.h"

struct hf_h2_conn;
struct hf_resolve;

#define HF_H2_FRAME_HEADER 9u

struct hf_h2_events {
    /* The connection is over: end its streams, they get no more callbacks. why is a clause for a sentence. */
    void (*down)(struct hf_h2_conn *c, const char *why);
    /* The last callback: the memory is the owner's again. */
    void (*gone)(struct hf_h2_conn *c);
    /* Frames have been handed to the socket: queues may have room again. May be NULL. */
    void (*pulled)(struct hf_h2_conn *c);
};

struct hf_h2_conn {
    /* fixed */
    struct hf_h2_driver *driver;
    const struct hf_h2_events *events;
    nghttp2_session *session; /* NULL once down */
    SSL *ssl;                 /* NULL: plaintext */
    unsigned keepalive_ms;    /* ping after so much quiet, dead after as much more */
    char *peer_address;       /* "10.0.0.1:55000" */
    char *peer_name;          /* hf_tls_peer_name, once asked for */
    /* volatile */
    uv_tcp_t tcp;
    uv_write_t write;
    uint8_t *rest;              /* what the socket did not take, while writing */
    struct hf_resolve *resolve; /* while the host's name is looked up */
    struct hf_timer timer;      /* set-up deadline, then keepalive */
    struct hf_h2_task flush;
    size_t out_len; /* bytes of driver->out filled by the flush that runs now */
    uint64_t last_read_ms;
    unsigned busy;   /* inside nghttp2: a close must wait */
    char *close_why; /* a close that waits */
    bool connected;  /* TCP is up */
    bool secured;    /* the TLS handshake is over, or there is none */
    bool answered;   /* the peer has spoken HTTP/2 */
    bool pinged;     /* a keepalive ping is out */
    bool writing;    /* rest is with libuv */
    bool closing;
};

/* The owner sets session (with c as its user data) and ssl right after. */
void hf_h2_conn_init(struct hf_h2_conn *c, struct hf_h2_driver *d, const struct hf_h2_events *events,
                     unsigned keepalive_ms);
/* Takes the waiting connection of listener; start reading. False: the connection is closing already. */
bool hf_h2_conn_accept(struct hf_h2_conn *c, uv_stream_t *listener, unsigned setup_ms);
/* Connects to "host:port"; failure is told by down in a later turn. Requests may be submitted at once. */
void hf_h2_conn_connect(struct hf_h2_conn *c, const char *address, unsigned setup_ms);

/* down is called before it returns, or when nghttp2 lets go; gone later. A second close does nothing. */
void hf_h2_conn_close(struct hf_h2_conn *c, const char *why);

/* Something was submitted to the session: send it before the loop sleeps. */
static inline void hf_h2_conn_mark(struct hf_h2_conn *c)
{
    if (!c->flush.queued && !c->closing)
        hf_h2_driver_queue(c->driver, &c->flush);
}

/* For send_data callbacks: room for one frame of len bytes in this write, and where they go. NULL: say
 * WOULDBLOCK. */
uint8_t *hf_h2_conn_reserve(struct hf_h2_conn *c, size_t len);

#endif
