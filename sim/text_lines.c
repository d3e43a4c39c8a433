#include "sim/text_lines.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DECIMAL_MAX 9000000000000000LL

static char *trim(char *line)
{
    line[strcspn(line, "#\n\r")] = '\0';
    while (isspace((unsigned char)*line))
        line++;
    size_t len = strlen(line);
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        line[--len] = '\0';
    return line;
}

hf_status sim_lines_read(const char *path, sim_line_cb cb, void *arg)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return hf_errno(errno, "cannot read '%s'", path);
    hf_status st = HF_STATUS_OK;
    char buf[SIM_LINE_MAX + 2];
    for (unsigned number = 1; hf_ok(st) && fgets(buf, sizeof buf, f); number++) {
        if (!strchr(buf, '\n') && !feof(f)) {
            st = hf_error(HF_INVALID, "%s:%u: the line is longer than %d characters, or this is no text",
                          path, number, SIM_LINE_MAX);
            break;
        }
        char *line = trim(buf);
        if (*line)
            st = hf_wrap(cb(arg, line), "%s:%u", path, number);
    }
    if (hf_ok(st) && ferror(f))
        st = hf_errno(errno, "cannot read '%s'", path);
    fclose(f);
    return st;
}

unsigned sim_words(char *line, char *words[SIM_WORDS_MAX])
{
    unsigned n = 0;
    char *rest = line;
    for (char *word; (word = strtok_r(rest, " \t", &rest)); n++)
        if (n < SIM_WORDS_MAX)
            words[n] = word;
    return n;
}

const char *sim_decimal(const char *text, unsigned decimals, int64_t *ret)
{
    bool negative = *text == '-';
    text += *text == '-' || *text == '+';
    if (!isdigit((unsigned char)*text))
        return NULL;
    int64_t value = 0;
    for (; isdigit((unsigned char)*text); text++) {
        value = value * 10 + (*text - '0');
        if (value > DECIMAL_MAX)
            return NULL;
    }
    /* "1..5" is 1 and then a range; "1.5" is one number */
    bool fraction = text[0] == '.' && isdigit((unsigned char)text[1]);
    text += fraction;
    for (unsigned i = 0; i < decimals; i++) {
        bool digit = fraction && isdigit((unsigned char)*text);
        value = value * 10 + (digit ? *text++ - '0' : 0);
        if (value > DECIMAL_MAX)
            return NULL;
    }
    if (fraction && isdigit((unsigned char)*text))
        return NULL;
    *ret = negative ? -value : value;
    return text;
}

bool sim_decimal_word(const char *word, unsigned decimals, int64_t *ret)
{
    const char *end = sim_decimal(word, decimals, ret);
    return end && !*end;
}

bool sim_u64_word(const char *word, uint64_t *ret)
{
    uint64_t value = 0;
    if (!*word)
        return false;
    for (; *word; word++) {
        if (!isdigit((unsigned char)*word))
            return false;
        unsigned digit = (unsigned)(*word - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}
