/* hf-ceph: see hf_ceph.h. */
#include "control/hf_ceph.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/ceph_spec.h"

#define CONNECT_MS 5000
#define OP_MS      10000

const char *hf_ceph_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

hf_status hf_ceph_command(rados_t c, json_t *command, json_t **ret)
{
    char *answer = NULL;
    json_object_set_new(command, "format", json_string("json"));
    char *text = json_dumps(command, JSON_COMPACT);
    json_decref(command);
    hf_status st = hf_rados_command(c, text, &answer);
    free(text);
    if (!hf_ok(st))
        return st;
    *ret = json_loads(answer, JSON_DISABLE_EOF_CHECK, NULL);
    if (!*ret)
        *ret = json_null(); /* some say nothing */
    free(answer);
    return HF_STATUS_OK;
}

static hf_status connect_to(const json_t *question, rados_t *ret)
{
    static const struct hf_rados_limits limits = {.connect_ms = CONNECT_MS, .op_ms = OP_MS};
    char mon_host[HF_CEPH_MON_HOST_MAX], *monitors[HF_CEPH_MONITORS_MAX];
    json_t *list = json_object_get(question, "monitors"), *at;
    size_t i, n = json_array_size(list);
    if (n > HF_CEPH_MONITORS_MAX)
        return hf_error(HF_INVALID, "too many monitors");
    json_array_foreach(list, i, at) monitors[i] = (char *)json_string_value(at);
    HF_TRY(hf_ceph_monitors_check(monitors, n));
    hf_ceph_mon_host(monitors, n, mon_host);
    struct hf_rados_access access = {.mon_host = mon_host,
                                     .user = hf_ceph_text(question, "user"),
                                     .key = hf_ceph_text(question, "key"),
                                     .fsid = hf_ceph_text(question, "fsid")};
    return hf_rados_connect(&access, &limits, ret);
}

static const struct verb {
    const char *name;
    hf_status (*run)(rados_t, const json_t *, json_t *);
} verbs[] = {
    {"prepare", hf_ceph_prepare},
    {"fence", hf_ceph_fence},
    {"unfence", hf_ceph_unfence},
    {"remove-images", hf_ceph_remove_images},
};

static hf_status answer_to(const json_t *question, json_t *answer)
{
    const char *verb = hf_ceph_text(question, "verb");
    hf_status (*run)(rados_t, const json_t *, json_t *) = NULL;
    rados_t c;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verb, verbs[i].name) == 0)
            run = verbs[i].run;
    if (!run)
        return hf_error(HF_INVALID, "hf-ceph knows no verb '%s'", verb);
    HF_TRY(connect_to(question, &c));
    return run(c, question, answer); /* the connection ends with the process */
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        printf("Usage: hf-ceph < QUESTION\nAsks a Ceph cluster for holdfastd, which starts it; not for "
               "people.\n");
        return strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    signal(SIGPIPE, SIG_IGN);
    json_t *question = json_loadf(stdin, 0, NULL), *answer = json_object();
    hf_status st = question ? answer_to(question, answer) : hf_error(HF_INVALID, "the question is no JSON");
    if (hf_ok(st))
        json_dumpf(answer, stdout, JSON_COMPACT);
    else
        fprintf(stderr, "%s\n", hf_status_message(st));
    fflush(NULL);
    _exit(hf_ok(st) ? 0 : 1); /* librados would wait for what hangs */
}
