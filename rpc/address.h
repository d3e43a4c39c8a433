/* "host:port" and "[v6]:port": parsing, formatting, and looking up a host's name without blocking the loop.
 */
#ifndef HF_RPC_ADDRESS_H
#define HF_RPC_ADDRESS_H

#include <stdbool.h>
#include <uv.h>

struct hf_resolve;

/* A numeric host only. */
bool hf_address_parse(const char *text, struct sockaddr_storage *ret);
/* The host without brackets, or NULL if text is not of this form. The caller frees it. */
char *hf_address_host(const char *text);
char *hf_address_format(const struct sockaddr *a); /* the caller frees it */

/* Calls cb once, never before it returns: with an address, or with NULL and the reason. */
struct hf_resolve *hf_resolve(uv_loop_t *loop, const char *text,
                              void (*cb)(const struct sockaddr *a, const char *error, void *arg), void *arg);
void hf_resolve_cancel(struct hf_resolve *r); /* cb is not called any more; NULL is fine */

#endif
