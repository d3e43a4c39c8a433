#include "storage/ceph_client.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONE_MAX 64 /* characters of an address in a list */

/* "6789/12": a port, and a nonce that may be missing. */
static bool parse_port(const char *text, uint32_t *ret_nonce)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    *ret_nonce = 0;
    if (end == text || port > UINT16_MAX)
        return false;
    if (*end == '\0')
        return true;
    if (*end != '/')
        return false;
    const char *nonce = end + 1;
    unsigned long long n = strtoull(nonce, &end, 10);
    *ret_nonce = (uint32_t)n;
    return end != nonce && *end == '\0' && n <= UINT32_MAX;
}

static const char *past_kind(const char *text)
{
    static const char *const kinds[] = {"v1:", "v2:", "any:"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(text, kinds[i], strlen(kinds[i])) == 0)
            return text + strlen(kinds[i]);
    return text;
}

bool hf_ceph_client_parse(const char *text, struct hf_ceph_client *ret)
{
    char ip[INET_ADDRSTRLEN];
    struct in_addr in;
    text = past_kind(text);
    size_t len = strcspn(text, ":");
    if (len >= sizeof ip)
        return false;
    memcpy(ip, text, len);
    ip[len] = '\0';
    if (inet_pton(AF_INET, ip, &in) != 1 || in.s_addr == INADDR_ANY)
        return false;
    *ret = (struct hf_ceph_client){.ip = ntohl(in.s_addr)};
    return text[len] == '\0' || parse_port(text + len + 1, &ret->nonce);
}

static void format_ip(uint32_t ip, char out[16])
{
    struct in_addr in = {.s_addr = htonl(ip)};
    (void)inet_ntop(AF_INET, &in, out, 16); /* there is room for each */
}

char *hf_ceph_client_format(const struct hf_ceph_client *c, char out[HF_CEPH_ENTRY_MAX])
{
    char ip[16];
    format_ip(c->ip, ip);
    snprintf(out, HF_CEPH_ENTRY_MAX, "%s:0/%" PRIu32, ip, c->nonce);
    return out;
}

bool hf_ceph_client_next(const char **at, struct hf_ceph_client *ret)
{
    while (*at) {
        char one[ONE_MAX];
        const char *from = *at + strspn(*at, "[],");
        size_t len = strcspn(from, ",]");
        *at = len > 0 ? from + len : NULL;
        if (len == 0 || len >= sizeof one)
            continue;
        memcpy(one, from, len);
        one[len] = '\0';
        if (hf_ceph_client_parse(one, ret))
            return true;
    }
    return false;
}

void hf_ceph_seen_add(struct hf_ceph_seen *s, const char *clients)
{
    struct hf_ceph_client c;
    while (hf_ceph_client_next(&clients, &c)) {
        char ip[16];
        size_t i = 0;
        format_ip(c.ip, ip);
        while (i < s->n && strcmp(s->ip[i], ip) != 0)
            i++;
        if (i == s->n && s->n < HF_CEPH_SEEN_MAX)
            memcpy(s->ip[s->n++], ip, sizeof ip);
    }
}
