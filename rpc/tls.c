#include "rpc/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const unsigned char ALPN_H2[] = "\2h2";
#define ALPN_H2_LEN 3

char *hf_tls_error(SSL *ssl)
{
    long verify = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    unsigned long e = ERR_get_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    char *text = verify != X509_V_OK ? hf_printf("certificate: %s", X509_verify_cert_error_string(verify))
                                     : hf_strdup(reason ? reason : "unknown TLS error");
    ERR_clear_error();
    return text;
}

static hf_status file_error(const char *what, const char *path)
{
    char *why = hf_tls_error(NULL);
    hf_status st = hf_error(HF_INVALID, "load %s from '%s': %s", what, path, why);
    free(why);
    return st;
}

static hf_status load_own(SSL_CTX *ctx, const struct hf_tls_files *files)
{
    if (!files->key)
        return hf_error(HF_INVALID, "certificate '%s' is given without its key file", files->cert);
    if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1)
        return file_error("certificate", files->cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1)
        return file_error("private key", files->key);
    return HF_STATUS_OK;
}

static int select_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                     unsigned in_len, void *arg)
{
    (void)ssl, (void)arg;
    int r = SSL_select_next_proto((unsigned char **)out, out_len, ALPN_H2, ALPN_H2_LEN, in, in_len);
    return r == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    return ctx;
}

static hf_status setup_server(SSL_CTX *ctx, const struct hf_tls_files *files)
{
    HF_TRY(load_own(ctx, files));
    SSL_CTX_set_alpn_select_cb(ctx, select_h2, NULL);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"holdfast", 8);
    if (!files->ca)
        return HF_STATUS_OK;
    if (SSL_CTX_load_verify_locations(ctx, files->ca, NULL) != 1)
        return file_error("certificate authority", files->ca);
    SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(files->ca));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return HF_STATUS_OK;
}

static hf_status setup_client(SSL_CTX *ctx, const struct hf_tls_files *files)
{
    if (files->cert)
        HF_TRY(load_own(ctx, files));
    if (SSL_CTX_load_verify_locations(ctx, files->ca, NULL) != 1)
        return file_error("certificate authority", files->ca);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_alpn_protos(ctx, ALPN_H2, ALPN_H2_LEN);
    return HF_STATUS_OK;
}

hf_status hf_tls_server_context(const struct hf_tls_files *files, SSL_CTX **ret)
{
    SSL_CTX *ctx = new_context(TLS_server_method());
    hf_status st = setup_server(ctx, files);
    if (hf_ok(st))
        *ret = ctx;
    else
        SSL_CTX_free(ctx);
    return st;
}

hf_status hf_tls_client_context(const struct hf_tls_files *files, SSL_CTX **ret)
{
    SSL_CTX *ctx = new_context(TLS_client_method());
    hf_status st = setup_client(ctx, files);
    if (hf_ok(st))
        *ret = ctx;
    else
        SSL_CTX_free(ctx);
    return st;
}

/* Memory BIOs: the bytes come from and go to libuv, OpenSSL never touches the socket. */
static SSL *new_ssl(SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

SSL *hf_tls_server_new(SSL_CTX *ctx)
{
    SSL *ssl = new_ssl(ctx);
    SSL_set_accept_state(ssl);
    return ssl;
}

SSL *hf_tls_client_new(SSL_CTX *ctx, const char *host)
{
    SSL *ssl = new_ssl(ctx);
    struct in6_addr ip;
    if (inet_pton(AF_INET, host, &ip) == 1 || inet_pton(AF_INET6, host, &ip) == 1) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    } else {
        SSL_set1_host(ssl, host);
        SSL_set_tlsext_host_name(ssl, host);
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

static char *append(char *list, const char *name, size_t len)
{
    if (memchr(name, ',', len) || memchr(name, '\0', len))
        return list; /* it could pass for two names */
    char *longer = hf_printf("%s%s%.*s", list, *list ? "," : "", (int)len, name);
    free(list);
    return longer;
}

char *hf_tls_peer_name(SSL *ssl)
{
    char *list = hf_strdup("");
    X509 *cert = ssl && SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get1_peer_certificate(ssl) : NULL;
    if (!cert)
        return list;
    char cn[256];
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, sizeof cn);
    if (n > 0)
        list = append(list, cn, (size_t)n);
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        if (g->type == GEN_URI)
            list = append(list, (const char *)ASN1_STRING_get0_data(g->d.ia5),
                          (size_t)ASN1_STRING_length(g->d.ia5));
    }
    GENERAL_NAMES_free(names);
    X509_free(cert);
    return list;
}
