/* A cluster is made ready: the pools of a storage, a key for each of its hosts, and its health. */
#include <errno.h>
#include <rbd/librbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/hf_ceph.h"
#include "storage/ceph_spec.h"

#define POOL_PGS    32
#define APPLICATION "rbd"

/* --- pools --- */

/* OK: the pool is used by nobody else. A pool without an application that holds objects is somebody's. */
static hf_status check_application(rados_t c, rados_ioctx_t io, const char *pool)
{
    json_t *apps = NULL;
    struct rados_pool_stat_t stat;
    HF_TRY(hf_ceph_command(c, json_pack("{s:s, s:s}", "prefix", "osd pool application get", "pool", pool),
                           &apps));
    const char *app = json_object_iter_key(json_object_iter(apps));
    hf_status st = HF_STATUS_OK;
    if (app && !json_object_get(apps, APPLICATION))
        st = hf_error(HF_PRECONDITION, "the pool '%s' belongs to the application '%s': give one of its own",
                      pool, app);
    else if (!app && rados_ioctx_pool_stat(io, &stat) >= 0 && stat.num_objects > 0)
        st =
            hf_error(HF_PRECONDITION, "the pool '%s' holds %llu objects of something else: give an empty one",
                     pool, (unsigned long long)stat.num_objects);
    json_decref(apps);
    return st;
}

static hf_status make_pool(rados_t c, const char *pool)
{
    json_t *nothing = NULL;
    HF_TRY(hf_wrap(hf_ceph_command(c,
                                   json_pack("{s:s, s:s, s:i}", "prefix", "osd pool create", "pool", pool,
                                             "pg_num", POOL_PGS),
                                   &nothing),
                   "make the pool '%s'", pool));
    json_decref(nothing);
    int rc = rados_wait_for_latest_osdmap(c);
    return rc < 0 ? hf_rados_error(rc, "wait for the pool '%s'", pool) : HF_STATUS_OK;
}

static hf_status have_pool(rados_t c, const json_t *wanted)
{
    const char *pool = hf_ceph_text(wanted, "name");
    rados_ioctx_t io;
    int rc = rados_ioctx_create(c, pool, &io);
    if (rc == -ENOENT && !json_is_true(json_object_get(wanted, "make")))
        return hf_error(HF_PRECONDITION,
                        "the cluster has no pool '%s': make it, or leave the pool to Holdfast", pool);
    if (rc == -ENOENT) {
        HF_TRY(make_pool(c, pool));
        rc = rados_ioctx_create(c, pool, &io);
    }
    if (rc < 0)
        return hf_rados_error(rc, "open the pool '%s'", pool);
    hf_status st = check_application(c, io, pool);
    rc = hf_ok(st) ? rbd_pool_init(io, false) : 0;
    rados_ioctx_destroy(io);
    return rc < 0 ? hf_rados_error(rc, "prepare the pool '%s' for images", pool) : st;
}

/* --- keys --- */

struct caps {
    const char *mon;
    char *osd;
};

/* What a host may do: everything with images in these pools. The profile lets it break the locks of the dead.
 */
static struct caps host_caps(const json_t *pools, const json_t *read)
{
    char *caps = hf_strdup(""), *more;
    json_t *at;
    size_t i;
    json_array_foreach(pools, i, at)
    {
        more = hf_printf("%s%sprofile rbd pool=%s", caps, i > 0 ? ", " : "", hf_ceph_text(at, "name"));
        free(caps);
        caps = more;
    }
    json_array_foreach(read, i, at)
    {
        more = hf_printf("%s, profile rbd-read-only pool=%s", caps, json_string_value(at));
        free(caps);
        caps = more;
    }
    return (struct caps){"profile rbd", caps};
}

/* What a host may do that copies an image server's images. The profiles rbd and rbd-read-only of the monitors
 * would let it have any client refused, which only those need who break locks. */
static struct caps reader_caps(const json_t *pools)
{
    const char *pool = hf_ceph_text(json_array_get(pools, 0), "name");
    return (struct caps){"profile simple-rados-client", hf_printf("profile rbd-read-only pool=%s", pool)};
}

/* caps NULL: they are not given. */
static json_t *auth_command(const char *prefix, const char *entity, const struct caps *caps)
{
    if (!caps)
        return json_pack("{s:s, s:s}", "prefix", prefix, "entity", entity);
    return json_pack("{s:s, s:s, s:[s, s, s, s]}", "prefix", prefix, "entity", entity, "caps", "mon",
                     caps->mon, "osd", caps->osd);
}

/* With exactly these caps, also where a user of that name was given others. */
static hf_status have_user(rados_t c, const char *entity, const struct caps *caps, json_t **ret)
{
    hf_status st = hf_ceph_command(c, auth_command("auth get-or-create", entity, caps), ret);
    if (hf_status_code(st) != HF_INVALID)
        return st;
    hf_status_drop(st);
    HF_TRY(hf_ceph_command(c, auth_command("auth caps", entity, caps), ret));
    json_decref(*ret);
    return hf_ceph_command(c, auth_command("auth get", entity, NULL), ret);
}

/* storage: "" of an image server, whose key is for whoever fills it. */
static hf_status add_key(rados_t c, const char *host, const char *storage, const struct caps *caps,
                         json_t *keys)
{
    struct hf_uuid uuid, owner;
    char user[HF_CEPH_NAME_MAX];
    json_t *found = NULL;
    if (!hf_uuid_parse(host, &uuid))
        return hf_error(HF_INVALID, "'%s' is no UUID of a host", host);
    if (storage[0] == '\0')
        hf_ceph_server_user(&uuid, user);
    else if (hf_uuid_parse(storage, &owner))
        hf_ceph_host_user(&uuid, &owner, user);
    else
        return hf_error(HF_INVALID, "'%s' is no UUID of a storage", storage);
    char *entity = hf_printf("client.%s", user);
    hf_status st = hf_wrap(have_user(c, entity, caps, &found), "a key for '%s'", entity);
    free(entity);
    if (!hf_ok(st))
        return st;
    const char *key = hf_ceph_text(json_array_get(found, 0), "key");
    st = hf_wrap(hf_ceph_key_check(key), "the key that the cluster made for '%s'", user);
    if (hf_ok(st))
        json_array_append_new(keys, json_pack("{s:s, s:s, s:s}", "host", host, "user", user, "key", key));
    json_decref(found);
    return st;
}

/* Takes caps. */
static hf_status add_keys(rados_t c, const json_t *hosts, const char *storage, struct caps caps, json_t *keys)
{
    json_t *at;
    size_t i;
    hf_status st = HF_STATUS_OK;
    json_array_foreach(hosts, i, at)
    {
        if (hf_ok(st))
            st = add_key(c, json_string_value(at), storage, &caps, keys);
    }
    free(caps.osd);
    return st;
}

static hf_status have_keys(rados_t c, const json_t *question, json_t *answer)
{
    const json_t *pools = json_object_get(question, "pools");
    json_t *keys = json_array();
    json_object_set_new(answer, "keys", keys);
    HF_TRY(add_keys(c, json_object_get(question, "hosts"), hf_ceph_text(question, "storage"),
                    host_caps(pools, json_object_get(question, "read")), keys));
    return add_keys(c, json_object_get(question, "readers"), hf_ceph_text(question, "server"),
                    reader_caps(pools), keys);
}

static hf_status revoke_keys(rados_t c, const json_t *question)
{
    json_t *at, *nothing;
    size_t i;
    json_array_foreach(json_object_get(question, "revoke"), i, at)
    {
        char *entity = hf_printf("client.%s", json_string_value(at));
        hf_status st = hf_wrap(hf_ceph_command(c, auth_command("auth del", entity, NULL), &nothing),
                               "revoke the key of '%s'", entity);
        free(entity);
        HF_TRY(st);
        json_decref(nothing);
    }
    return HF_STATUS_OK;
}

/* --- health --- */

static hf_status read_health(rados_t c, json_t *answer)
{
    json_t *health = NULL, *check;
    const char *name;
    HF_TRY(hf_wrap(hf_ceph_command(c, json_pack("{s:s}", "prefix", "health"), &health),
                   "ask for the cluster's health"));
    char *said = hf_strdup("");
    json_object_foreach(json_object_get(health, "checks"), name, check)
    {
        char *more = hf_printf("%s%s%s", said, said[0] != '\0' ? "; " : "",
                               hf_ceph_text(json_object_get(check, "summary"), "message"));
        free(said);
        said = more;
    }
    json_object_set_new(answer, "health", json_string(hf_ceph_text(health, "status")));
    json_object_set_new(answer, "health_message", json_string(said));
    free(said);
    json_decref(health);
    return HF_STATUS_OK;
}

/* A pool that is new has no word on its room yet. */
static hf_status read_room(rados_t c, const json_t *question, json_t *answer)
{
    json_t *df = NULL, *at;
    size_t i;
    json_int_t used = 0, available = 0;
    const char *pool = hf_ceph_text(json_array_get(json_object_get(question, "pools"), 0), "name");
    HF_TRY(
        hf_wrap(hf_ceph_command(c, json_pack("{s:s}", "prefix", "df"), &df), "ask for the cluster's room"));
    json_array_foreach(json_object_get(df, "pools"), i, at)
    {
        const json_t *stats = json_object_get(at, "stats");
        if (strcmp(hf_ceph_text(at, "name"), pool) != 0)
            continue;
        used = json_integer_value(json_object_get(stats, "stored"));
        available = json_integer_value(json_object_get(stats, "max_avail"));
    }
    json_object_set_new(answer, "total_bytes", json_integer(used + available));
    json_object_set_new(answer, "available_bytes", json_integer(available));
    json_decref(df);
    return HF_STATUS_OK;
}

hf_status hf_ceph_prepare(rados_t c, const json_t *question, json_t *answer)
{
    char fsid[40] = "";
    json_t *at;
    size_t i;
    int rc = rados_cluster_fsid(c, fsid, sizeof fsid);
    if (rc < 0)
        return hf_rados_error(rc, "ask the cluster for its fsid");
    json_object_set_new(answer, "fsid", json_string(fsid));
    json_array_foreach(json_object_get(question, "pools"), i, at) HF_TRY(have_pool(c, at));
    HF_TRY(have_keys(c, question, answer));
    HF_TRY(revoke_keys(c, question));
    HF_TRY(read_room(c, question, answer));
    return read_health(c, answer);
}
