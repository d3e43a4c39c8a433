#include "control/power_devices.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define VALUE_MAX 4096

typedef Holdfast__V1__PowerDevice Device;
typedef Holdfast__V1__PowerDevice__Option Option;

static bool is_word(const char *s, const char *more)
{
    if (*s == '\0' || strlen(s) >= HF_POWER_NAME_MAX)
        return false;
    for (; *s != '\0'; s++)
        if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && strchr(more, *s) == NULL)
            return false;
    return true;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Ours to say ("action"), or able to run a program or to write a file on the control node. */
static bool is_forbidden(const char *name)
{
    static const char *const names[] = {"action",  "option",        "debug",       "debug_file",
                                        "verbose", "verbose_level", "ssh_options", "version",
                                        "help",    "method",        "cmd_prompt",  "command_prompt"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return ends_with(name, "_script") || ends_with(name, "_path") || ends_with(name, "_cmd");
}

static hf_status check_option(const Option *o)
{
    if (!is_word(o->name, "_-"))
        return hf_error(HF_INVALID, "'%.40s' is not the name of an option (small letters, digits, _)",
                        o->name);
    if (is_forbidden(o->name))
        return hf_error(HF_INVALID,
                        "option '%s' is not allowed: it is set by Holdfast, or could run or write something "
                        "on the control nodes",
                        o->name);
    if (strlen(o->value) > VALUE_MAX || strpbrk(o->value, "\r\n") != NULL)
        return hf_error(HF_INVALID, "the value of option '%s' must be one line of at most %d bytes", o->name,
                        VALUE_MAX);
    return HF_STATUS_OK;
}

static size_t count_named(const Device *d, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n_options; i++)
        n += strcmp(d->options[i]->name, name) == 0;
    for (size_t i = 0; i < d->n_secrets; i++)
        n += strcmp(d->secrets[i]->name, name) == 0;
    return n;
}

hf_status hf_power_device_check(const Device *d)
{
    if (!is_word(d->name, "_-."))
        return hf_error(HF_INVALID, "name: '%.40s' is not a word of small letters, digits, _, - and .",
                        d->name);
    if (strncmp(d->agent, "fence_", 6) != 0 || !is_word(d->agent + 6, "_"))
        return hf_error(HF_INVALID, "agent: '%.40s' is not the name of a fence agent, such as fence_ipmilan",
                        d->agent);
    if (d->level == 0 || d->level > HF_POWER_DEVICES_MAX)
        return hf_error(HF_INVALID, "level: %u is not between 1 and %d", d->level, HF_POWER_DEVICES_MAX);
    if (d->timeout_s > HF_POWER_TIMEOUT_MAX_S)
        return hf_error(HF_INVALID, "timeout_s: %u is more than %d", d->timeout_s, HF_POWER_TIMEOUT_MAX_S);
    if (d->n_options + d->n_secrets > HF_POWER_OPTIONS_MAX)
        return hf_error(HF_INVALID, "more than %d options", HF_POWER_OPTIONS_MAX);
    for (size_t i = 0; i < d->n_options + d->n_secrets; i++) {
        const Option *o = i < d->n_options ? d->options[i] : d->secrets[i - d->n_options];
        HF_TRY(check_option(o));
        if (count_named(d, o->name) > 1)
            return hf_error(HF_INVALID, "option '%s' is there twice", o->name);
    }
    return HF_STATUS_OK;
}

void hf_power_devices_hide(Holdfast__V1__Host *h)
{
    for (size_t i = 0; h->spec != NULL && i < h->spec->n_power_fencing; i++)
        for (size_t k = 0; k < h->spec->power_fencing[i]->n_secrets; k++)
            hf_pb_set(&h->spec->power_fencing[i]->secrets[k]->value, HF_POWER_SECRET_SHOWN);
}

const Device *hf_power_device_find(const Holdfast__V1__Host *h, const char *name)
{
    for (size_t i = 0; h->spec != NULL && i < h->spec->n_power_fencing; i++)
        if (strcmp(h->spec->power_fencing[i]->name, name) == 0)
            return h->spec->power_fencing[i];
    return NULL;
}

struct hf_power_order hf_power_order_of(const Device *d, enum hf_power_verb verb,
                                        struct hf_power_option *room)
{
    size_t n = 0;
    HF_ASSERT(d->n_options + d->n_secrets <= HF_POWER_OPTIONS_MAX);
    for (size_t i = 0; i < d->n_options; i++)
        room[n++] = (struct hf_power_option){d->options[i]->name, d->options[i]->value, false};
    for (size_t i = 0; i < d->n_secrets; i++)
        room[n++] = (struct hf_power_option){d->secrets[i]->name, d->secrets[i]->value, true};
    return (struct hf_power_order){.agent = d->agent,
                                   .verb = verb,
                                   .options = room,
                                   .n_options = n,
                                   .timeout_ms =
                                       (d->timeout_s != 0 ? d->timeout_s : HF_POWER_TIMEOUT_S) * 1000};
}
