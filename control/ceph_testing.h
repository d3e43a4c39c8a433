/* A Ceph cluster that a test plays to a whole control plane (cloud_testing.h): it answers what hf-ceph would.
 */
#ifndef HF_CONTROL_CEPH_TESTING_H
#define HF_CONTROL_CEPH_TESTING_H

#include "control/ceph_runner.h"
#include "control/cloud_testing.h"

#define STORAGE     "50000000000000000000000000000003"
#define SERVER      "50000000000000000000000000000004"
#define SERVED      "1a000000000000000000000000000004" /* an image there */
#define SERVER_POOL "bak-t-" SERVER
#define KEY         "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="
#define FSID        "e1beaa76-80a0-4a2b-8986-0117f450b32f"

#define FAR_FSID "e1beaa76-80a0-4a2b-8986-000000000000" /* of another cluster */

struct played_ceph {
    struct hf_ceph_runner runner;
    struct cloud *cloud;
    const char *fails; /* what every question ends with, or NULL */
    unsigned asked, revoked, at_once, at_once_max;
    unsigned removing;        /* questions to remove images from the server's pool */
    unsigned removing_copies; /* and from the storage's */
    const char *kept;         /* why images stay, or NULL */
    char read_pool[64];       /* that hosts of the storage may read, as last asked for; "": none */
    const char *own_fsid;     /* of the image server's cluster, or NULL: the storage's */
};

/* All control nodes ask it from now on. */
void ceph_play(struct cloud *c, struct played_ceph *f);
/* A primary storage in it, whose root pool is a user's own. */
void ceph_put_storage(struct cloud *c);
void ceph_attach(struct cloud *c, bool yes);
Holdfast__V1__PrimaryStorage *ceph_storage(struct cloud *c); /* to be freed */
/* An image server, and an image there that is to be fetched. */
void ceph_put_server(struct cloud *c);
void ceph_put_served(struct cloud *c);
Holdfast__V1__ImageServer *ceph_server(struct cloud *c); /* to be freed */

#endif
