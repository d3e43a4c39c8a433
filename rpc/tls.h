/* TLS for the HTTP/2 connections: contexts from PEM files, and whom a verified certificate names. TLS 1.2 and
 * later, ALPN "h2" only, no renegotiation (RFC 9113, 9.2).
 */
#ifndef HF_RPC_TLS_H
#define HF_RPC_TLS_H

#include <openssl/ssl.h>

#include "base/status.h"
#include "rpc/grpc_server.h"

/* files->ca, if set: client certificates are required and verified with it. */
hf_status hf_tls_server_context(const struct hf_tls_files *files, SSL_CTX **ret) HF_MUST_USE;
/* files->ca verifies the server; files->cert, if set, is shown to it. */
hf_status hf_tls_client_context(const struct hf_tls_files *files, SSL_CTX **ret) HF_MUST_USE;

/* A client's connection to host (a name or an IP address), which the server's certificate must name. */
SSL *hf_tls_client_new(SSL_CTX *ctx, const char *host);
SSL *hf_tls_server_new(SSL_CTX *ctx);

/* "CN,uri,uri": common name and URI names of the peer's verified certificate, or "". The caller frees it. */
char *hf_tls_peer_name(SSL *ssl);
/* The oldest error that OpenSSL remembers, as text for a sentence; forgets all. The caller frees it. */
char *hf_tls_error(SSL *ssl);

#endif
