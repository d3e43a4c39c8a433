/* The verbs on instances: they write what is wanted and give an operation; the controllers make it true. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_instance.h"
#include "control/api_operation.h"
#include "control/placement_guard.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__InstanceVerbRequest VerbRequest;

#define POWER(x) HOLDFAST__V1__POWER_STATE__POWER_##x
#define STATE(x) HOLDFAST__V1__INSTANCE_STATUS__STATE__##x

/* One verb: check and change the instance, say what its operation waits for and which run or generation ends
 * it. */
struct verb {
    const char *name; /* of the operation */
    const char *word; /* for sentences */
    hf_status (*apply)(struct hf_draft *d, const VerbRequest *r, Instance *i);
    const char *(*step)(const VerbRequest *r, const Instance *i);
    uint64_t (*target_run)(const Instance *i); /* NULL: none */
};

static const char *state_text(const Instance *i)
{
    static const char *const texts[] = {"in no state yet", "created", "starting", "running",
                                        "stopping",        "stopped", "paused",   "on a host without contact",
                                        "being deleted"};
    return i->status->state < sizeof texts / sizeof texts[0] ? texts[i->status->state]
                                                             : "in an unknown state";
}

static hf_status refuse_state(const Instance *i)
{
    return hf_error(HF_PRECONDITION, "it is %s", state_text(i));
}

hf_status hf_instance_check_stopped(const Instance *i)
{
    if (i->spec->power == POWER(STOPPED) && !hf_placement_open(i->placement))
        return HF_STATUS_OK;
    return hf_error(HF_PRECONDITION, "instance '%s' is %s; stop it first", i->meta->name, state_text(i));
}

/* --- start --- */

/* One that waits for a host (room, its image, a back-off) may be asked again: at once, and perhaps elsewhere.
 */
static hf_status start(struct hf_draft *d, const VerbRequest *r, Instance *i)
{
    if (i->status->state == STATE(PAUSED))
        return hf_error(HF_PRECONDITION, "it is paused; resume it");
    if (hf_placement_open(i->placement) && i->spec->power == POWER(STOPPED))
        return hf_error(HF_PRECONDITION, "its last run is not over: it is %s", state_text(i));
    if (hf_placement_open(i->placement))
        return hf_error(HF_PRECONDITION, "it is %s already", state_text(i));
    if (r->host_uuid[0] != '\0')
        HF_TRY(hf_instance_check_host(d->store, i, r->host_uuid));
    hf_pb_set(&i->spec->host_uuid, r->host_uuid);
    i->spec->power = POWER(RUNNING);
    HF_TRY(hf_instance_check_admission(d, i));
    i->spec->force_stop = false;
    i->status->state = STATE(STARTING);
    i->status->state_since_ms = d->wall_ms;
    i->status->start_failures = 0; /* an administrator's start waits for no back-off */
    i->status->retry_at_ms = 0;
    if (i->status->crash_loop != NULL) /* nor is it held any longer */
        protobuf_c_message_free_unpacked(&i->status->crash_loop->base, NULL);
    i->status->crash_loop = NULL;
    return HF_STATUS_OK;
}

static const char *start_step(const VerbRequest *r, const Instance *i)
{
    (void)i;
    return r->host_uuid[0] != '\0' ? "waiting for room on the host that was asked for" : "waiting for a host";
}

static uint64_t this_run(const Instance *i)
{
    return i->placement != NULL ? i->placement->run : 0;
}

static uint64_t next_run(const Instance *i)
{
    return this_run(i) + 1;
}

/* --- stop --- */

static hf_status stop(struct hf_draft *d, const VerbRequest *r, Instance *i)
{
    (void)d;
    bool wanted = i->spec->power == POWER(STOPPED);
    if (wanted && !hf_placement_open(i->placement))
        return hf_error(HF_PRECONDITION, "it is stopped already");
    if (wanted && (!r->force || i->spec->force_stop))
        return hf_error(HF_PRECONDITION, "it is stopping already%s",
                        i->spec->force_stop ? "" : "; --force does not ask the guest");
    i->spec->power = POWER(STOPPED);
    i->spec->force_stop = r->force;
    return HF_STATUS_OK;
}

static const char *stop_step(const VerbRequest *r, const Instance *i)
{
    if (i->spec->ha_level == HOLDFAST__V1__HA_LEVEL__NEVER_STOP)
        return "stopping; HA leaves this NeverStop instance stopped until it is started again";
    return r->force ? "stopping by force" : "asking the guest to power off";
}

/* --- reboot --- */

static hf_status check_runs(const Instance *i)
{
    if (i->spec->power != POWER(RUNNING) || i->status->state != STATE(RUNNING))
        return refuse_state(i);
    return HF_STATUS_OK;
}

static hf_status reboot(struct hf_draft *d, const VerbRequest *r, Instance *i)
{
    (void)d;
    HF_TRY(check_runs(i));
    i->spec->reboot_generation++;
    if (r->force)
        i->spec->reboot_force_generation = i->spec->reboot_generation;
    return HF_STATUS_OK;
}

static const char *reboot_step(const VerbRequest *r, const Instance *i)
{
    (void)i;
    return r->force ? "resetting" : "asking the guest to reboot";
}

static uint64_t reboot_generation(const Instance *i)
{
    return i->spec->reboot_generation;
}

/* --- pause, resume --- */

static hf_status pause_it(struct hf_draft *d, const VerbRequest *r, Instance *i)
{
    (void)d;
    (void)r;
    HF_TRY(check_runs(i));
    /* A paused guest would not come to its reboot. */
    if (i->spec->reboot_generation > i->status->reboot_done)
        return hf_error(HF_PRECONDITION, "it is about to reboot");
    i->spec->power = POWER(PAUSED);
    return HF_STATUS_OK;
}

static const char *pause_step(const VerbRequest *r, const Instance *i)
{
    (void)r;
    (void)i;
    return "pausing";
}

static hf_status resume(struct hf_draft *d, const VerbRequest *r, Instance *i)
{
    (void)d;
    (void)r;
    if (i->spec->power != POWER(PAUSED))
        return refuse_state(i);
    i->spec->power = POWER(RUNNING);
    return HF_STATUS_OK;
}

static const char *resume_step(const VerbRequest *r, const Instance *i)
{
    (void)r;
    (void)i;
    return "resuming";
}

/* --- migrate --- */

static void migrate_over(struct hf_api_call *c)
{
    const struct hf_api_plugs *p = &c->api->plugs;
    p->hosts->migrate_over(p->hosts_arg, c);
}

static hf_status migrate(struct hf_draft *d, const VerbRequest *r, Instance *i)
{
    const struct hf_api_plugs *p = &d->call->api->plugs;
    if (p->hosts == NULL)
        return hf_error(HF_UNAVAILABLE, "this node runs without controllers");
    d->call->on_written = migrate_over;
    return p->hosts->migrate(p->hosts_arg, i, r->host_uuid, d->call);
}

static const char *migrate_step(const VerbRequest *r, const Instance *i)
{
    (void)r;
    (void)i;
    return "prepares the target";
}

/* Of the copy at the target. */
static uint64_t copy_run(const Instance *i)
{
    return i->placement->migration->run;
}

/* --- all of them --- */

static const struct verb start_verb = {"StartInstance", "start", start, start_step, next_run};
static const struct verb stop_verb = {"StopInstance", "stop", stop, stop_step, this_run};
static const struct verb reboot_verb = {"RebootInstance", "reboot", reboot, reboot_step, reboot_generation};
static const struct verb pause_verb = {"PauseInstance", "pause", pause_it, pause_step, NULL};
static const struct verb migrate_verb = {"MigrateInstance", "migrate", migrate, migrate_step, copy_run};
static const struct verb resume_verb = {"ResumeInstance", "resume", resume, resume_step, NULL};

static hf_status apply_verb(struct hf_draft *d, const struct verb *verb, Instance *i)
{
    const VerbRequest *r = (const VerbRequest *)d->call->request;
    if (i->spec->deleting)
        return hf_error(HF_PRECONDITION, "it is being deleted");
    HF_TRY(verb->apply(d, r, i));
    hf_txn_put_message(d->txn, hf_call_env(d->call), &i->base);
    struct hf_operation_target target = {HOLDFAST__V1__KIND__INSTANCE, i->meta->uuid, i->meta->name,
                                         verb->target_run != NULL ? verb->target_run(i) : 0};
    hf_draft_operation(d, 0, verb->name, &target, verb->step(r, i), false);
    return HF_STATUS_OK;
}

static hf_status build_verb(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    const struct verb *verb = c->data;
    struct hf_draft d = hf_draft_begin(c, s, t);
    const VerbRequest *r = (const VerbRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Instance *i = (Instance *)hf_lookup_message(s, HOLDFAST__V1__KIND__INSTANCE, r->uuid, r->name, &st);
    if (i == NULL)
        return hf_wrap(st, "%s instance", verb->word);
    st = hf_wrap(apply_verb(&d, verb, i), "%s instance '%s'", verb->word, i->meta->name);
    holdfast__v1__instance__free_unpacked(i, NULL);
    return st;
}

static void handle_verb(struct hf_api_call *c, const struct verb *verb)
{
    c->data = (void *)verb;
    hf_call_write(c, HF_ROOM_ADD, build_verb);
}

void hf_handle_start_instance(struct hf_api_call *c)
{
    handle_verb(c, &start_verb);
}

void hf_handle_stop_instance(struct hf_api_call *c)
{
    handle_verb(c, &stop_verb);
}

void hf_handle_reboot_instance(struct hf_api_call *c)
{
    handle_verb(c, &reboot_verb);
}

void hf_handle_pause_instance(struct hf_api_call *c)
{
    handle_verb(c, &pause_verb);
}

void hf_handle_migrate_instance(struct hf_api_call *c)
{
    handle_verb(c, &migrate_verb);
}

void hf_handle_resume_instance(struct hf_api_call *c)
{
    handle_verb(c, &resume_verb);
}

/* --- delete --- */

static hf_status delete_instance(struct hf_draft *d, Instance *i)
{
    const Holdfast__V1__DeleteRequest *r = (const Holdfast__V1__DeleteRequest *)d->call->request;
    HF_TRY(hf_revision_check(r->revision, i->meta->revision));
    if (i->spec->deleting)
        return hf_error(HF_PRECONDITION, "it is being deleted already");
    i->spec->deleting = true;
    i->spec->power = POWER(STOPPED);
    hf_txn_put_message(d->txn, hf_call_env(d->call), &i->base);
    struct hf_operation_target target = {HOLDFAST__V1__KIND__INSTANCE, i->meta->uuid, i->meta->name, 0};
    hf_draft_operation(d, 0, "DeleteInstance", &target, "stopping it, then deleting its root volume", false);
    return HF_STATUS_OK;
}

static hf_status build_delete_instance(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__DeleteRequest *r = (const Holdfast__V1__DeleteRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Instance *i = (Instance *)hf_lookup_message(s, HOLDFAST__V1__KIND__INSTANCE, r->uuid, r->name, &st);
    if (i == NULL)
        return hf_wrap(st, "delete instance");
    st = hf_wrap(delete_instance(&d, i), "delete instance '%s'", i->meta->name);
    holdfast__v1__instance__free_unpacked(i, NULL);
    return st;
}

void hf_handle_delete_instance(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_REMOVE, build_delete_instance);
}
