#include "control/restart_input.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/mutant.h"
#include "control/takeover.h"
#include "holdfast/v1/infra.pb-c.h"

typedef Holdfast__V1__Instance Instance;
#define PRIORITY(name) HOLDFAST__V1__INSTANCE_SPEC__RESTART_PRIORITY__##name

int hf_instance_priority(const Instance *i)
{
    return i->spec->restart_priority == PRIORITY(RESTART_PRIORITY_UNSPECIFIED) ||
                   HF_MUTANT(PRIORITY_FORGOTTEN)
               ? PRIORITY(MEDIUM)
               : (int)i->spec->restart_priority;
}

static struct hf_uuid uuid_or_zero(const char *text)
{
    struct hf_uuid uuid;
    return hf_uuid_parse(text, &uuid) ? uuid : (struct hf_uuid){{0}};
}

struct hf_uuid *hf_uuids_of_texts(char *const *texts, size_t n)
{
    struct hf_uuid *list = hf_alloc_array(n, sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = uuid_or_zero(texts[i]);
    return list;
}

struct hf_restart_instance hf_restart_input(const struct hf_world *w, const Instance *i,
                                            const char *host_uuid, uint64_t epoch, uint64_t run)
{
    const Holdfast__V1__Host *h = HF_WORLD_GET(w, HOST, Host, host_uuid);
    const Holdfast__V1__Cluster *cl =
        h != NULL ? HF_WORLD_GET(w, CLUSTER, Cluster, h->spec->cluster_uuid) : NULL;
    return (struct hf_restart_instance){
        .uuid = uuid_or_zero(i->meta->uuid),
        .name = i->meta->name,
        .host = uuid_or_zero(host_uuid),
        .epoch = epoch,
        .run = run,
        .host_name = h != NULL ? h->meta->name : host_uuid,
        .never_stop = i->spec->ha_level == HOLDFAST__V1__HA_LEVEL__NEVER_STOP,
        .write_fenced = hf_takeover_write_fenced(i->spec, cl != NULL ? cl->spec : NULL),
        .wanted_running = i->spec->power == HOLDFAST__V1__POWER_STATE__POWER_RUNNING && !i->spec->deleting,
        .priority = hf_instance_priority(i),
        .storages = hf_uuids_of_texts(i->spec->storage_uuids, i->spec->n_storage_uuids),
        .n_storages = i->spec->n_storage_uuids,
    };
}

void hf_restart_input_done(struct hf_restart_instance *r)
{
    free((void *)r->storages);
}
