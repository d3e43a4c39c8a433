/* holdfast: the command line of the control plane. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

struct cli_options cli_options = {.control = "127.0.0.1:7480", .timeout_s = 300};

static void options_from_environment(void)
{
    const char *v;
    if ((v = getenv("HOLDFAST_CONTROL")) && *v)
        cli_options.control = v;
    if ((v = getenv("HOLDFAST_TLS_CA")) && *v)
        cli_options.tls_ca = v;
    if ((v = getenv("HOLDFAST_TLS_CERT")) && *v)
        cli_options.tls_cert = v;
    if ((v = getenv("HOLDFAST_TLS_KEY")) && *v)
        cli_options.tls_key = v;
}

static bool set_format(const char *word)
{
    static const char *const words[] = {"table", "json", "yaml"};
    for (int i = 0; i < 3; i++)
        if (strcmp(word, words[i]) == 0) {
            cli_options.format = (enum cli_format)i;
            return true;
        }
    fprintf(stderr, _("holdfast: --output: '%s' is none of table, json, yaml\n"), word);
    return false;
}

static bool set_timeout(const char *word)
{
    char *end;
    unsigned long n = strtoul(word, &end, 10);
    if (end == word || *end || n == 0 || n > 86400) {
        fprintf(stderr, _("holdfast: --timeout: '%s' is no number of seconds from 1 to 86400\n"), word);
        return false;
    }
    cli_options.timeout_s = (unsigned)n;
    return true;
}

/* Sets an option that takes a value. */
static bool set_option(const char *name, const char *value)
{
    if (strcmp(name, "-o") == 0 || strcmp(name, "--output") == 0)
        return set_format(value);
    if (strcmp(name, "--timeout") == 0)
        return set_timeout(value);
    if (strcmp(name, "--control") == 0)
        cli_options.control = value;
    else if (strcmp(name, "--tls-ca") == 0)
        cli_options.tls_ca = value;
    else if (strcmp(name, "--tls-cert") == 0)
        cli_options.tls_cert = value;
    else
        cli_options.tls_key = value;
    return true;
}

static bool takes_value(const char *word)
{
    static const char *const names[] = {"-o", "--output", "--timeout", "--control", "--tls-ca", "--tls-cert", "--tls-key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], word) == 0)
            return true;
    return false;
}

/* Takes the options that stand anywhere out of argv; false: a sentence was printed. */
static bool take_options(char **argv, bool *help)
{
    char **out = argv;
    for (char **in = argv; *in; in++) {
        if (strcmp(*in, "--no-wait") == 0) {
            cli_options.no_wait = true;
        } else if (strcmp(*in, "--no-headers") == 0) {
            cli_options.no_headers = true;
        } else if (strcmp(*in, "--help") == 0 || strcmp(*in, "-h") == 0) {
            *help = true;
        } else if (takes_value(*in)) {
            if (!in[1]) {
                fprintf(stderr, _("holdfast: %s needs a value\n"), *in);
                return false;
            }
            if (!set_option(in[0], in[1]))
                return false;
            in++;
        } else {
            *out++ = *in;
        }
    }
    *out = NULL;
    return true;
}

static enum cli_exit unknown(const char *what, const char *word, const char *see)
{
    fprintf(stderr, _("holdfast: there is no %s '%s'; see 'holdfast %s--help'\n"), what, word, see);
    return CLI_USAGE;
}

static enum cli_exit run(char **words, bool help)
{
    if (!words[0]) {
        cli_help_top();
        return help ? CLI_OK : CLI_USAGE;
    }
    if (strcmp(words[0], "completion") == 0)
        return cli_completion_script(words[1] ? words[1] : "bash");
    if (strcmp(words[0], "version") == 0 || strcmp(words[0], "--version") == 0) {
        printf("holdfast %s\n", HF_VERSION);
        return CLI_OK;
    }
    const struct cli_noun *noun = cli_noun_find(words[0]);
    if (!noun)
        return unknown(_("noun"), words[0], "");
    bool single = noun->verbs[0].name && !noun->verbs[1].name; /* "holdfast watch": its one verb may be left out */
    bool bare = single && (!words[1] || words[1][0] == '-');
    if (!words[1] && (help || !single)) {
        cli_help_noun(noun);
        return help ? CLI_OK : CLI_USAGE;
    }
    size_t used = 0;
    const struct cli_verb *verb = bare ? &noun->verbs[0] : cli_verb_of(noun, words + 1, &used);
    if (!verb) {
        char see[64];
        snprintf(see, sizeof see, "%s ", noun->name);
        return unknown(_("verb"), words[1], see);
    }
    if (help) {
        cli_help_verb(noun, verb);
        return CLI_OK;
    }
    struct cli_args args;
    if (!cli_args_parse(noun, verb, words + 1 + used, &args))
        return CLI_USAGE;
    return cli_run_verb(noun, verb, &args);
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    textdomain("holdfast");
    signal(SIGPIPE, SIG_IGN);
    options_from_environment();
    enum cli_exit code;
    if (argc > 1 && strcmp(argv[1], "__complete") == 0) {
        code = cli_complete(argc - 2, argv + 2);
    } else {
        bool help = false;
        if (!take_options(argv + 1, &help))
            return CLI_USAGE;
        code = run(argv + 1, help);
    }
    cli_names_done();
    cli_call_done();
    return (int)code;
}
