/* Compiled with HF_SIM only. */
#include "base/mutant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRONMENT "HOLDFAST_MUTANT"

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

/* Before main: for daemons of the preset "sim" that drills run with a planted bug. */
__attribute__((constructor)) static void choose_by_environment(void)
{
    const char *name = getenv(ENVIRONMENT);
    if (name == NULL || hf_mutant_choose(name))
        return;
    fprintf(stderr, ENVIRONMENT ": there is no planted bug '%s'\n", name);
    _exit(2);
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
