/* Reads the words behind "noun verb" by the verb's row of the table. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct cli_flag *find_flag(const struct cli_verb *verb, const char *name, size_t len)
{
    for (const struct cli_flag *f = verb->flags; f && f->name; f++)
        if (strlen(f->name) == len && strncmp(f->name, name, len) == 0)
            return f;
    return NULL;
}

static bool wants_subject(const struct cli_verb *verb)
{
    return verb->shape != CLI_LIST && verb->shape != CLI_SHOW && verb->run != cli_watch;
}

static bool complain(const struct cli_noun *noun, const struct cli_verb *verb, const char *what, const char *word)
{
    fprintf(stderr, _("holdfast: %s %s: %s: %s\n"), noun->name, verb->name, what, word);
    fprintf(stderr, _("See 'holdfast %s %s --help'.\n"), noun->name, verb->name);
    return false;
}

/* "--flag value", "--flag=value" or "--flag"; *word moves past what was used. */
static bool take_flag(const struct cli_noun *noun, const struct cli_verb *verb, char ***word, struct cli_args *args)
{
    const char *name = **word + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct cli_flag *flag = find_flag(verb, name, len);
    if (!flag)
        return complain(noun, verb, _("there is no such option"), **word);
    if (args->n_given == CLI_ARGS_MAX)
        return complain(noun, verb, _("too many options"), **word);
    const char *value = "";
    if (flag->type == CLI_BOOL || flag->type == CLI_NO) {
        if (equals)
            return complain(noun, verb, _("this option takes no value"), **word);
    } else if (equals) {
        value = equals + 1;
    } else if ((*word)[1]) {
        value = *++*word;
    } else {
        return complain(noun, verb, _("this option needs a value"), **word);
    }
    ++*word;
    args->given[args->n_given++] = (struct cli_given){flag, value};
    return true;
}

static bool check_complete(const struct cli_noun *noun, const struct cli_verb *verb, const struct cli_args *args)
{
    if (wants_subject(verb) && !args->subject)
        return complain(noun, verb, _("a name is missing"), _("NAME"));
    if (verb->second_label && !args->second)
        return complain(noun, verb, _("an argument is missing"), _(verb->second_label));
    for (const struct cli_flag *f = verb->flags; f && f->name; f++)
        if (f->required && !cli_args_get(args, f->name))
            return complain(noun, verb, _("an option is missing"), f->name);
    return true;
}

bool cli_args_parse(const struct cli_noun *noun, const struct cli_verb *verb, char **argv, struct cli_args *ret)
{
    *ret = (struct cli_args){.n_given = 0};
    for (char **word = argv; *word;) {
        if (strncmp(*word, "--", 2) == 0 && (*word)[2]) {
            if (!take_flag(noun, verb, &word, ret))
                return false;
            continue;
        }
        if (!ret->subject && wants_subject(verb))
            ret->subject = *word;
        else if (!ret->second && verb->second_label)
            ret->second = *word;
        else
            return complain(noun, verb, _("one word too many"), *word);
        word++;
    }
    return check_complete(noun, verb, ret);
}

const char *cli_args_get(const struct cli_args *args, const char *flag)
{
    for (size_t i = 0; i < args->n_given; i++)
        if (strcmp(args->given[i].flag->name, flag) == 0)
            return args->given[i].value;
    return NULL;
}
