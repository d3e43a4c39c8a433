/* For the tests of the fence agents' driver: a loop, a folder of its own, one agent asked at a time, and a
 * host's power cut by ha/power_fence.h on real processes and real time.
 */
#ifndef HF_CONTROL_FENCE_AGENTS_TESTING_H
#define HF_CONTROL_FENCE_AGENTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/fence_agents.h"

struct bed {
    uv_loop_t loop;
    char dir[64];
    struct hf_power_runner *runner;
};

static inline char *path_in(const struct bed *b, const char *name)
{
    return hf_printf("%s/%s", b->dir, name);
}

static inline void write_file(const struct bed *b, const char *name, const char *text, mode_t mode)
{
    char *path = path_in(b, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

/* What the file says, or "". */
static inline char *read_file(const struct bed *b, const char *name)
{
    char *path = path_in(b, name), *text = hf_alloc(65536);
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(text, 1, 65535, f) : 0;
    text[n] = '\0';
    if (f != NULL)
        fclose(f);
    free(path);
    return text;
}

static inline bool file_says(const struct bed *b, const char *name, const char *part)
{
    char *text = read_file(b, name);
    bool says = strstr(text, part) != NULL;
    free(text);
    return says;
}

/* agents: where they are; NULL: the bed's own folder. */
static inline struct bed *bed_make(const char *agents)
{
    struct bed *b = HF_NEW(struct bed);
    snprintf(b->dir, sizeof b->dir, "/tmp/hf-agents-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    assert_int_equal(uv_loop_init(&b->loop), 0);
    b->runner = hf_fence_agents_create(&b->loop, agents != NULL ? agents : b->dir);
    return b;
}

static inline void bed_free(struct bed *b)
{
    hf_fence_agents_close(b->runner);
    assert_int_equal(uv_run(&b->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    char *rm = hf_printf("rm -rf %s", b->dir);
    assert_int_equal(system(rm), 0);
    free(rm);
    free(b);
}

static inline int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct answer {
    unsigned times;
    enum hf_power_answer answer;
    char text[HF_POWER_TEXT_MAX];
};

static inline void take_answer(void *arg, enum hf_power_answer what, const char *text)
{
    struct answer *a = arg;
    a->times++;
    a->answer = what;
    snprintf(a->text, sizeof a->text, "%s", text);
}

/* One agent asked one thing, to its end. */
static inline struct answer ask(struct bed *b, const char *agent, enum hf_power_verb verb,
                                unsigned timeout_ms, const struct hf_power_option *options, size_t n)
{
    struct answer a = {0};
    struct hf_power_order o = {agent, verb, options, n, timeout_ms};
    b->runner->ops->run(b->runner, &o, take_answer, &a);
    assert_int_equal(a.times, 0); /* never from within */
    while (a.times == 0)
        uv_run(&b->loop, UV_RUN_ONCE);
    print_message("%s %s: %d %s\n", agent, hf_power_verb_text(verb), a.answer, a.text);
    return a;
}

/* --- cutting a host's power --- */

struct cut_device {
    const char *name, *agent;
    unsigned level, timeout_ms;
    const struct hf_power_option *options;
    size_t n_options;
};

struct cut_leg {
    struct cut *cut;
    size_t device;
};

struct cut {
    struct bed *bed;
    const struct cut_device *devices;
    struct hf_power_fence fence;
    struct cut_leg legs[HF_POWER_DEVICES_MAX];
    unsigned offs; /* sent */
};

static inline void cut_answered(void *arg, enum hf_power_answer what, const char *text)
{
    struct cut_leg *leg = arg;
    print_message("%s: %d %s\n", leg->cut->fence.devices[leg->device].name, what, text);
    hf_power_fence_answer(&leg->cut->fence, leg->device, what, text, clock_ms());
}

static inline const struct cut_device *device_named(const struct cut *c, const char *name)
{
    const struct cut_device *d = c->devices;
    while (strcmp(d->name, name) != 0)
        d++;
    return d;
}

/* Until it is off or has been through all levels so often. */
static inline bool cut_power(struct cut *c, struct bed *b, const struct cut_device *devices, size_t n,
                             unsigned passes)
{
    struct hf_power_run r;
    *c = (struct cut){.bed = b, .devices = devices};
    hf_power_fence_init(&c->fence, clock_ms());
    for (size_t i = 0; i < n; i++)
        hf_power_fence_add(&c->fence, devices[i].name, devices[i].level);
    while (!hf_power_fence_is_off(&c->fence) && c->fence.passes < passes) {
        while (hf_power_fence_next(&c->fence, clock_ms(), &r)) {
            const struct cut_device *d = device_named(c, c->fence.devices[r.device].name);
            struct hf_power_order o = {d->agent, r.verb, d->options, d->n_options, d->timeout_ms};
            c->legs[r.device] = (struct cut_leg){c, r.device};
            c->offs += r.verb == HF_POWER_OFF;
            b->runner->ops->run(b->runner, &o, cut_answered, &c->legs[r.device]);
        }
        if (uv_run(&b->loop, UV_RUN_NOWAIT) == 0 || hf_power_fence_due(&c->fence) != INT64_MAX)
            usleep(10000);
        else
            uv_run(&b->loop, UV_RUN_ONCE);
    }
    return hf_power_fence_is_off(&c->fence);
}

#endif
