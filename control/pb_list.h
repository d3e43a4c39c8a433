/* Lists of strings inside messages (repeated string), as protobuf-c keeps them. Pure. */
#ifndef HF_CONTROL_PB_LIST_H
#define HF_CONTROL_PB_LIST_H

#include <stdbool.h>
#include <stddef.h>

bool hf_pb_list_has(char *const *list, size_t n, const char *value);
/* Appends a copy. */
void hf_pb_list_add(char ***list, size_t *n, const char *value);
void hf_pb_list_remove(char ***list, size_t *n, const char *value);
void hf_pb_list_clear(char ***list, size_t *n);

#endif
