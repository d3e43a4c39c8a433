/* New UUIDs. A file of its own, so that a program that makes none does not link OpenSSL. */
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/uuid.h"

static void mark(struct hf_uuid *u, unsigned version)
{
    u->b[6] = (uint8_t)((u->b[6] & 0x0f) | (version << 4));
    u->b[8] = (uint8_t)((u->b[8] & 0x3f) | 0x80);
}

struct hf_uuid hf_uuid_new(struct hf_env *env)
{
    struct hf_uuid u;
    hf_env_random(env, u.b, sizeof u.b);
    mark(&u, 4);
    return u;
}

/* Looked up once: that takes ten times as long as the digest of a short text. */
static EVP_MD *sha256;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    HF_ASSERT(sha256);
}

struct hf_uuid hf_uuid_of_text(const char *text)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned char digest[EVP_MAX_MD_SIZE];
    pthread_once(&once, fetch_sha256);
    int good = EVP_Digest(text, strlen(text), digest, NULL, sha256, NULL);
    HF_ASSERT(good == 1);
    struct hf_uuid u;
    memcpy(u.b, digest, sizeof u.b);
    mark(&u, 8);
    return u;
}
