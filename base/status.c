#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

struct hf_error {
    enum hf_code code;
    char *message;
};

struct code_facts {
    enum hf_class cls;
    int grpc;
    const char *text;
};

static const struct code_facts facts[] = {
#define X(name, cls, grpc, text) [HF_##name] = {HF_CLASS_##cls, grpc, text},
    HF_CODES(X)
#undef X
};

#define N_CODES (sizeof facts / sizeof facts[0])

static hf_status make(enum hf_code code, char *message)
{
    HF_ASSERT(code != HF_OK && (size_t)code < N_CODES);
    struct hf_error *e = HF_NEW(struct hf_error);
    e->code = code;
    e->message = message;
    return (hf_status){e};
}

hf_status hf_error(enum hf_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *message = hf_vprintf(fmt, ap);
    va_end(ap);
    return make(code, message);
}

hf_status hf_wrap(hf_status st, const char *fmt, ...)
{
    if (hf_ok(st))
        return st;
    va_list ap;
    va_start(ap, fmt);
    char *context = hf_vprintf(fmt, ap);
    va_end(ap);
    char *whole = hf_printf("%s: %s", context, st.error->message);
    free(context);
    free(st.error->message);
    st.error->message = whole;
    return st;
}

static enum hf_code code_of_errno(int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
    case ENODEV:
    case ENXIO:
        return HF_NOT_FOUND;
    case EEXIST:
        return HF_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return HF_DENIED;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return HF_EXHAUSTED;
    case EINVAL:
    case ENAMETOOLONG:
        return HF_INVALID;
    case ETIMEDOUT:
        return HF_TIMEOUT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EAGAIN:
        return HF_UNAVAILABLE;
    default:
        return HF_IO;
    }
}

hf_status hf_errno(int err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *context = hf_vprintf(fmt, ap);
    va_end(ap);
    char text[128];
    char *whole = hf_printf("%s: %s", context, strerror_r(err, text, sizeof text));
    free(context);
    return make(code_of_errno(err), whole);
}

hf_status hf_status_copy(hf_status st)
{
    if (hf_ok(st))
        return st;
    return make(st.error->code, hf_strdup(st.error->message));
}

enum hf_code hf_status_code(hf_status st)
{
    return hf_ok(st) ? HF_OK : st.error->code;
}

enum hf_class hf_status_class(hf_status st)
{
    return hf_code_class(hf_status_code(st));
}

const char *hf_status_message(hf_status st)
{
    return hf_ok(st) ? "ok" : st.error->message;
}

void hf_status_drop(hf_status st)
{
    if (hf_ok(st))
        return;
    free(st.error->message);
    free(st.error);
}

int hf_code_grpc(enum hf_code code)
{
    HF_ASSERT((size_t)code < N_CODES);
    return facts[code].grpc;
}

enum hf_code hf_code_from_grpc(int grpc)
{
    for (size_t i = 0; i < N_CODES; i++)
        if (facts[i].grpc == grpc)
            return (enum hf_code)i;
    return HF_UNKNOWN_OUTCOME;
}

const char *hf_code_text(enum hf_code code)
{
    HF_ASSERT((size_t)code < N_CODES);
    return facts[code].text;
}

enum hf_class hf_code_class(enum hf_code code)
{
    HF_ASSERT((size_t)code < N_CODES);
    return facts[code].cls;
}
