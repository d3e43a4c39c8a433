#include "sim/ceph_verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/host_private.h"

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text ? text : "";
}

/* --- prepare --- */

static void prepare(const struct sim_ceph_call *c, json_t *answer)
{
    json_t *keys = json_array();
    const json_t *at;
    size_t i;
    json_array_foreach(json_object_get(c->asked, "hosts"), i, at)
    {
        char user[64];
        snprintf(user, sizeof user, "holdfast-%s", json_string_value(at));
        json_array_append_new(keys, json_pack("{s:s, s:s, s:s}", "host", json_string_value(at), "user", user,
                                              "key", SIM_CEPH_KEY));
    }
    json_object_set_new(answer, "keys", keys);
    json_object_set_new(answer, "fsid", json_string(sim_ceph_fsid(c->cluster)));
    json_object_set_new(answer, "health", json_string("HEALTH_OK"));
    json_object_set_new(answer, "health_message", json_string(""));
}

bool sim_ceph_carry_out(const struct sim_ceph_call *c, json_t *answer, char *error, size_t len)
{
    const char *verb = text_of(c->asked, "verb");
    if (strcmp(verb, "prepare") == 0) {
        prepare(c, answer);
        return true;
    }
    snprintf(error, len, "a simulated Ceph cluster knows no '%s'", verb);
    return false;
}
