/* Who keeps the files of images that are being uploaded, until a host has fetched them: control nodes have
 * upload_spool.h (a folder), tests their own. Which image's file a node keeps is in the log
 * (ImageStatus.upload); the keeper is told, and knows nothing else of images.
 *
 * All calls and answers are on the loop; an answer may come before the call returns. How much is under way is
 * bounded: what is too much is answered with UNAVAILABLE.
 */
#ifndef HF_CONTROL_UPLOAD_KEEPER_H
#define HF_CONTROL_UPLOAD_KEEPER_H

#include "base/status.h"
#include "base/uuid.h"

#define HF_UPLOAD_BYTES_MAX (64ULL << 30) /* of one file */
#define HF_UPLOADS_MAX      64            /* files at once on one node */
#define HF_UPLOAD_PART_MAX  (2u << 20)    /* of one put; a read gives not more than half of it */

/* The file that is meant, as the image declares it. */
struct hf_upload_file {
    struct hf_uuid image;
    uint64_t total_bytes;
    char sha256[65]; /* 64 lower-case hex digits */
};

/* What the node has. whole: all of it, on its disk, with that checksum. */
struct hf_upload_state {
    uint64_t bytes;
    bool whole;
};

/* st and what is pointed to are borrowed. */
typedef void (*hf_upload_put_cb)(void *arg, hf_status st, const struct hf_upload_state *state);
typedef void (*hf_upload_read_cb)(void *arg, hf_status st, const void *data, size_t len);

struct hf_upload_keeper;

struct hf_upload_keeper_ops {
    /* Writes a part at the end of what is there (take_data is from the heap and taken). A part for another
     * place, or while one is being written, is not written, and the answer tells what is there: parts may be
     * repeated, and come from several callers. len 0: only asks. When all is there the file is checked, which
     * takes its time: whole is false meanwhile. INVALID: the checksum is another one, and all of it was
     * thrown away; or the part would make it longer than declared. EXHAUSTED: no room. */
    void (*put)(struct hf_upload_keeper *k, const struct hf_upload_file *f, uint64_t offset,
                uint8_t *take_data, size_t len, hf_upload_put_cb cb, void *arg);
    /* Gives what is there from offset on. NOT_FOUND: nothing is kept of it. UNAVAILABLE: it is not complete.
     */
    void (*read)(struct hf_upload_keeper *k, const struct hf_upload_file *f, uint64_t offset,
                 hf_upload_read_cb cb, void *arg);
    /* Throws away every file whose image is not wanted. */
    void (*sweep)(struct hf_upload_keeper *k, bool (*wanted)(void *arg, const struct hf_uuid *image),
                  void *arg);
};

struct hf_upload_keeper {
    const struct hf_upload_keeper_ops *ops;
};

#endif
