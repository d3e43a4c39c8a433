#include "control/conditions.h"

#include <string.h>

#include "base/mem.h"

static size_t find(Holdfast__V1__Condition *const *list, size_t n, const char *type)
{
    size_t i = 0;
    while (i < n && strcmp(list[i]->type, type) != 0)
        i++;
    return i;
}

bool hf_condition_set(Holdfast__V1__Condition ***list, size_t *n, const char *type, bool ok,
                      const char *message, int64_t now_ms)
{
    size_t i = find(*list, *n, type);
    if (i < *n && (*list)[i]->ok == ok && strcmp((*list)[i]->message, message) == 0)
        return false;
    if (i == *n) {
        *list = hf_realloc_array(*list, *n + 1, sizeof **list);
        Holdfast__V1__Condition *c = HF_NEW(Holdfast__V1__Condition);
        holdfast__v1__condition__init(c);
        hf_pb_set(&c->type, type);
        (*list)[(*n)++] = c;
    }
    (*list)[i]->ok = ok;
    hf_pb_set(&(*list)[i]->message, message);
    (*list)[i]->since_ms = now_ms;
    return true;
}

bool hf_condition_clear(Holdfast__V1__Condition ***list, size_t *n, const char *type)
{
    size_t i = find(*list, *n, type);
    if (i == *n)
        return false;
    holdfast__v1__condition__free_unpacked((*list)[i], NULL);
    memmove(&(*list)[i], &(*list)[i + 1], (*n - i - 1) * sizeof **list);
    (*n)--;
    return true;
}

const char *hf_condition_message(Holdfast__V1__Condition *const *list, size_t n, const char *type)
{
    size_t i = find(list, n, type);
    return i < n ? list[i]->message : NULL;
}
