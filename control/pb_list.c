#include "control/pb_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

bool hf_pb_list_has(char *const *list, size_t n, const char *value)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], value) == 0)
            return true;
    return false;
}

void hf_pb_list_add(char ***list, size_t *n, const char *value)
{
    *list = hf_realloc_array(*list, *n + 1, sizeof **list);
    (*list)[*n] = NULL;
    hf_pb_set(&(*list)[(*n)++], value);
}

void hf_pb_list_remove(char ***list, size_t *n, const char *value)
{
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (strcmp((*list)[i], value) == 0)
            free((*list)[i]);
        else
            (*list)[kept++] = (*list)[i];
    }
    *n = kept;
}

void hf_pb_list_clear(char ***list, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        free((*list)[i]);
    free(*list);
    *list = NULL;
    *n = 0;
}
