/* Compiled with HF_SIM only. */
#include "base/mutant.h"

#include <string.h>

enum hf_mutant hf_mutant_active;

static const struct hf_mutant_info mutants[] = {
#define INFO(name, rule, how) {#name, rule, how},
    HF_MUTANTS(INFO)
#undef INFO
};
#define MUTANTS_N (sizeof mutants / sizeof mutants[0])
_Static_assert(MUTANTS_N == HF_MUTANTS_END - 1, "number i of the table is number i + 1 of the enum");

const struct hf_mutant_info *hf_mutant_at(size_t i)
{
    return i < MUTANTS_N ? &mutants[i] : NULL;
}

bool hf_mutant_choose(const char *name)
{
    if (strcmp(name, "none") == 0) {
        hf_mutant_active = HF_MUTANT_NONE;
        return true;
    }
    for (size_t i = 0; i < MUTANTS_N; i++) {
        if (strcmp(mutants[i].name, name) == 0) {
            hf_mutant_active = (enum hf_mutant)(i + 1);
            return true;
        }
    }
    return false;
}
