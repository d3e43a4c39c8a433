/* Immutable, reference-counted bytes: what the store keeps, a snapshot lists, and an answer sends without a copy.
 * Loop thread only for ref and unref; the data may be read from any thread while a reference is held.
 */
#ifndef HF_BASE_BYTES_H
#define HF_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct hf_bytes {
    uint32_t refs;
    uint32_t reserved;
    size_t len;
    uint8_t data[];
};

struct hf_bytes *hf_bytes_new(size_t len); /* one reference; the maker fills data before sharing it */
struct hf_bytes *hf_bytes_copy(const void *data, size_t len);
struct hf_bytes *hf_bytes_ref(struct hf_bytes *b);
void hf_bytes_unref(struct hf_bytes *b); /* NULL is fine */

#endif
