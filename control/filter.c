#include "control/filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/pb_path.h"

enum op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_HAS };

struct term {
    struct hf_pb_path path;
    enum op op;
    char *text;     /* the value as written, unescaped */
    bool any;       /* path:* */
    int64_t number; /* integers and bools; enums: their number */
    uint64_t unsigned_number;
    double real;
};

struct hf_filter {
    struct term terms[HF_FILTER_TERMS_MAX];
    size_t n;
};

struct parser {
    const ProtobufCMessageDescriptor *d;
    const char *start, *at;
    struct hf_filter *f;
    unsigned depth; /* of parentheses */
};

/* --- values --- */

static bool is_signed(ProtobufCType t)
{
    return t == PROTOBUF_C_TYPE_INT32 || t == PROTOBUF_C_TYPE_SINT32 || t == PROTOBUF_C_TYPE_SFIXED32 ||
           t == PROTOBUF_C_TYPE_INT64 || t == PROTOBUF_C_TYPE_SINT64 || t == PROTOBUF_C_TYPE_SFIXED64;
}

static bool parse_enum(const ProtobufCFieldDescriptor *f, struct term *t)
{
    const ProtobufCEnumDescriptor *e = f->descriptor;
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(e, t->text);
    if (v != NULL)
        t->number = v->value;
    return v != NULL;
}

static bool parse_bool(struct term *t)
{
    t->number = strcmp(t->text, "true") == 0;
    return t->number == 1 || strcmp(t->text, "false") == 0;
}

static bool parse_number(const ProtobufCFieldDescriptor *f, struct term *t)
{
    char *end;
    errno = 0;
    if (f->type == PROTOBUF_C_TYPE_FLOAT || f->type == PROTOBUF_C_TYPE_DOUBLE)
        t->real = strtod(t->text, &end);
    else if (is_signed(f->type))
        t->number = strtoll(t->text, &end, 10);
    else
        t->unsigned_number =
            t->text[0] == '-' ? (errno = ERANGE, end = t->text, 0) : strtoull(t->text, &end, 10);
    return errno == 0 && end != t->text && *end == '\0';
}

/* The value as the field's type; NULL when it fits, else what it should be. */
static const char *parse_value(struct term *t)
{
    const ProtobufCFieldDescriptor *f = hf_pb_path_last(&t->path);
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return NULL;
    case PROTOBUF_C_TYPE_ENUM:
        if (t->op != OP_EQ && t->op != OP_NE && t->op != OP_HAS)
            return "compared with = or != only";
        return parse_enum(f, t) ? NULL : "one of the names of its enum";
    case PROTOBUF_C_TYPE_BOOL:
        return parse_bool(t) ? NULL : "true or false";
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_BYTES:
        return "asked with :* only";
    default:
        return parse_number(f, t) ? NULL : "a number";
    }
}

/* --- parsing --- */

static hf_status parse_and(struct parser *p);

static hf_status error_at(const struct parser *p, const char *what)
{
    return hf_error(HF_INVALID, "filter, character %d: %s", (int)(p->at - p->start) + 1, what);
}

static void skip_space(struct parser *p)
{
    while (isspace((unsigned char)*p->at))
        p->at++;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-' || c == '/' || c == '*' || c == '+';
}

static size_t word_len(const char *s)
{
    size_t n = 0;
    while (is_word(s[n]) || (n > 0 && s[n] == ':' && s[n + 1] == '/')) /* http://… without quotes */
        n++;
    return n;
}

static hf_status parse_operator(struct parser *p, enum op *ret)
{
    static const struct {
        const char *text;
        enum op op;
    } ops[] = {{"!=", OP_NE}, {"<=", OP_LE}, {">=", OP_GE}, {"=", OP_EQ},
               {"<", OP_LT},  {">", OP_GT},  {":", OP_HAS}};
    skip_space(p);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        size_t n = strlen(ops[i].text);
        if (strncmp(p->at, ops[i].text, n) == 0) {
            p->at += n;
            *ret = ops[i].op;
            return HF_STATUS_OK;
        }
    }
    return error_at(p, "expected one of = != < <= > >= :");
}

static hf_status parse_quoted(struct parser *p, char **ret)
{
    char *out = hf_alloc(strlen(p->at) + 1);
    size_t n = 0;
    const char *s = p->at + 1;
    while (*s != '\0' && *s != '"') {
        if (*s == '\\' && s[1] != '\0')
            s++;
        out[n++] = *s++;
    }
    if (*s != '"') {
        free(out);
        return error_at(p, "the quoted text has no end");
    }
    p->at = s + 1;
    *ret = out;
    return HF_STATUS_OK;
}

static hf_status parse_text(struct parser *p, struct term *t)
{
    skip_space(p);
    if (*p->at == '"')
        return parse_quoted(p, &t->text);
    size_t n = word_len(p->at);
    if (n == 0)
        return error_at(p, "expected a value");
    t->text = hf_strndup(p->at, n);
    t->any = t->op == OP_HAS && strcmp(t->text, "*") == 0;
    p->at += n;
    return HF_STATUS_OK;
}

static hf_status parse_restriction(struct parser *p)
{
    size_t n = 0;
    while (isalnum((unsigned char)p->at[n]) || p->at[n] == '_' || p->at[n] == '.')
        n++;
    if (n == 0)
        return error_at(p, "expected a field");
    if (p->f->n == HF_FILTER_TERMS_MAX)
        return error_at(p, "too many terms (at most 32)");
    struct term *t = &p->f->terms[p->f->n];
    if (!hf_pb_path_resolve(p->d, p->at, n, &t->path))
        return hf_error(HF_INVALID, "filter, character %d: there is no field '%.*s'",
                        (int)(p->at - p->start) + 1, (int)n, p->at);
    const char *name = p->at;
    p->at += n;
    p->f->n++;
    HF_TRY(parse_operator(p, &t->op));
    HF_TRY(parse_text(p, t));
    const char *expected = t->any ? NULL : parse_value(t);
    if (expected != NULL)
        return hf_error(HF_INVALID, "filter: %.*s is %s, '%s' does not fit", (int)n, name, expected, t->text);
    return HF_STATUS_OK;
}

static hf_status parse_one(struct parser *p)
{
    skip_space(p);
    if (*p->at != '(')
        return parse_restriction(p);
    if (++p->depth > HF_FILTER_TERMS_MAX)
        return error_at(p, "too many parentheses");
    p->at++;
    HF_TRY(parse_and(p));
    if (*p->at != ')')
        return error_at(p, "expected )");
    p->at++;
    p->depth--;
    return HF_STATUS_OK;
}

static hf_status parse_and(struct parser *p)
{
    for (;;) {
        HF_TRY(parse_one(p));
        skip_space(p);
        if (strncmp(p->at, "AND", 3) != 0 || is_word(p->at[3]))
            return HF_STATUS_OK;
        p->at += 3;
    }
}

hf_status hf_filter_parse(const ProtobufCMessageDescriptor *d, const char *text, struct hf_filter **ret)
{
    struct parser p = {.d = d, .start = text, .at = text};
    skip_space(&p);
    if (*p.at == '\0') {
        *ret = NULL;
        return HF_STATUS_OK;
    }
    if (strlen(text) > HF_FILTER_LEN_MAX)
        return hf_error(HF_INVALID, "filter: longer than %d characters", HF_FILTER_LEN_MAX);
    p.f = HF_NEW(struct hf_filter);
    hf_status st = parse_and(&p);
    if (hf_ok(st) && *p.at != '\0')
        st = error_at(&p, "expected AND or the end (OR and NOT are not supported)");
    if (!hf_ok(st)) {
        hf_filter_free(p.f);
        return st;
    }
    *ret = p.f;
    return HF_STATUS_OK;
}

void hf_filter_free(struct hf_filter *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n; i++)
        free(f->terms[i].text);
    free(f);
}

/* --- matching --- */

static int order_i(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int order_u(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int order_d(double a, double b)
{
    return (a > b) - (a < b);
}

/* <0, 0, >0 as the value is below, equal to or above the term's. */
static int compare(const struct term *t, const ProtobufCFieldDescriptor *f, const void *value)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return strcmp(*(char *const *)value, t->text);
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return order_i(*(const int32_t *)value, t->number);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return order_u(*(const uint32_t *)value, t->unsigned_number);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return order_i(*(const int64_t *)value, t->number);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return order_u(*(const uint64_t *)value, t->unsigned_number);
    case PROTOBUF_C_TYPE_FLOAT:
        return order_d((double)*(const float *)value, t->real);
    case PROTOBUF_C_TYPE_DOUBLE:
        return order_d(*(const double *)value, t->real);
    default:
        HF_NEVER("a type that the parser refuses");
        return 0;
    }
}

static bool value_matches(void *arg, const ProtobufCFieldDescriptor *f, void *value)
{
    const struct term *t = arg;
    if (t->op == OP_HAS && f->type == PROTOBUF_C_TYPE_STRING && f->label != PROTOBUF_C_LABEL_REPEATED)
        return strstr(*(char **)value, t->text) != NULL;
    int c = compare(t, f, value);
    switch (t->op) {
    case OP_LT:
        return c < 0;
    case OP_LE:
        return c <= 0;
    case OP_GT:
        return c > 0;
    case OP_GE:
        return c >= 0;
    default:
        return c == 0;
    }
}

static bool term_matches(const struct term *t, const ProtobufCMessage *m)
{
    if (t->any)
        return hf_pb_path_is_set(&t->path, m);
    bool one = hf_pb_path_any(&t->path, m, value_matches, (void *)t);
    return t->op == OP_NE ? !one : one;
}

bool hf_filter_matches(const struct hf_filter *f, const ProtobufCMessage *m)
{
    for (size_t i = 0; f != NULL && i < f->n; i++)
        if (!term_matches(&f->terms[i], m))
            return false;
    return true;
}
