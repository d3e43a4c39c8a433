#include "rpc/address.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

char *hf_address_host(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || !colon[1])
        return NULL;
    if (text[0] == '[')
        return colon[-1] == ']' ? hf_strndup(text + 1, (size_t)(colon - text) - 2) : NULL;
    return hf_strndup(text, (size_t)(colon - text));
}

static bool parse_port(const char *text, int *ret)
{
    const char *digits = strrchr(text, ':') + 1;
    char *end;
    unsigned long port = strtoul(digits, &end, 10);
    if (*digits < '0' || *digits > '9' || *end || port > 65535)
        return false;
    *ret = (int)port;
    return true;
}

bool hf_address_parse(const char *text, struct sockaddr_storage *ret)
{
    int port;
    char *host = hf_address_host(text);
    bool ok = host && parse_port(text, &port);
    if (ok && text[0] == '[')
        ok = uv_ip6_addr(host, port, (struct sockaddr_in6 *)ret) == 0;
    else if (ok)
        ok = uv_ip4_addr(host, port, (struct sockaddr_in *)ret) == 0;
    free(host);
    return ok;
}

char *hf_address_format(const struct sockaddr *a)
{
    char host[64] = "";
    const struct sockaddr_in *in = (const void *)a;
    const struct sockaddr_in6 *in6 = (const void *)a;
    if (a->sa_family == AF_INET6) {
        uv_ip6_name(in6, host, sizeof host);
        return hf_printf("[%s]:%u", host, (unsigned)ntohs(in6->sin6_port));
    }
    uv_ip4_name(in, host, sizeof host);
    return hf_printf("%s:%u", host, (unsigned)ntohs(in->sin_port));
}

struct hf_resolve {
    uv_getaddrinfo_t req;
    uv_timer_t soon;                                                    /* for answers that need no lookup */
    void (*cb)(const struct sockaddr *a, const char *error, void *arg); /* NULL: cancelled */
    void *arg;
    struct sockaddr_storage known;
    const char *error;
};

static void on_soon_closed(uv_handle_t *h)
{
    free(hf_container_of(h, struct hf_resolve, soon));
}

static void on_soon(uv_timer_t *t)
{
    struct hf_resolve *r = hf_container_of(t, struct hf_resolve, soon);
    uv_close((uv_handle_t *)t, on_soon_closed);
    if (r->cb)
        r->cb(r->error ? NULL : (struct sockaddr *)&r->known, r->error, r->arg);
}

static void on_looked_up(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct hf_resolve *r = hf_container_of(req, struct hf_resolve, req);
    if (r->cb)
        r->cb(status == 0 ? found->ai_addr : NULL, status == 0 ? NULL : uv_strerror(status), r->arg);
    uv_freeaddrinfo(found);
    free(r);
}

struct hf_resolve *hf_resolve(uv_loop_t *loop, const char *text,
                              void (*cb)(const struct sockaddr *a, const char *error, void *arg), void *arg)
{
    struct hf_resolve *r = HF_NEW(struct hf_resolve);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int port;
    r->cb = cb;
    r->arg = arg;
    if (!hf_address_parse(text, &r->known)) {
        char *host = hf_address_host(text);
        int e = UV_EINVAL;
        if (host && parse_port(text, &port))
            e = uv_getaddrinfo(loop, &r->req, on_looked_up, host, strrchr(text, ':') + 1, &hints);
        free(host);
        if (e == 0)
            return r;
        r->error = "the address is not of the form host:port";
    }
    uv_timer_init(loop, &r->soon);
    uv_timer_start(&r->soon, on_soon, 0, 0);
    return r;
}

void hf_resolve_cancel(struct hf_resolve *r)
{
    if (r)
        r->cb = NULL;
}
