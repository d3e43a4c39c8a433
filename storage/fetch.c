#include "storage/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/assert.h"

#define CONNECT_MS_MAX 15000L
#define REDIRECTS_MAX  5L
#define STALL_S        30L /* without this many bytes per second a download has failed */
#define STALL_BYTES    1024L
#define UPLOAD         "upload://"
#define READ_MS        10000 /* for one part of an upload */
#define AGAIN_MS       500   /* before the next try of one */

struct transfer {
    const struct hf_fetch *f;
    CURL *curl; /* NULL: from a control node */
    EVP_MD_CTX *hash;
    int fd;
    uint64_t done_bytes;
    uint64_t total_bytes; /* of an upload */
    hf_status why;        /* why we broke it off */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    HF_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == 0);
}

bool hf_fetch_url_ok(const char *url)
{
    static const char *const schemes[] = {"http://", "https://", "file:///", UPLOAD};
    for (size_t i = 0; url && i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

static hf_status check_room(const struct transfer *t, uint64_t bytes)
{
    if (bytes <= t->f->room_bytes)
        return HF_STATUS_OK;
    return hf_error(HF_INVALID,
                    "it has %" PRIu64 " bytes or more, but the primary storage has room for %" PRIu64 " only",
                    bytes, t->f->room_bytes);
}

static uint64_t content_length(struct transfer *t)
{
    curl_off_t total = -1;
    if (!t->curl)
        return t->total_bytes;
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
    return total > 0 ? (uint64_t)total : 0;
}

static hf_status take(struct transfer *t, const char *data, size_t len)
{
    if (t->done_bytes == 0)
        HF_TRY(check_room(t, content_length(t)));
    HF_TRY(check_room(t, t->done_bytes + len));
    HF_ASSERT(EVP_DigestUpdate(t->hash, data, len) == 1);
    while (len > 0) {
        ssize_t n = write(t->fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return hf_errno(n < 0 ? errno : ENOSPC, "write it to the primary storage");
        data += n;
        len -= (size_t)n;
        t->done_bytes += (uint64_t)n;
    }
    return HF_STATUS_OK;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    t->why = take(t, data, size * n);
    return hf_ok(t->why) ? size * n : 0;
}

static int on_progress(void *arg, curl_off_t total, curl_off_t done, curl_off_t up_total, curl_off_t up_done)
{
    struct transfer *t = arg;
    (void)up_total;
    (void)up_done;
    if (t->f->progress && done > 0)
        t->f->progress(t->f->arg, (uint64_t)done, total > 0 ? (uint64_t)total : 0);
    return t->f->stop && t->f->stop(t->f->arg);
}

static void set_up(struct transfer *t)
{
    CURL *c = t->curl;
    curl_easy_setopt(c, CURLOPT_URL, t->f->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https,file");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS_MAX);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)t->f->deadline_ms);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_S);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "holdfast/" HF_VERSION);
}

/* A server's 4xx stays wrong until somebody changes something; all else may pass. */
static hf_status judge(struct transfer *t, CURLcode rc, const char *detail)
{
    long http = 0;
    if (!hf_ok(t->why))
        return t->why;
    if (rc == CURLE_OK)
        return HF_STATUS_OK;
    if (detail[0] == '\0')
        detail = curl_easy_strerror(rc);
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &http);
    switch (rc) {
    case CURLE_HTTP_RETURNED_ERROR:
        return hf_error(http == 404 || http == 410 ? HF_NOT_FOUND : HF_UNAVAILABLE, "the server answers %ld",
                        http);
    case CURLE_FILE_COULDNT_READ_FILE:
        return hf_error(HF_NOT_FOUND, "%s", detail);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return hf_error(HF_INVALID, "%s", detail);
    case CURLE_ABORTED_BY_CALLBACK:
        return hf_error(HF_CANCELLED, "broken off");
    default:
        return hf_error(HF_UNAVAILABLE, "%s", detail);
    }
}

static void format_hash(struct transfer *t, char out[HF_SHA256_HEX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    HF_ASSERT(EVP_DigestFinal_ex(t->hash, digest, &len) == 1 && len * 2 + 1 == HF_SHA256_HEX);
    for (unsigned i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static hf_status download(struct transfer *t)
{
    char detail[CURL_ERROR_SIZE] = "";
    pthread_once(&curl_once, init_curl);
    t->curl = curl_easy_init();
    HF_ASSERT(t->curl);
    set_up(t);
    curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode rc = curl_easy_perform(t->curl);
    hf_status st = judge(t, rc, detail);
    curl_easy_cleanup(t->curl);
    return st;
}

/* --- from a control node --- */

static int64_t clock_ms(void)
{
    struct timespec now;
    HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static bool may_pass(hf_status st)
{
    enum hf_class class = hf_status_class(st);
    return class == HF_CLASS_RETRY || class == HF_CLASS_UNKNOWN;
}

/* A node that is away for a moment costs nothing of what is there; one that stays away is as good as a
 * stalled server. */
static hf_status read_part(const struct transfer *t, struct hf_upload_source *s, const void **ret_data,
                           size_t *ret_len, uint64_t *ret_total)
{
    for (int64_t since_ms = clock_ms();;) {
        if (t->f->stop && t->f->stop(t->f->arg))
            return hf_error(HF_CANCELLED, "broken off");
        hf_status st = s->ops->read(s, t->done_bytes, READ_MS, ret_data, ret_len, ret_total);
        if (hf_ok(st) || !may_pass(st) || clock_ms() - since_ms > STALL_S * 1000)
            return st;
        hf_status_drop(st);
        wait_ms(AGAIN_MS);
    }
}

static hf_status read_all(struct transfer *t, struct hf_upload_source *s)
{
    for (;;) {
        const void *data;
        size_t len;
        HF_TRY(read_part(t, s, &data, &len, &t->total_bytes));
        if (len == 0)
            return HF_STATUS_OK;
        HF_TRY(take(t, data, len));
        if (t->f->progress)
            t->f->progress(t->f->arg, t->done_bytes, t->total_bytes);
    }
}

static hf_status read_upload(struct transfer *t)
{
    struct hf_upload_source *s;
    if (!t->f->uploads)
        return hf_error(HF_INVALID, "uploaded files are kept by image servers only");
    HF_TRY(t->f->uploads->open(t->f->uploads->arg, t->f->url, &s));
    hf_status st = read_all(t, s);
    s->ops->close(s);
    return st;
}

hf_status hf_fetch(const struct hf_fetch *f, int fd, char ret_sha256[HF_SHA256_HEX])
{
    struct transfer t = {.f = f, .fd = fd};
    t.hash = EVP_MD_CTX_new();
    HF_ASSERT(t.hash && EVP_DigestInit_ex(t.hash, EVP_sha256(), NULL) == 1);
    hf_status st = strncmp(f->url, UPLOAD, strlen(UPLOAD)) == 0 ? read_upload(&t) : download(&t);
    if (hf_ok(st))
        format_hash(&t, ret_sha256);
    EVP_MD_CTX_free(t.hash);
    return hf_wrap(st, "fetch '%s'", f->url);
}
