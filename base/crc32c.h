/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum of snapshots, lease records and small files. */
#ifndef HF_BASE_CRC32C_H
#define HF_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues crc over more bytes; start with 0. */
uint32_t hf_crc32c(uint32_t crc, const void *data, size_t len);

#endif
