#include "hostd/libvirt_secrets.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/libvirt_conn.h"

#define KEY_BYTES_MAX 96 /* in base64; a Ceph key has 40 */

struct secret {
    struct secret *next;
    struct hf_uuid uuid;
    unsigned char value[KEY_BYTES_MAX];
    size_t len;
};

struct hf_libvirt_secrets {
    pthread_mutex_t lock;
    struct secret *list;
};

struct hf_libvirt_secrets *hf_libvirt_secrets_create(void)
{
    struct hf_libvirt_secrets *s = HF_NEW(struct hf_libvirt_secrets);
    HF_ASSERT(pthread_mutex_init(&s->lock, NULL) == 0);
    return s;
}

void hf_libvirt_secrets_free(struct hf_libvirt_secrets *s)
{
    while (s->list) {
        struct secret *at = s->list;
        s->list = at->next;
        explicit_bzero(at, sizeof *at);
        free(at);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void hf_libvirt_secrets_set(struct hf_libvirt_secrets *s, const struct hf_uuid *uuid, const char *key)
{
    size_t len = strlen(key);
    HF_ASSERT(len % 4 == 0 && len <= KEY_BYTES_MAX);
    pthread_mutex_lock(&s->lock);
    struct secret *at = s->list;
    while (at && !hf_uuid_equal(&at->uuid, uuid))
        at = at->next;
    if (!at) {
        at = HF_NEW(struct secret);
        at->uuid = *uuid;
        at->next = s->list;
        s->list = at;
    }
    int n = EVP_DecodeBlock(at->value, (const unsigned char *)key, (int)len);
    HF_ASSERT(n > 0); /* the key was checked when the storage was assigned */
    at->len = (size_t)n - (key[len - 1] == '=') - (key[len - 2] == '=');
    pthread_mutex_unlock(&s->lock);
}

static hf_status define(virConnectPtr conn, const struct secret *at)
{
    char uuid[HF_UUID_STR];
    hf_uuid_format(&at->uuid, uuid);
    char *xml = hf_printf("<secret ephemeral='yes' private='yes'><uuid>%s</uuid>"
                          "<usage type='ceph'><name>holdfast %s</name></usage></secret>",
                          uuid, uuid);
    virSecretPtr secret = virSecretDefineXML(conn, xml, 0);
    free(xml);
    if (!secret)
        return hf_libvirt_error("define the secret of storage %s", uuid);
    hf_status st = HF_STATUS_OK;
    if (virSecretSetValue(secret, at->value, at->len, 0) != 0)
        st = hf_libvirt_error("give libvirt the key of storage %s", uuid);
    virSecretFree(secret);
    return st;
}

hf_status hf_libvirt_secrets_define(struct hf_libvirt_secrets *s, virConnectPtr conn)
{
    hf_status st = HF_STATUS_OK;
    pthread_mutex_lock(&s->lock);
    struct secret *copies = NULL;
    for (const struct secret *at = s->list; at; at = at->next) {
        struct secret *copy = HF_NEW(struct secret);
        *copy = *at;
        copy->next = copies;
        copies = copy;
    }
    pthread_mutex_unlock(&s->lock); /* libvirt may hang */
    while (copies) {
        struct secret *at = copies;
        copies = at->next;
        if (hf_ok(st))
            st = define(conn, at);
        explicit_bzero(at, sizeof *at);
        free(at);
    }
    return st;
}
