/* --help, from the table. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static void print_row(const char *left, const char *right)
{
    printf("  %-28s %s\n", left, right);
}

void cli_help_top(void)
{
    printf(_("Usage: holdfast [OPTIONS] NOUN VERB [NAME] [--FLAG VALUE ...]\n\n"
             "Talks to a Holdfast control plane: finds the leader, repeats safely what was cut off, waits for\n"
             "long work and shows its progress.\n\nNouns:\n"));
    for (const struct cli_noun *n = cli_nouns; n->name; n++)
        print_row(n->name, _(n->help));
    printf(_("\nOptions (anywhere):\n"));
    print_row("--control A:PORT,B:PORT", _("control nodes; or $HOLDFAST_CONTROL (default 127.0.0.1:7480)"));
    print_row("-o, --output table|json|yaml", _("what is printed"));
    print_row("--no-wait", _("do not wait for the operation that a verb starts"));
    print_row("--no-headers", _("tables without their first line"));
    print_row("--timeout SECONDS", _("for a call or the operation it starts (default 300)"));
    print_row("--tls-ca, --tls-cert, --tls-key", _("PEM files; or $HOLDFAST_TLS_CA, _CERT, _KEY"));
    printf(_("\nExit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 no control node answered,\n"
             "5 unknown: it may have happened, look before you repeat it.\n\n"
             "A first tour:\n"
             "  holdfast control status\n"
             "  holdfast zone create zone-1\n"
             "  holdfast cluster create cluster-1 --zone zone-1\n"
             "  holdfast host pending\n"
             "  holdfast host create host-1 --cluster cluster-1 --address 10.77.0.11\n"
             "  holdfast instance create vm-1 --offering small --image base --network flat --ha NeverStop\n"
             "  holdfast instance list\n"
             "  holdfast watch all\n\n"
             "'holdfast NOUN --help' shows its verbs; 'holdfast completion bash' prints shell completion.\n"));
}

static void print_usage(const struct cli_noun *noun, const struct cli_verb *verb, char *out, size_t len)
{
    bool subject = verb->shape != CLI_LIST && verb->shape != CLI_SHOW && verb->run != cli_watch;
    snprintf(out, len, "%s%s%s%s", verb->name, subject ? " NAME" : "", verb->second_label ? " " : "",
             verb->second_label ? _(verb->second_label) : "");
    (void)noun;
}

void cli_help_noun(const struct cli_noun *noun)
{
    printf(_("Usage: holdfast %s VERB ...\n\n%s: %s\n\nVerbs:\n"), noun->name, noun->name, _(noun->help));
    for (const struct cli_verb *v = noun->verbs; v->name; v++) {
        char usage[80];
        print_usage(noun, v, usage, sizeof usage);
        print_row(usage, _(v->help));
    }
    if (*noun->aliases)
        printf(_("\nAlso called: %s\n"), noun->aliases);
}

void cli_help_verb(const struct cli_noun *noun, const struct cli_verb *verb)
{
    char usage[80];
    print_usage(noun, verb, usage, sizeof usage);
    printf(_("Usage: holdfast %s %s%s\n\n%s: %s\n"), noun->name, usage, verb->flags ? " [--FLAG VALUE ...]" : "", verb->name,
           _(verb->help));
    if (verb->flags)
        printf(_("\nFlags:\n"));
    for (const struct cli_flag *f = verb->flags; f && f->name; f++) {
        char left[64], right[256];
        snprintf(left, sizeof left, "--%s %s", f->name, f->value ? _(f->value) : "");
        snprintf(right, sizeof right, "%s%s", _(f->help), f->required ? _(" (needed)") : "");
        print_row(left, right);
        if (f->choices) {
            char words[200] = "";
            for (const char *p = f->choices; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
                size_t have = strlen(words);
                snprintf(words + have, sizeof words - have, "%s%.*s", have ? ", " : "", (int)strcspn(p, "="), p);
            }
            printf("  %-28s %s\n", "", words);
        }
    }
}
