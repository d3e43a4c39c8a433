/* Text scenarios for tests: one command per line, words parted by blanks ("…" holds blanks), # begins a
 * comment. The lines that a command says stand right behind it in the file, each with "= " before it, and
 * must be exactly these.
 */
#ifndef HF_HA_SCENARIO_H
#define HF_HA_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define HF_SCENARIO_WORDS_MAX 64

struct hf_scenario;

/* Carries out one command; false: there is none of this name, or its words are wrong. */
typedef bool (*hf_scenario_command)(void *world, struct hf_scenario *s, char **words, size_t n);

/* Adds a line to what the command says. */
void hf_scenario_say(struct hf_scenario *s, const char *fmt, ...) HF_PRINTF(2, 3);

/* true: the file says what the commands said. Else the difference is on standard error. print: write the file
 * as it would be right to standard output. */
bool hf_scenario_run(const char *path, hf_scenario_command command, void *world, bool print);

/* The word behind a name, or NULL; whether a name stands there at all. */
const char *hf_scenario_value(char **words, size_t n, const char *name);
bool hf_scenario_has(char **words, size_t n, const char *name);
/* The number behind a name, or fallback. */
int64_t hf_scenario_number(char **words, size_t n, const char *name, int64_t fallback);

/* Runs each file of a folder that ends in .txt as a test with a world of its own; returns the number that
 * failed. Fails as well when there are fewer than files_min. */
int hf_scenario_run_folder(const char *folder, size_t files_min, void *(*create)(void),
                           hf_scenario_command command, void (*destroy)(void *world));

#endif
