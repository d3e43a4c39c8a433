/* The lease record file of one host on a simulated storage: two slots as in ha/lease_record.h, and what a
 * read of it finds. It holds records, not bytes: encoding and hashing 32 KiB per read would take most of the
 * time of a simulated cloud. storage_test.c shows that a read finds what one of the encoded file would.
 */
#ifndef HF_SIM_STORAGE_RECORD_H
#define HF_SIM_STORAGE_RECORD_H

#include "ha/sampler.h"

#define SIM_RECORD_VERSIONS 8 /* kept, so that a read under way finds what was there at its moment */

struct sim_record {
    unsigned refs;
    struct hf_uuid host;
    char boot_id[HF_LEASE_BOOT_ID_MAX];
    uint64_t epoch, sequence, session;
    bool closed, killed;
    size_t n_runs;
    struct hf_lease_run runs[];
};
/* One reference. */
struct sim_record *sim_record_new(const struct hf_lease_record *r);
void sim_record_unref(struct sim_record *r); /* NULL is fine */

struct sim_record_slot {
    enum hf_lease_decode state; /* GOOD, EMPTY or TORN */
    struct sim_record *record;  /* GOOD */
};

struct sim_record_version {
    int64_t since_ns;
    uint64_t number; /* stands for the hash of all bytes: every write makes another one */
    enum hf_lease_decode decode;
    struct sim_record *newest; /* GOOD */
};

/* All zero is a file that is not there. */
struct sim_record_file {
    struct hf_uuid host;
    bool there;
    struct sim_record_slot slots[2];
    struct sim_record_version versions[SIM_RECORD_VERSIONS]; /* the last n % VERSIONS … */
    uint64_t n;
};
void sim_record_file_done(struct sim_record_file *f);

/* A write lands, whole or half. Takes no reference of the caller. */
void sim_record_file_land(struct sim_record_file *f, struct sim_record *r, bool torn, int64_t now_ns);
/* What a read finds that looks at this moment, which is not long ago. f NULL: there is no file. */
void sim_record_file_read(const struct sim_record_file *f, int64_t at_ns, struct hf_sampler_read *ret);
/* The present version, with a reference; false: there is none. */
bool sim_record_file_version(const struct sim_record_file *f, struct sim_record_version *ret);
void sim_record_version_read(const struct sim_record_version *v,
                             struct hf_sampler_read *ret); /* NULL: none */
/* Both slots hold something else. */
void sim_record_file_spoil(struct sim_record_file *f, enum hf_lease_decode found, int64_t now_ns);
/* It is removed. What is written later is another value than all before. */
void sim_record_file_remove(struct sim_record_file *f);

#endif
