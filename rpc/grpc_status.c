#include "rpc/grpc_status.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "google/rpc/status.pb-c.h"
#include "rpc/pb_text.h"

#define ERROR_INFO_URL "type.googleapis.com/google.rpc.ErrorInfo"

/* --- percent encoding --- */

char *hf_grpc_percent_encode(const char *text, size_t len)
{
    static const char HEX[] = "0123456789ABCDEF";
    char *out = hf_alloc(3 * len + 1), *o = out;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            *o++ = (char)c;
        } else {
            *o++ = '%';
            *o++ = HEX[c >> 4];
            *o++ = HEX[c & 15];
        }
    }
    return out;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Wrong escapes stay as they are: the document asks decoders never to lose a message over them. */
char *hf_grpc_percent_decode(const char *text, size_t len)
{
    char *out = hf_alloc(len + 1), *o = out;
    for (size_t i = 0; i < len; i++) {
        int hi = text[i] == '%' && i + 2 < len ? hex_value(text[i + 1]) : -1;
        int lo = hi >= 0 ? hex_value(text[i + 2]) : -1;
        if (lo >= 0 && (hi | lo) != 0) {
            *o++ = (char)(hi << 4 | lo);
            i += 2;
        } else {
            *o++ = text[i];
        }
    }
    return out;
}

/* --- time-outs --- */

int64_t hf_grpc_timeout_parse(const char *text, size_t len)
{
    if (len < 2 || len > 9)
        return -1;
    int64_t n = 0;
    for (size_t i = 0; i + 1 < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        n = n * 10 + (text[i] - '0');
    }
    switch (text[len - 1]) {
    case 'H':
        return n * 3600000;
    case 'M':
        return n * 60000;
    case 'S':
        return n * 1000;
    case 'm':
        return n;
    case 'u':
        return (n + 999) / 1000;
    case 'n':
        return (n + 999999) / 1000000;
    default:
        return -1;
    }
}

char *hf_grpc_timeout_format(uint64_t ms, char out[HF_GRPC_TIMEOUT_STR])
{
    if (ms <= 99999999)
        snprintf(out, HF_GRPC_TIMEOUT_STR, "%um", (unsigned)ms);
    else
        snprintf(out, HF_GRPC_TIMEOUT_STR, "%uS", (unsigned)(ms / 1000 <= 99999999 ? ms / 1000 : 99999999));
    return out;
}

/* --- status --- */

static const char *code_name(enum hf_code code)
{
    switch (code) {
#define X(name, cls, grpc, text)                                                                             \
    case HF_##name:                                                                                          \
        return #name;
        HF_CODES(X)
#undef X
    }
    return "INTERNAL";
}

static bool code_of_name(const char *name, enum hf_code *ret)
{
#define X(n, cls, grpc, text)                                                                                \
    if (strcmp(name, #n) == 0) {                                                                             \
        *ret = HF_##n;                                                                                       \
        return true;                                                                                         \
    }
    HF_CODES(X)
#undef X
    return false;
}

static char *base64_encode(const uint8_t *data, size_t len)
{
    char *out = hf_alloc(len / 3 * 4 + 5);
    int n = EVP_EncodeBlock((unsigned char *)out, data, (int)len);
    while (n > 0 && out[n - 1] == '=')
        out[--n] = '\0';
    return out;
}

/* Takes base64 with and without padding. NULL if it is none. */
static uint8_t *base64_decode(const char *text, size_t *ret_len)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '=')
        len--;
    size_t padded = (len + 3) / 4 * 4;
    char *in = hf_alloc(padded + 1);
    memset(in, '=', padded);
    memcpy(in, text, len);
    uint8_t *out = hf_alloc(padded / 4 * 3 + 1);
    int n = EVP_DecodeBlock(out, (const unsigned char *)in, (int)padded);
    free(in);
    if (n < 0 || (size_t)n < padded - len) {
        free(out);
        return NULL;
    }
    *ret_len = (size_t)n - (padded - len);
    return out;
}

/* At most max bytes of text, not cutting a UTF-8 character in two. */
static size_t cut_length(const char *text, size_t max)
{
    size_t len = strlen(text);
    if (len <= max)
        return len;
    len = max;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static char *encode_details(hf_status st, char *message)
{
    uint8_t info_buf[128], status_buf[HF_GRPC_MESSAGE_MAX + 256];
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    info.reason = (char *)code_name(hf_status_code(st));
    info.domain = (char *)HF_GRPC_ERROR_DOMAIN;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT, *anys[] = {&any};
    any.type_url = (char *)ERROR_INFO_URL;
    any.value.data = info_buf;
    any.value.len = google__rpc__error_info__pack(&info, info_buf);
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.code = hf_code_grpc(hf_status_code(st));
    status.message = message;
    status.n_details = 1;
    status.details = anys;
    return base64_encode(status_buf, google__rpc__status__pack(&status, status_buf));
}

void hf_grpc_status_text_init(struct hf_grpc_status_text *t, hf_status st)
{
    const char *text = hf_status_message(st);
    char *message = hf_strndup(text, cut_length(text, HF_GRPC_MESSAGE_MAX));
    /* Other bytes would make the details unreadable for clients of other languages. */
    for (const char *bad = hf_utf8_check(message); *bad; bad = hf_utf8_check(bad))
        message[bad - message] = '?';
    snprintf(t->code, sizeof t->code, "%d", hf_code_grpc(hf_status_code(st)));
    t->message = hf_grpc_percent_encode(message, strlen(message));
    t->details = encode_details(st, message);
    free(message);
}

void hf_grpc_status_text_done(struct hf_grpc_status_text *t)
{
    free(t->message);
    free(t->details);
}

static void read_reason(const Google__Rpc__Status *status, int grpc, enum hf_code *code)
{
    for (size_t i = 0; i < status->n_details; i++) {
        const Google__Protobuf__Any *any = status->details[i];
        if (strcmp(any->type_url, ERROR_INFO_URL) != 0)
            continue;
        Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(NULL, any->value.len, any->value.data);
        enum hf_code named;
        if (info && strcmp(info->domain, HF_GRPC_ERROR_DOMAIN) == 0 && code_of_name(info->reason, &named) &&
            hf_code_grpc(named) == grpc)
            *code = named;
        if (info)
            google__rpc__error_info__free_unpacked(info, NULL);
    }
}

static void read_details(const char *details, int grpc, enum hf_code *code)
{
    size_t len;
    uint8_t *bytes = base64_decode(details, &len);
    Google__Rpc__Status *status = bytes ? google__rpc__status__unpack(NULL, len, bytes) : NULL;
    if (status) {
        read_reason(status, grpc, code);
        google__rpc__status__free_unpacked(status, NULL);
    }
    free(bytes);
}

hf_status hf_grpc_status_read(const char *grpc_code, const char *message, const char *details)
{
    char *end;
    long grpc = strtol(grpc_code, &end, 10);
    if (end == grpc_code || *end || grpc < 0 || grpc > 16)
        return hf_error(HF_UNKNOWN_OUTCOME, "the server answered with an unknown grpc-status '%s'",
                        grpc_code);
    if (grpc == 0)
        return HF_STATUS_OK;
    enum hf_code code = hf_code_from_grpc((int)grpc);
    if (details)
        read_details(details, (int)grpc, &code);
    char *text = message && *message ? hf_grpc_percent_decode(message, strlen(message))
                                     : hf_strdup(hf_code_text(code));
    hf_status st = hf_error(code, "%s", text);
    free(text);
    return st;
}
