/* Text files of lines for people: profiles, schedules, lists of seeds. "#" begins a comment; empty lines do
 * not count. */
#ifndef HF_SIM_TEXT_LINES_H
#define HF_SIM_TEXT_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define SIM_LINE_MAX  400
#define SIM_WORDS_MAX 40

/* Calls back per line, without comment and blanks at its ends, never empty; the line may be changed. The
 * first error ends the reading and is wrapped: "faults.txt:3: …". */
typedef hf_status (*sim_line_cb)(void *arg, char *line);
hf_status sim_lines_read(const char *path, sim_line_cb cb, void *arg) HF_MUST_USE;

/* Cuts at blanks; returns how many words there are, of which the first SIM_WORDS_MAX are kept. */
unsigned sim_words(char *line, char *words[SIM_WORDS_MAX]);

/* A number with an optional sign and up to `decimals` digits after the point, times 10^decimals: "1.5" with 3
 * is 1500. Returns what follows it, or NULL: no number, too many decimals, or beyond ±9·10^15. */
const char *sim_decimal(const char *text, unsigned decimals, int64_t *ret);
/* The same for a word that is nothing but the number. */
bool sim_decimal_word(const char *word, unsigned decimals, int64_t *ret);
/* Decimal digits only, up to 2^64-1. */
bool sim_u64_word(const char *word, uint64_t *ret);

#endif
