/* Reads the files of uploaded images from the control nodes that keep them (HostLinkService.ReadUpload), for
 * the threads that fetch images (storage/fetch.h). Each file has a connection and a loop of its own, which
 * turns only while somebody waits for its answer.
 */
#ifndef HF_HOSTD_UPLOAD_READER_H
#define HF_HOSTD_UPLOAD_READER_H

#include "base/uuid.h"
#include "rpc/grpc_server.h"
#include "storage/fetch.h"

/* Who reads. Not changed while a file is open. */
struct hf_upload_reader {
    struct hf_tls_files tls; /* ca NULL: plaintext */
    struct hf_uuid host;
    const uint8_t *secret; /* that of this host's Hello */
    size_t secret_len;
};

/* r is borrowed as long as the opener is used. */
struct hf_upload_opener hf_upload_reader_opener(struct hf_upload_reader *r);

#endif
