/* Shell completion: the shell asks "holdfast __complete WORD…" and gets one candidate a line. */
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static void offer(const char *candidate, const char *dashes, const char *typed)
{
    char whole[128];
    snprintf(whole, sizeof whole, "%s%s", dashes, candidate);
    if (strncmp(whole, typed, strlen(typed)) == 0)
        puts(whole);
}

static void offer_names(const char *noun_name, const char *typed)
{
    const struct cli_noun *noun = cli_noun_find(noun_name);
    const struct cli_verb *list = noun ? cli_verb_find(noun, "list") : NULL;
    json_t *reply = NULL, *value, *item;
    if (!list)
        return;
    hf_status st = cli_call(noun->service, list->method, json_pack("{s:i, s:b}", "pageSize", 1000, "stale", 1), 1500, &reply);
    hf_status_drop(st); /* no control plane: no names */
    const char *key;
    size_t i;
    json_object_foreach(reply, key, value)
        if (json_is_array(value))
            json_array_foreach(value, i, item)
                offer(json_string_value(cli_json_at(item, "meta.name")), "", typed);
    json_decref(reply);
}

/* Of what is part of an object: its snapshots, say. */
static void offer_parts(const struct cli_noun *noun, const char *subject, const char *list, const char *typed)
{
    char uuid[33];
    json_t *object = NULL, *item;
    const struct cli_verb *get = cli_verb_find(noun, "get");
    hf_status st = cli_resolve(noun->name, subject, uuid);
    if (hf_ok(st) && get)
        st = cli_call(noun->service, get->method, json_pack("{s:s}", "uuid", uuid), 1500, &object);
    hf_status_drop(st);
    size_t i;
    json_array_foreach(cli_json_at(object, list), i, item)
        offer(json_string_value(cli_json_at(item, "name")), "", typed);
    json_decref(object);
}

static void offer_choices(const struct cli_flag *f, const char *typed)
{
    for (const char *p = f->choices; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(p, "="), p);
        offer(word, "", typed);
    }
}

/* Of this machine. */
static void offer_files(const char *typed)
{
    char pattern[PATH_MAX];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s*", typed);
    if (glob(pattern, GLOB_MARK, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        puts(found.gl_pathv[i]);
    globfree(&found);
}

static const struct cli_flag *flag_before(const struct cli_verb *verb, const char *word)
{
    if (strncmp(word, "--", 2) != 0)
        return NULL;
    for (const struct cli_flag *f = verb->flags; f && f->name; f++)
        if (strcmp(f->name, word + 2) == 0 && f->type != CLI_BOOL && f->type != CLI_NO)
            return f;
    return NULL;
}

static void offer_in_verb(const struct cli_noun *noun, const struct cli_verb *verb, int argc, char **argv)
{
    const char *typed = argv[argc - 1];
    const struct cli_flag *open = argc > 2 ? flag_before(verb, argv[argc - 2]) : NULL;
    if (open) {
        if (open->type == CLI_REF)
            offer_names(open->ref, typed);
        if (open->type == CLI_CHOICE)
            offer_choices(open, typed);
        if (open->type == CLI_FILE)
            offer_files(typed);
        return;
    }
    bool second = argc > 3 && verb->second_label && !verb->second_ref;
    if (typed[0] != '-' && second && verb->second_list)
        offer_parts(noun, argv[2], verb->second_list, typed);
    else if (typed[0] != '-' && second && verb->second_file)
        offer_files(typed);
    else if (typed[0] != '-' && !second && verb->shape != CLI_CREATE)
        offer_names(argc > 3 && verb->second_ref ? verb->second_ref : verb->subject_ref ? verb->subject_ref : noun->name, typed);
    for (const struct cli_flag *f = verb->flags; f && f->name; f++)
        offer(f->name, "--", typed);
}

/* Of verbs of two words the first, once. */
static void offer_verbs(const struct cli_noun *noun, const char *typed)
{
    size_t last_len = 0;
    for (const struct cli_verb *v = noun->verbs; v->name; v++) {
        size_t len = strcspn(v->name, " ");
        bool again = v > noun->verbs && len == last_len && strncmp(v[-1].name, v->name, len) == 0;
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)len, v->name);
        if (!again)
            offer(word, "", typed);
        last_len = len;
    }
}

/* Of the verbs that have two, those that begin with this one. */
static void offer_second_words(const struct cli_noun *noun, const char *first, const char *typed)
{
    size_t len = strlen(first);
    for (const struct cli_verb *v = noun->verbs; v->name; v++)
        if (strncmp(v->name, first, len) == 0 && v->name[len] == ' ')
            offer(v->name + len + 1, "", typed);
}

enum cli_exit cli_complete(int argc, char **argv)
{
    if (argc <= 1) {
        for (const struct cli_noun *n = cli_nouns; n->name; n++)
            offer(n->name, "", argc == 1 ? argv[0] : "");
        return CLI_OK;
    }
    const struct cli_noun *noun = cli_noun_find(argv[0]);
    if (!noun)
        return CLI_OK;
    if (argc == 2) {
        offer_verbs(noun, argv[1]);
        return CLI_OK;
    }
    size_t used;
    const struct cli_verb *verb = cli_verb_of(noun, argv + 1, &used);
    if (argc == 3)
        offer_second_words(noun, argv[1], argv[2]);
    if (verb && (size_t)argc > 1 + used)
        offer_in_verb(noun, verb, argc - (int)(used - 1), argv + used - 1);
    return CLI_OK;
}

enum cli_exit cli_completion_script(const char *shell)
{
    if (strcmp(shell, "bash") == 0) {
        puts("_holdfast() {\n"
             "    local IFS=$'\\n'\n"
             "    COMPREPLY=($(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
             "}\n"
             "complete -F _holdfast holdfast");
        return CLI_OK;
    }
    if (strcmp(shell, "zsh") == 0) {
        puts("#compdef holdfast\n"
             "_holdfast() { local -a c; c=(${(f)\"$($words[1] __complete ${words[2,CURRENT]} 2>/dev/null)\"}); compadd -a c }\n"
             "compdef _holdfast holdfast");
        return CLI_OK;
    }
    fprintf(stderr, _("holdfast: completion: '%s' is neither bash nor zsh\n"), shell);
    return CLI_USAGE;
}
