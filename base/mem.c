#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

__attribute__((noreturn)) static void out_of_memory(size_t size)
{
    fprintf(stderr, "holdfast: out of memory: %zu bytes wanted\n", size);
    abort();
}

__attribute__((noreturn)) void hf_assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "holdfast: assertion failed: %s (%s:%d)\n", expr, file, line);
    abort();
}

void *hf_alloc(size_t size)
{
    void *p = calloc(1, size > 0 ? size : 1);
    if (!p)
        out_of_memory(size);
    return p;
}

void *hf_alloc_array(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size > 0 ? size : 1);
    if (!p)
        out_of_memory(n * size);
    return p;
}

void *hf_realloc_array(void *p, size_t n, size_t size)
{
    void *q = reallocarray(p, n > 0 ? n : 1, size > 0 ? size : 1);
    if (!q)
        out_of_memory(n * size);
    return q;
}

char *hf_strdup(const char *s)
{
    return s ? hf_strndup(s, strlen(s)) : NULL;
}

char *hf_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = hf_alloc(len + 1);
    memcpy(copy, s, len);
    return copy;
}

char *hf_vprintf(const char *fmt, va_list ap)
{
    char *s = NULL;
    if (vasprintf(&s, fmt, ap) < 0)
        out_of_memory(strlen(fmt));
    return s;
}

char *hf_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = hf_vprintf(fmt, ap);
    va_end(ap);
    return s;
}
