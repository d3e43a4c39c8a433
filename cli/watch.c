/* "holdfast watch": one line per change that a person would call a change. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "holdfast/v1/system.pb-c.h"
#include "rpc/pbjson.h"

/* What a line says of an object: its noun, and the columns whose change is worth a line. */
struct subject {
    Holdfast__V1__Kind kind;
    const char *word;
    const ProtobufCMessageDescriptor *message;
    struct {
        const char *label, *path, *ref;
    } facts[5];
};

static const struct subject subjects[] = {
    {HOLDFAST__V1__KIND__ZONE, "zone", &holdfast__v1__zone__descriptor, {{NULL, NULL, NULL}}},
    {HOLDFAST__V1__KIND__CLUSTER, "cluster", &holdfast__v1__cluster__descriptor, {{NULL, NULL, NULL}}},
    {HOLDFAST__V1__KIND__HOST, "host", &holdfast__v1__host__descriptor,
     {{"", "status.state", NULL}, {"epoch", "status.epoch", NULL}}},
    {HOLDFAST__V1__KIND__PRIMARY_STORAGE, "storage", &holdfast__v1__primary_storage__descriptor, {{NULL, NULL, NULL}}},
    {HOLDFAST__V1__KIND__IMAGE_SERVER, "image-server", &holdfast__v1__image_server__descriptor, {{NULL, NULL, NULL}}},
    {HOLDFAST__V1__KIND__IMAGE, "image", &holdfast__v1__image__descriptor, {{"", "status.state", NULL}}},
    {HOLDFAST__V1__KIND__INSTANCE_OFFERING, "offering", &holdfast__v1__instance_offering__descriptor, {{NULL, NULL, NULL}}},
    {HOLDFAST__V1__KIND__L2_NETWORK, "l2", &holdfast__v1__l2_network__descriptor, {{NULL, NULL, NULL}}},
    {HOLDFAST__V1__KIND__L3_NETWORK, "l3", &holdfast__v1__l3_network__descriptor, {{NULL, NULL, NULL}}},
    {HOLDFAST__V1__KIND__VOLUME, "volume", &holdfast__v1__volume__descriptor, {{"", "status.state", NULL}}},
    {HOLDFAST__V1__KIND__INSTANCE, "instance", &holdfast__v1__instance__descriptor,
     {{"", "status.state", NULL}, {N_("on"), "placement.hostUuid", "host"}, {N_("run"), "placement.run", NULL}, {N_("ended:"), "placement.end.reason", NULL}}},
    {HOLDFAST__V1__KIND__OPERATION, "operation", &holdfast__v1__operation__descriptor,
     {{"", "verb", NULL}, {"", "targetName", NULL}, {"", "state", NULL}, {"-", "step", NULL}}},
    {HOLDFAST__V1__KIND__FENCE, "fence", &holdfast__v1__fence__descriptor,
     {{N_("of"), "hostUuid", "host"}, {N_("epoch"), "epoch", NULL}, {N_("evidence"), "evidence", NULL}}},
    {HOLDFAST__V1__KIND__FAILOVER, "failover", &holdfast__v1__failover__descriptor,
     {{N_("of"), "instanceName", NULL}, {"", "outcome", NULL}, {N_("to"), "toHostUuid", "host"}}},
    {HOLDFAST__V1__KIND__DRILL, "drill", &holdfast__v1__drill__descriptor,
     {{N_("of"), "hostName", NULL}, {"", "state", NULL}, {"-", "outcome", NULL}}},
};

struct watcher {
    const struct cli_args *args;
    uint64_t revision;
    bool live;         /* past the state that was there at the start */
    json_t *last;      /* {uuid: line} */
    const char *until;
    bool met;
    time_t end;        /* 0: none */
};

static const struct subject *subject_of(Holdfast__V1__Kind kind)
{
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++)
        if (subjects[i].kind == kind)
            return &subjects[i];
    return NULL;
}

static bool wanted(const struct watcher *w, const struct subject *s)
{
    bool any = false;
    for (size_t i = 0; i < w->args->n_given; i++) {
        if (strcmp(w->args->given[i].flag->name, "kind") != 0)
            continue;
        any = true;
        if (strcmp(w->args->given[i].value, s->word) == 0)
            return true;
    }
    return !any && s->kind != HOLDFAST__V1__KIND__VOLUME;
}

/* The last element's kind stands for a list of evidence. */
static char *fact_text(const json_t *v, const char *ref)
{
    if (json_is_array(v))
        return fact_text(json_object_get(json_array_get(v, json_array_size(v) - 1), "kind"), NULL);
    if (json_is_string(v))
        return hf_strdup(ref && *json_string_value(v) ? cli_name_of(ref, json_string_value(v)) : json_string_value(v));
    return v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
}

static char *line_of(const struct subject *s, const json_t *object)
{
    const char *name = json_string_value(cli_json_at(object, "meta.name"));
    bool nameless = s->kind == HOLDFAST__V1__KIND__OPERATION || s->kind == HOLDFAST__V1__KIND__FENCE ||
                    s->kind == HOLDFAST__V1__KIND__FAILOVER || s->kind == HOLDFAST__V1__KIND__DRILL;
    char *line = nameless ? hf_printf("%-9s", s->word) : hf_printf("%-9s %s", s->word, name ? name : "");
    for (size_t i = 0; i < 5 && s->facts[i].path; i++) {
        char *text = fact_text(cli_json_at(object, s->facts[i].path), s->facts[i].ref);
        if (text && *text) {
            char *longer = *s->facts[i].label ? hf_printf("%s %s %s", line, _(s->facts[i].label), text)
                                              : hf_printf("%s %s", line, text);
            free(line);
            line = longer;
        }
        free(text);
    }
    return line;
}

static void print_line(struct watcher *w, const char *line)
{
    struct timespec now;
    struct tm tm;
    char clock[16];
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    printf("%s.%03ld  %s\n", clock, now.tv_nsec / 1000000, line);
    fflush(stdout);
    if (w->until && strstr(line, w->until))
        w->met = true;
}

static void show_event(struct watcher *w, const struct subject *s, const Holdfast__V1__WatchEvent *e)
{
    const char *before = json_string_value(json_object_get(w->last, e->uuid));
    if (e->deleted) {
        char *line = hf_printf("%s %s", before ? before : s->word, _("deleted"));
        print_line(w, line);
        free(line);
        json_object_del(w->last, e->uuid);
        return;
    }
    ProtobufCMessage *m = protobuf_c_message_unpack(s->message, NULL, e->object.len, e->object.data);
    if (!m)
        return;
    json_t *object = hf_pb_to_json(m);
    protobuf_c_message_free_unpacked(m, NULL);
    char *line = line_of(s, object);
    if (w->live && (!before || strcmp(before, line) != 0))
        print_line(w, line);
    json_object_set_new(w->last, e->uuid, json_string(line));
    free(line);
    json_decref(object);
}

static bool on_event(void *arg, const ProtobufCMessage *message)
{
    struct watcher *w = arg;
    const Holdfast__V1__WatchEvent *e = (const Holdfast__V1__WatchEvent *)message;
    if (e->revision > w->revision)
        w->revision = e->revision;
    if (e->caught_up) {
        w->live = true;
        return true;
    }
    const struct subject *s = subject_of(e->kind);
    if (s && wanted(w, s))
        show_event(w, s, e);
    return !w->met && (w->end == 0 || time(NULL) < w->end);
}

static bool time_is_up(const struct watcher *w)
{
    return w->end != 0 && time(NULL) >= w->end;
}

enum cli_exit cli_watch(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args)
{
    (void)verb;
    const char *seconds = cli_args_get(args, "for");
    struct watcher w = {.args = args, .last = json_object(), .until = cli_args_get(args, "until")};
    if (seconds)
        w.end = time(NULL) + atoi(seconds);
    cli_name_of("host", ""); /* load the names before the stream takes the loop */
    enum cli_exit code = CLI_OK;
    while (!w.met && !time_is_up(&w)) {
        json_t *request = json_pack("{s:I}", "fromRevision", (json_int_t)w.revision);
        unsigned ms = w.end ? (unsigned)(w.end - time(NULL)) * 1000 : 0;
        hf_status st = cli_stream(noun->service, "Watch", request, ms, on_event, &w);
        enum hf_class class = hf_status_class(st);
        if (class == HF_CLASS_INPUT && hf_status_code(st) == HF_OUT_OF_RANGE) {
            w.revision = 0; /* too far behind: take the whole state again, quietly */
            w.live = false;
        } else if (class == HF_CLASS_INPUT || class == HF_CLASS_BUG) {
            code = cli_fail(st);
            break;
        }
        hf_status_drop(st);
        if (!w.met && !time_is_up(&w))
            usleep(200 * 1000); /* the node went away: another may lead */
    }
    if (code == CLI_OK && w.until && !w.met)
        code = CLI_FAILED;
    json_decref(w.last);
    return code;
}
