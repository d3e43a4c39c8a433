/* Who else has an image open, by librbd, and who of them the cluster refuses: what is told of them, and how
 * they are put on its blocklist. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/ceph_client.h"
#include "storage/rbd_lib_priv.h"

#define LOCK_TEXT_MAX 1024
#define IMAGE_ID_MAX  64

/* The clients of an image that are not this one: those that watch it, and the one that holds its lock, which
 * may be dead for so long that it does not watch any more. */
struct others {
    char addrs[HF_RBD_WATCHERS_MAX + 1][HF_RBD_CLIENT_MAX];
    size_t n;
    char owner[HF_RBD_CLIENT_MAX], cookie[HF_RBD_CLIENT_MAX]; /* of the lock; "": nobody */
};

static void add_other(struct others *o, const char *addr)
{
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->addrs[i], addr) == 0)
            return;
    snprintf(o->addrs[o->n++], HF_RBD_CLIENT_MAX, "%s", addr);
}

static int see_watchers(struct hf_rbd_lib *l, rbd_image_t image, struct others *o)
{
    rbd_image_watcher_t list[HF_RBD_WATCHERS_MAX];
    size_t len = HF_RBD_WATCHERS_MAX;
    int64_t me = (int64_t)rados_get_instance_id(l->cluster);
    int rc = rbd_watchers_list(image, list, &len);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < len; i++)
        if (list[i].id != me)
            add_other(o, list[i].addr);
    rbd_watchers_list_cleanup(list, len);
    return 0;
}

hf_status hf_rbd_lib_watchers(struct hf_rbd_lib *l, const struct hf_rbd_name *n,
                              char ret[HF_RBD_WATCHERS_MAX][HF_RBD_CLIENT_MAX], size_t *ret_n)
{
    struct hf_rbd_open i;
    struct others o = {.n = 0};
    HF_TRY(hf_rbd_open_image(l, n, false, &i));
    int rc = see_watchers(l, i.image, &o);
    hf_rbd_close_image(&i);
    if (rc < 0)
        return hf_rbd_failed(l, rc, "see who has open", n);
    memcpy(ret, o.addrs, o.n * sizeof ret[0]);
    *ret_n = o.n;
    return HF_STATUS_OK;
}

/* The lock is exclusive: one holds it. */
static int see_owner(struct hf_rbd_lib *l, rbd_image_t image, struct others *o)
{
    char me[HF_RBD_CLIENT_MAX];
    char tag[LOCK_TEXT_MAX], addr[LOCK_TEXT_MAX] = "";
    size_t tag_len = sizeof tag, owner_len = sizeof o->owner, cookie_len = sizeof o->cookie,
           addr_len = sizeof addr;
    int exclusive;
    ssize_t n = rbd_list_lockers(image, &exclusive, tag, &tag_len, o->owner, &owner_len, o->cookie,
                                 &cookie_len, addr, &addr_len);
    snprintf(me, sizeof me, "client.%" PRIu64, rados_get_instance_id(l->cluster));
    if (n > 0 && strcmp(o->owner, me) != 0)
        add_other(o, addr);
    else
        o->owner[0] = '\0';
    return n < 0 && n != -ENOENT ? (int)n : 0;
}

static json_t *read_blocklist(struct hf_rbd_lib *l)
{
    char *answer = NULL;
    hf_status st =
        hf_rados_command(l->cluster, "{\"prefix\":\"osd blocklist ls\",\"format\":\"json\"}", &answer);
    json_t *list = hf_ok(st) ? json_loads(answer, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    hf_status_drop(st);
    free(answer);
    return list;
}

/* The whole address, or this client alone. */
static bool is_refused(const json_t *blocklist, const char *addr)
{
    struct hf_ceph_client wanted, c;
    json_t *at;
    size_t i;
    if (!hf_ceph_client_parse(addr, &wanted))
        return false;
    json_array_foreach(blocklist, i, at)
    {
        const char *entry = json_string_value(json_object_get(at, "addr"));
        if (entry && hf_ceph_client_parse(entry, &c) && c.ip == wanted.ip &&
            (c.nonce == 0 || c.nonce == wanted.nonce))
            return true;
    }
    return false;
}

hf_status hf_rbd_lib_lock_owner(struct hf_rbd_lib *l, const struct hf_rbd_name *n,
                                char ret[HF_RBD_CLIENT_MAX], bool *ret_refused)
{
    struct hf_rbd_open i;
    struct others o = {.n = 0};
    HF_TRY(hf_rbd_open_image(l, n, false, &i));
    int rc = see_owner(l, i.image, &o);
    hf_rbd_close_image(&i);
    if (rc < 0)
        return hf_rbd_failed(l, rc, "see who has the lock of", n);
    snprintf(ret, HF_RBD_CLIENT_MAX, "%s", o.n > 0 ? o.addrs[0] : "");
    json_t *blocklist = o.n > 0 ? read_blocklist(l) : NULL;
    *ret_refused = is_refused(blocklist, ret);
    json_decref(blocklist);
    return HF_STATUS_OK;
}

/* Each gets an entry of its own, also where the fence of its host has its whole address refused: that entry
 * goes when the host is back, and what a killed client wrote may still lie in that machine's send queues and
 * arrive after that, when its network works again. */
static int refuse(struct hf_rbd_lib *l, struct others *o)
{
    int rc = 0;
    for (size_t i = 0; i < o->n && rc >= 0; i++)
        rc = rados_blocklist_add(l->cluster, o->addrs[i], HF_CEPH_CLIENT_REFUSED_S);
    return rc < 0 ? rc
                  : rados_wait_for_latest_osdmap(l->cluster); /* the call's return is not yet the fence */
}

/* A lock whose owner is refused is in the next one's way for long. librbd's own call would put the owner on
 * the blocklist once more, and wait for it; this one breaks the same lock, if it is still the same owner's.
 */
static int break_lock(rados_ioctx_t pool, rbd_image_t image, const struct others *o)
{
    char id[IMAGE_ID_MAX], header[IMAGE_ID_MAX + sizeof "rbd_header."];
    int rc = rbd_get_id(image, id, sizeof id);
    if (rc < 0)
        return rc;
    snprintf(header, sizeof header, "rbd_header.%s", id);
    rc = rados_break_lock(pool, header, "rbd_lock", o->owner, o->cookie);
    return rc == -ENOENT ? 0 : rc;
}

static hf_status evict(struct hf_rbd_lib *l, const struct hf_rbd_open *i, const struct hf_rbd_name *n,
                       unsigned *ret_n)
{
    struct others o = {.n = 0};
    int rc = see_watchers(l, i->image, &o);
    if (rc >= 0)
        rc = see_owner(l, i->image, &o);
    if (rc >= 0 && o.n > 0)
        rc = refuse(l, &o);
    if (rc >= 0 && o.owner[0] != '\0')
        rc = break_lock(i->pool, i->image, &o);
    *ret_n = (unsigned)o.n;
    return rc < 0 ? hf_rbd_failed(l, rc, "have the cluster refuse the other clients of", n) : HF_STATUS_OK;
}

hf_status hf_rbd_lib_evict(struct hf_rbd *r, const struct hf_rbd_name *n, unsigned *ret_n)
{
    struct hf_rbd_lib *l = hf_container_of(r, struct hf_rbd_lib, rbd);
    struct hf_rbd_open i;
    *ret_n = 0;
    HF_TRY(hf_rbd_open_image(l, n, true, &i));
    hf_status st = evict(l, &i, n, ret_n);
    hf_rbd_close_image(&i);
    return st;
}
