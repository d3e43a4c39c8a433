/* One request of a client, from its first try to the last word about it.
 *
 *   sent → answered                      the history closes; now and then it is asked once more with the same
 *                                        id, which must give the same answer
 *        → no answer, it may have happened → sent once more with the same id, or left open in the history
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/kinds.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "sim/request.h"
#include "sim/user.h"

#define DEADLINE_LOW_MS  500
#define DEADLINE_HIGH_MS 20000
#define TRIES_MAX        3
#define TRY_AGAIN_PPM    600000
#define REPEAT_PPM       20000

struct sim_sent {
    struct sim_user *user;
    LIST_ENTRY(sim_sent) link;
    struct sim_request r;
    struct sim_checks *checks; /* NULL: it is not in the history */
    uint64_t op;
    bool has_object;
    struct hf_uuid object; /* that the request names by UUID */
    unsigned tries;
    char label[48]; /* for the trace */
    bool repeat;    /* of a request that was answered: */
    struct hf_uuid first_uuid;
    uint64_t first_revision;
};

static void on_answer(void *arg, const struct sim_answer *a);

static int64_t now_ns(const struct sim_user *u)
{
    return sim_now_ns(u->client.w->sim);
}

static const char *request_id(const struct sim_sent *s)
{
    return sim_request_text(s->r.take_message, "request_id");
}

static void send(struct sim_sent *s)
{
    struct sim_user *u = s->user;
    int64_t deadline_ms = s->r.deadline_ms;
    if (deadline_ms == 0)
        deadline_ms = sim_rng_skewed(&u->rng, DEADLINE_LOW_MS, DEADLINE_HIGH_MS);
    if (sim_tracing(u->client.w->sim))
        sim_trace(u->client.w->sim, u->client.proc.name, "%s%s%s%s", s->r.method,
                  s->label[0] != '\0' ? " " : "", s->label,
                  s->repeat      ? " (again, though answered)"
                  : s->tries > 0 ? " (again)"
                                 : "");
    s->tries++;
    sim_client_call(&u->client, s->r.service, s->r.method, s->r.take_message, deadline_ms, on_answer, s);
}

static void end(struct sim_sent *s)
{
    LIST_REMOVE(s, link);
    s->user->n_sent--;
    protobuf_c_message_free_unpacked(s->r.take_message, NULL);
    free(s);
}

/* --- history --- */

static void invoked(struct sim_sent *s)
{
    struct sim_user *u = s->user;
    s->checks = s->r.recorded ? u->client.w->checks : NULL;
    if (s->checks != NULL)
        s->op =
            sim_checks_invoked(s->checks, now_ns(u), u->number, s->r.kind, s->has_object ? &s->object : NULL,
                               s->r.kind == SIM_OP_READ ? "" : request_id(s));
}

/* Of the instance that the request is about, as a list tells it. False: perhaps it is on another page. */
static bool revision_in_list(const Holdfast__V1__ListInstancesResponse *list, const struct hf_uuid *object,
                             uint64_t *ret_revision)
{
    char text[HF_UUID_STR];
    hf_uuid_format(object, text);
    *ret_revision = 0;
    for (size_t i = 0; i < list->n_instances; i++)
        if (strcmp(list->instances[i]->meta->uuid, text) == 0) {
            *ret_revision = list->instances[i]->meta->revision;
            return true;
        }
    return list->next_page_token[0] == '\0';
}

/* Which object an answer is about, and its revision: an operation tells those of its target, which changed
 * with it. False: it does not tell. */
static bool subject_of(const struct sim_sent *s, const ProtobufCMessage *m, struct hf_uuid *ret_uuid,
                       uint64_t *ret_revision)
{
    *ret_uuid = s->object;
    *ret_revision = 0;
    if (m != NULL && m->descriptor == &holdfast__v1__list_instances_response__descriptor)
        return revision_in_list((const Holdfast__V1__ListInstancesResponse *)(const void *)m, &s->object,
                                ret_revision);
    if (m == NULL || hf_kind_of_message(m->descriptor) == NULL)
        return s->has_object;
    const Holdfast__V1__Meta *meta = hf_message_meta(m);
    *ret_revision = meta->revision;
    if (m->descriptor == &holdfast__v1__operation__descriptor && strcmp(s->r.service, "Operation") != 0)
        return hf_uuid_parse(((const Holdfast__V1__Operation *)(const void *)m)->target_uuid, ret_uuid);
    return hf_uuid_parse(meta->uuid, ret_uuid);
}

static void record(struct sim_sent *s, const struct sim_answer *a)
{
    struct sim_user *u = s->user;
    struct hf_uuid uuid;
    uint64_t revision;
    /* Ended operations are forgotten by nobody's request. */
    bool gone = s->r.kind == SIM_OP_READ && a->code == HF_NOT_FOUND && strcmp(s->r.service, "Operation") != 0;
    if (s->checks == NULL)
        return;
    if (a->code != HF_OK && !gone)
        sim_checks_failed(s->checks, now_ns(u), s->op, a->doubt);
    else if (subject_of(s, a->message, &uuid, &revision))
        sim_checks_returned(s->checks, now_ns(u), s->op, &uuid, revision);
    else /* it tells of no object whose history could be judged */
        sim_checks_failed(s->checks, now_ns(u), s->op, false);
}

static void found(struct sim_sent *s, const char *what, const struct sim_answer *a)
{
    struct sim_user *u = s->user;
    if (u->client.w->checks != NULL)
        sim_checks_found(u->client.w->checks, now_ns(u), SIM_RULE_LINEARIZABLE, "client %s: %s %s: %s%s%s",
                         u->client.proc.name, s->r.method, what, hf_code_text(a->code),
                         a->code == HF_OK ? "" : ": ", a->sentence);
}

/* The answer is about the request, not about the node. */
static bool is_definite(const struct sim_answer *a)
{
    return a->code == HF_OK ||
           (!a->doubt && a->code != HF_NOT_LEADER && a->code != HF_TIMEOUT && a->code != HF_EXHAUSTED);
}

/* What the request names may have gone meanwhile. */
static void check_refusal(struct sim_sent *s, const struct sim_answer *a)
{
    if (s->r.refusal != HF_OK && is_definite(a) && a->code != s->r.refusal && a->code != HF_NOT_FOUND)
        found(s, "had to be refused in another way", a);
}

static void check_repeat(struct sim_sent *s, const struct sim_answer *a)
{
    struct hf_uuid uuid;
    uint64_t revision;
    if (!is_definite(a))
        return;
    bool same = a->code == HF_OK && subject_of(s, a->message, &uuid, &revision) &&
                hf_uuid_equal(&uuid, &s->first_uuid) && revision == s->first_revision;
    if (!same)
        found(s, "was repeated with its request id and got another answer", a);
}

/* --- answers --- */

static bool worth_another_try(struct sim_sent *s, const struct sim_answer *a)
{
    return a->doubt && request_id(s)[0] != '\0' && s->tries < TRIES_MAX &&
           sim_rng_chance(&s->user->rng, TRY_AGAIN_PPM);
}

static bool worth_repeating(struct sim_sent *s, const struct sim_answer *a)
{
    return a->code == HF_OK && request_id(s)[0] != '\0' &&
           subject_of(s, a->message, &s->first_uuid, &s->first_revision) &&
           sim_rng_chance(&s->user->rng, REPEAT_PPM);
}

static void on_answer(void *arg, const struct sim_answer *a)
{
    struct sim_sent *s = arg;
    if (s->repeat) {
        check_repeat(s, a);
        end(s);
        return;
    }
    if (worth_another_try(s, a)) {
        send(s);
        return;
    }
    record(s, a);
    check_refusal(s, a);
    if (s->r.done != NULL)
        s->r.done(s->user, s->r.thing, a);
    if (worth_repeating(s, a)) {
        s->repeat = true;
        send(s);
    } else {
        end(s);
    }
}

void sim_user_send(struct sim_user *u, const struct sim_request *r)
{
    struct sim_sent *s = HF_NEW(struct sim_sent);
    s->user = u;
    s->r = *r;
    s->has_object = r->object != NULL && hf_uuid_parse(r->object, &s->object);
    if (sim_tracing(u->client.w->sim) && r->label != NULL)
        snprintf(s->label, sizeof s->label, "%s", r->label);
    s->r.object = s->r.label = NULL; /* the caller's */
    LIST_INSERT_HEAD(&u->sent, s, link);
    u->n_sent++;
    invoked(s);
    send(s);
}

void sim_user_forget_sent(struct sim_user *u)
{
    while (!LIST_EMPTY(&u->sent))
        end(LIST_FIRST(&u->sent));
}
