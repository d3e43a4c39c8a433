/* Plays testdata/scheduler.txt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "control/scheduler.h"

#define HOSTS_MAX      32
#define LINE_MAX_BYTES 2048

struct scenario {
    char title[128];
    struct hf_need need;
    struct hf_schedule_rules rules;
    struct hf_candidate hosts[HOSTS_MAX];
    size_t n_hosts;
    char *words[512]; /* of all lines: what the structs point into */
    size_t n_words;
};

static void begin(struct scenario *s, const char *title)
{
    for (size_t i = 0; i < s->n_words; i++)
        free(s->words[i]);
    *s = (struct scenario){.need = {.name = "vm",
                                    .cpus = 1,
                                    .memory_bytes = 1 << 30,
                                    .pinned_host = "",
                                    .local_host = "",
                                    .last_host = ""},
                           .rules = {.cpu_overprovisioning = 10, .reserved_memory_bytes = 1 << 30}};
    snprintf(s->title, sizeof s->title, "%s", title);
}

static char *keep(struct scenario *s, const char *word)
{
    assert_true(s->n_words < 512);
    return s->words[s->n_words++] = hf_strdup(word);
}

static char *keep_sentence(struct scenario *s, const char *word)
{
    char *text = keep(s, word);
    for (char *p = text; *p != '\0'; p++)
        *p = *p == '_' ? ' ' : *p;
    return text;
}

static uint64_t size_of(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    return *end == 'G' ? n << 30 : *end == 'M' ? n << 20 : n;
}

/* The value of "key=value" when the word has this key, else NULL. */
static const char *value_of(const char *word, const char *key)
{
    size_t n = strlen(key);
    return strncmp(word, key, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static void take_need(struct scenario *s, const char *word)
{
    const char *v;
    if (strcmp(word, "avoid-last") == 0)
        s->need.avoid_last = true;
    else if ((v = value_of(word, "cpus")) != NULL)
        s->need.cpus = size_of(v);
    else if ((v = value_of(word, "memory")) != NULL)
        s->need.memory_bytes = size_of(v);
    else if ((v = value_of(word, "followers-cpus")) != NULL)
        s->need.followers_cpus = size_of(v);
    else if ((v = value_of(word, "followers-memory")) != NULL)
        s->need.followers_memory = size_of(v);
    else if ((v = value_of(word, "pinned")) != NULL)
        s->need.pinned_host = keep(s, v);
    else if ((v = value_of(word, "local")) != NULL)
        s->need.local_host = keep(s, v);
    else if ((v = value_of(word, "last")) != NULL)
        s->need.last_host = keep(s, v);
    else if ((v = value_of(word, "strategy")) != NULL)
        s->need.strategy =
            strcmp(v, "memory") == 0 ? HOLDFAST__V1__INSTANCE_OFFERING_SPEC__STRATEGY__MOST_FREE_MEMORY
            : strcmp(v, "last") == 0 ? HOLDFAST__V1__INSTANCE_OFFERING_SPEC__STRATEGY__LAST_HOST
                                     : HOLDFAST__V1__INSTANCE_OFFERING_SPEC__STRATEGY__FEWEST_INSTANCES;
    else
        fail_msg("scenario '%s': need: what is '%s'?", s->title, word);
}

static void take_rule(struct scenario *s, const char *word)
{
    const char *v;
    if ((v = value_of(word, "overprovisioning")) != NULL)
        s->rules.cpu_overprovisioning = size_of(v);
    else if ((v = value_of(word, "reserved")) != NULL)
        s->rules.reserved_memory_bytes = size_of(v);
    else
        fail_msg("scenario '%s': rules: what is '%s'?", s->title, word);
}

static void take_host(struct scenario *s, struct hf_candidate *h, const char *word)
{
    const char *v;
    if (strcmp(word, "offline") == 0) {
        h->connected = false;
    } else if (strcmp(word, "disabled") == 0) {
        h->disabled = true;
    } else if (strcmp(word, "fenced") == 0) {
        h->fenced = true;
    } else if (strcmp(word, "leaves=in_maintenance") == 0) {
        h->leaves = "in maintenance";
    } else if (strcmp(word, "lost") == 0) {
        h->lost = true;
    } else if ((v = value_of(word, "unreachable")) != NULL) {
        h->unreachable = keep_sentence(s, v);
    } else if ((v = value_of(word, "barred")) != NULL) {
        h->barred = keep_sentence(s, v);
    } else if ((v = value_of(word, "liked")) != NULL) {
        h->liked = atoi(v);
    } else if ((v = value_of(word, "cpus")) != NULL) {
        h->cpus = size_of(v);
    } else if ((v = value_of(word, "memory")) != NULL) {
        h->memory_bytes = size_of(v);
    } else if ((v = value_of(word, "used-cpus")) != NULL) {
        h->cpus_used = size_of(v);
    } else if ((v = value_of(word, "used-memory")) != NULL) {
        h->memory_used = size_of(v);
    } else if ((v = value_of(word, "instances")) != NULL) {
        h->instances = size_of(v);
    } else {
        fail_msg("scenario '%s': host %s: what is '%s'?", s->title, h->name, word);
    }
}

static void add_host(struct scenario *s, char *words)
{
    char *save = NULL, *word = strtok_r(words, " ", &save);
    assert_true(s->n_hosts < HOSTS_MAX && word != NULL);
    struct hf_candidate *h = &s->hosts[s->n_hosts++];
    char *name = keep(s, word);
    *h = (struct hf_candidate){
        .uuid = name, .name = name, .connected = true, .cpus = 4, .memory_bytes = (uint64_t)8 << 30};
    while ((word = strtok_r(NULL, " ", &save)) != NULL)
        take_host(s, h, word);
}

static bool expect(struct scenario *s, const char *expected)
{
    size_t chosen = s->n_hosts;
    hf_status st = hf_schedule(&s->need, s->hosts, s->n_hosts, &s->rules, &chosen);
    char *got = hf_ok(st) ? hf_strdup(s->hosts[chosen].name) : hf_printf("none: %s", hf_status_message(st));
    bool same = strcmp(got, expected) == 0 && (hf_ok(st) || hf_status_code(st) == HF_EXHAUSTED);
    if (!same)
        print_error("scenario '%s'\n  expected %s\n  got      %s\n", s->title, expected, got);
    free(got);
    hf_status_drop(st);
    return same;
}

static void each_word(struct scenario *s, char *words, void (*take)(struct scenario *, const char *))
{
    char *save = NULL;
    for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        take(s, w);
}

static void scenarios(void **state)
{
    (void)state;
    FILE *f = fopen("testdata/scheduler.txt", "r");
    assert_non_null(f);
    static struct scenario s;
    char line[LINE_MAX_BYTES];
    int played = 0, wrong = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        char *rest = line + strcspn(line, " ");
        rest += *rest == ' ';
        if (strncmp(line, "scenario ", 9) == 0)
            begin(&s, rest);
        else if (strncmp(line, "need ", 5) == 0)
            each_word(&s, rest, take_need);
        else if (strncmp(line, "rules ", 6) == 0)
            each_word(&s, rest, take_rule);
        else if (strncmp(line, "host ", 5) == 0)
            add_host(&s, rest);
        else if (strncmp(line, "expect ", 7) == 0)
            wrong += !expect(&s, rest), played++;
        else
            fail_msg("what is '%s'?", line);
    }
    fclose(f);
    begin(&s, "");
    assert_int_equal(wrong, 0);
    assert_true(played >= 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(scenarios)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
