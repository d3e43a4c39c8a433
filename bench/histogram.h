/* Latencies in buckets of about 1 % width: a percentile of millions of samples in a few kilobytes. */
#ifndef HF_BENCH_HISTOGRAM_H
#define HF_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HF_HISTOGRAM_SUB 64 /* buckets per power of two */

struct hf_histogram {
    uint64_t count;
    uint64_t buckets[64 * HF_HISTOGRAM_SUB];
};

static inline unsigned hf_histogram_bucket(uint64_t ns)
{
    if (ns < HF_HISTOGRAM_SUB)
        return (unsigned)ns;
    unsigned shift = (unsigned)(63 - __builtin_clzll(ns)) - 6;
    return (shift + 1) * HF_HISTOGRAM_SUB + (unsigned)((ns >> shift) - HF_HISTOGRAM_SUB);
}

static inline void hf_histogram_add(struct hf_histogram *h, uint64_t ns)
{
    h->count++;
    h->buckets[hf_histogram_bucket(ns)]++;
}

/* The lower edge of the bucket that holds the share (0 to 1) of the samples. */
static inline double hf_histogram_ms(const struct hf_histogram *h, double share)
{
    uint64_t below = 0, wanted = (uint64_t)((double)h->count * share);
    unsigned b = 0;
    while (b + 1 < 64 * HF_HISTOGRAM_SUB && (below += h->buckets[b]) <= wanted)
        b++;
    unsigned shift = b / HF_HISTOGRAM_SUB;
    uint64_t ns = shift == 0 ? b : (uint64_t)(HF_HISTOGRAM_SUB + b % HF_HISTOGRAM_SUB) << (shift - 1);
    return (double)ns / 1e6;
}

#endif
