/* A program beside this one that does what may hang, or what needs libraries that this one shall not have:
 * started when it is first asked, kept for the next order, ended when it fails or does not answer. Orders and
 * answers go over a socket, one at a time; the helper ends with its end of it. Blocks, for
 * HF_HELPER_ANSWER_MS at most.
 */
#ifndef HF_BASE_HELPER_H
#define HF_BASE_HELPER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define HF_HELPER_ANSWER_MS 15000

/* All zeros: it does not run. */
struct hf_helper {
    int fd, pid; /* pid 0: none */
    char file[1024];
};

/* The path is a file, not a folder: what stands there is for a helper. */
bool hf_helper_file(const char *path);

/* file: what the helper is told about its work, its only argument; another one starts another helper. The
 * answer is a status and one bit more. TIMEOUT and IO: the order may have been carried out. */
hf_status hf_helper_ask(struct hf_helper *h, const char *program, const char *file, const void *order,
                        size_t n, bool *ret_bit) HF_MUST_USE;
void hf_helper_end(struct hf_helper *h);

/* The helper's side: carries out orders of n bytes, read into order, until there are no more. */
void hf_helper_serve(void *order, size_t n, hf_status (*carry_out)(const void *order, bool *ret_bit));

#endif
