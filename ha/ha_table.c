/* hf-ha-table [PROFILE]: prints the durations of a profile (all of them without an argument) and the
 * second-by-second table of a lost host, from ha_timing.h. The docs are made from it. */
#include <stdio.h>
#include <stdlib.h>

#include "ha/ha_timing.h"

struct row {
    int64_t at_ms;
    const char *text;
};

static int by_time(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

static double s(int64_t ms)
{
    return (double)ms / 1000.0;
}

static void print_durations(const struct hf_ha_timing *t)
{
    printf("profile %s\n", t->profile);
    printf("  renewal period R %.2f s, a write hangs after %.2f s\n", s(t->renew_ms), s(t->io_timeout_ms));
    printf("  lease L %.2f s, kill deadline K %.2f s later, a good kill is seen within %.2f s\n",
           s(t->lease_ms), s(t->kill_ms), s(t->verify_ms));
    printf("  watchdog set to %.2f s, W at worst %.2f s, petted every %.2f s\n", s(t->watchdog_timeout_ms),
           s(t->watchdog_worst_ms), s(t->pet_ms));
    printf("  drift %.1f %%, a guest's write lives F %.2f s at most\n", (double)t->drift_ppm / 10000.0,
           s(t->guest_write_ms));
    printf("  fence after L+K %.2f s, silence that proves T %.2f s, take-over within %.2f s\n\n",
           s(t->fence_ms), s(t->silence_ms), s(t->takeover_ms));
}

static void print_lost_host(const struct hf_ha_timing *t)
{
    int64_t proof_ms = t->silence_ms + 2 * t->takeover_read_ms;
    struct row rows[] = {
        {0, "power is cut, at worst right after a renewal and a pet"},
        {t->takeover_read_ms,
         "an observer's read has returned the last value of the record: T counts from here"},
        {t->contact_ms, "the leader counts contact as lost"},
        {t->lease_ms, "a keeper that still ran would stop petting (age L)"},
        {t->write_fenced_ms,
         "write-fenced runs, all on Ceph: it has stood still for 2R, the leader fences and asks for the "
         "blocklist"},
        {t->fence_ms, "it would have closed its leases and killed by now (age L+K)"},
        {t->takeover_read_ms + t->fence_ms,
         "the record has stood still for L+K: the leader commits the fence"},
        {t->lease_ms + t->watchdog_worst_ms, "a pet that was under way at L has been the last"},
        {t->lease_ms + 2 * t->watchdog_worst_ms,
         "the watchdog has reset even a host that paused at the worst moment (L+2W)"},
        {proof_ms, "a read that started T after the first returned the same value; it is told to the leader"},
        {t->takeover_ms, "evidence and placement are committed, the order to start leaves"},
    };
    qsort(rows, sizeof rows / sizeof rows[0], sizeof rows[0], by_time);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        printf("  %7.2f  %s\n", s(rows[i].at_ms), rows[i].text);
    printf("\n");
}

int main(int argc, char **argv)
{
    const struct hf_ha_timing *one = argc > 1 ? hf_ha_timing_find(argv[1]) : NULL;
    if (argc > 2 || (argc == 2 && !one)) {
        fprintf(stderr, "Usage: hf-ha-table [fast|default|san]\n");
        return 2;
    }
    const struct hf_ha_timing *t;
    for (unsigned i = 0; (t = hf_ha_timing_at(i)) != NULL; i++) {
        if (one && one != t)
            continue;
        print_durations(t);
        print_lost_host(t);
    }
    return 0;
}
