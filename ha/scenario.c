#include "ha/scenario.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LINE_MAX_BYTES 1024

struct hf_scenario {
    const char *path;
    int line;
    bool print, failed;
    char **said; /* not yet found in the file */
    size_t n_said;
};

void hf_scenario_say(struct hf_scenario *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    s->said = hf_realloc_array(s->said, s->n_said + 1, sizeof s->said[0]);
    s->said[s->n_said++] = hf_vprintf(fmt, ap);
    va_end(ap);
}

const char *hf_scenario_value(char **words, size_t n, const char *name)
{
    for (size_t i = 0; i + 1 < n; i++) {
        if (strcmp(words[i], name) == 0)
            return words[i + 1];
    }
    return NULL;
}

bool hf_scenario_has(char **words, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], name) == 0)
            return true;
    }
    return false;
}

int64_t hf_scenario_number(char **words, size_t n, const char *name, int64_t fallback)
{
    const char *v = hf_scenario_value(words, n, name);
    return v ? strtoll(v, NULL, 10) : fallback;
}

static size_t split(char *line, char **words)
{
    size_t n = 0;
    char *p = line;
    while (n < HF_SCENARIO_WORDS_MAX) {
        p += strspn(p, " \t");
        if (*p == '\0' || *p == '#')
            return n;
        bool quoted = *p == '"';
        p += quoted;
        words[n++] = p;
        p += strcspn(p, quoted ? "\"" : " \t");
        if (*p == '\0')
            return n;
        *p++ = '\0';
    }
    return n;
}

static void forget_first(struct hf_scenario *s)
{
    free(s->said[0]);
    s->n_said--;
    memmove(&s->said[0], &s->said[1], s->n_said * sizeof s->said[0]);
}

static void expect(struct hf_scenario *s, const char *line)
{
    if (s->print)
        return;
    if (s->n_said > 0 && strcmp(s->said[0], line) == 0) {
        forget_first(s);
        return;
    }
    fprintf(stderr, "%s:%d: expected: %s\n", s->path, s->line, line);
    fprintf(stderr, "%s:%d:     said: %s\n", s->path, s->line, s->n_said > 0 ? s->said[0] : "(nothing more)");
    s->failed = true;
    if (s->n_said > 0)
        forget_first(s);
}

static void settle(struct hf_scenario *s)
{
    while (s->n_said > 0) {
        if (s->print) {
            printf("= %s\n", s->said[0]);
        } else {
            fprintf(stderr, "%s:%d: said and not expected: %s\n", s->path, s->line, s->said[0]);
            s->failed = true;
        }
        forget_first(s);
    }
}

static void run_line(struct hf_scenario *s, char *line, hf_scenario_command command, void *world)
{
    char *words[HF_SCENARIO_WORDS_MAX];
    if (strncmp(line, "= ", 2) == 0) {
        expect(s, line + 2);
        return;
    }
    settle(s);
    if (s->print)
        printf("%s\n", line);
    size_t n = split(line, words);
    if (n > 0 && !command(world, s, words, n)) {
        fprintf(stderr, "%s:%d: '%s': no such command, or wrong words\n", s->path, s->line, words[0]);
        s->failed = true;
    }
}

bool hf_scenario_run(const char *path, hf_scenario_command command, void *world, bool print)
{
    struct hf_scenario s = {.path = path, .print = print};
    char line[LINE_MAX_BYTES];
    FILE *f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        return false;
    }
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        s.line++;
        run_line(&s, line, command, world);
    }
    settle(&s);
    fclose(f);
    free(s.said);
    return !s.failed;
}

static int is_scenario(const struct dirent *e)
{
    size_t len = strlen(e->d_name);
    return len > 4 && strcmp(e->d_name + len - 4, ".txt") == 0;
}

int hf_scenario_run_folder(const char *folder, size_t files_min, void *(*create)(void),
                           hf_scenario_command command, void (*destroy)(void *world))
{
    struct dirent **files = NULL;
    int n = scandir(folder, &files, is_scenario, alphasort), failed = 0;
    if (n < 0 || (size_t)n < files_min) {
        fprintf(stderr, "%s: %d scenarios, at least %zu are expected\n", folder, n, files_min);
        failed++;
    }
    for (int i = 0; i < n; i++) {
        char *path = hf_printf("%s/%s", folder, files[i]->d_name);
        void *world = create();
        failed += !hf_scenario_run(path, command, world, false);
        destroy(world);
        free(path);
        free(files[i]);
    }
    free(files);
    return failed;
}
