/* The driver on a real folder, with real qemu-img and a real download. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "base/run_command.h"
#include "storage/layout.h"
#include "storage/primary.h"
#include "storage/qemu_img.h"
#include "storage/test_http.h"

#define LONG_MS        60000
#define TEMPLATE_BYTES (8u << 20)

static const char image_id[] = "11111111111111111111111111111111";
static const char volume_path[] = "rootVolumes/acct-a/vol-b/b.qcow2";

struct fixture {
    uv_loop_t loop;
    struct hf_env *env;
    struct hf_primary *p;
    char dir[64], root[80];
    char *file; /* the template, as served */
    size_t file_len;
    char sha256[65];
    struct test_http *http;
};

struct answer {
    unsigned n;
    enum hf_code code;
    char message[512];
    struct hf_capacity capacity;
    struct hf_image_info info;
    uint64_t progress_total;
    unsigned progressed;
};

static struct fixture *fx;

static void keep(struct answer *a, hf_status st)
{
    a->n++;
    a->code = hf_status_code(st);
    snprintf(a->message, sizeof a->message, "%s", hf_status_message(st));
}

static void on_capacity(void *arg, hf_status st, const struct hf_capacity *c)
{
    struct answer *a = arg;
    keep(a, st);
    if (c)
        a->capacity = *c;
}

static void on_image(void *arg, hf_status st, const struct hf_image_info *info)
{
    struct answer *a = arg;
    keep(a, st);
    if (info)
        a->info = *info;
}

static void on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct answer *a = arg;
    assert_int_equal(a->n, 0);
    assert_true(done_bytes > 0);
    a->progressed++;
    a->progress_total = total_bytes;
}

static void on_volume(void *arg, hf_status st)
{
    keep(arg, st);
}

static void wait_for(struct answer *a)
{
    while (a->n == 0)
        uv_run(&fx->loop, UV_RUN_ONCE);
    assert_int_equal(a->n, 1);
}

static struct hf_uuid uuid(const char *text)
{
    struct hf_uuid u;
    assert_true(hf_uuid_parse(text, &u));
    return u;
}

static struct answer check(void)
{
    struct answer a = {0};
    fx->p->ops->check(fx->p, LONG_MS, on_capacity, &a);
    wait_for(&a);
    return a;
}

static struct answer cache(const char *url, const char *sha256, const char *format)
{
    struct answer a = {0};
    struct hf_image_source src = {.uuid = uuid(image_id), .url = url, .sha256 = sha256, .format = format};
    fx->p->ops->cache_image(fx->p, &src, LONG_MS, on_progress, on_image, &a);
    wait_for(&a);
    return a;
}

static struct answer cache_http(const char *path)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", test_http_port(fx->http), path);
    return cache(url, fx->sha256, "qcow2");
}

static struct answer create(const char *path, bool with_template, uint64_t size)
{
    struct answer a = {0};
    struct hf_uuid image = uuid(image_id);
    struct hf_volume_wish wish = {.template_uuid = with_template ? &image : NULL, .size_bytes = size};
    fx->p->ops->create_volume(fx->p, path, &wish, LONG_MS, on_volume, &a);
    wait_for(&a);
    return a;
}

static struct answer delete_volume(const char *path)
{
    struct answer a = {0};
    fx->p->ops->delete_volume(fx->p, path, LONG_MS, on_volume, &a);
    wait_for(&a);
    return a;
}

static void assert_answer(const struct answer *a, enum hf_code code, const char *says)
{
    if (a->code != code || !strstr(a->message, says))
        fail_msg("got %s: %s", hf_code_text(a->code), a->message);
}

static char *below_root(const char *path)
{
    static char out[HF_STORAGE_PATH_MAX];
    assert_true(fx->p->ops->absolute(fx->p, path, out, sizeof out));
    return out;
}

static bool there(const char *path)
{
    return access(below_root(path), F_OK) == 0;
}

static void sh(const char *fmt, ...)
{
    char script[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(script, sizeof script, fmt, ap);
    va_end(ap);
    const char *argv[] = {"sh", "-ec", script, NULL};
    hf_status st = hf_run_command(argv, LONG_MS, NULL);
    if (!hf_ok(st))
        fail_msg("%s: %s", script, hf_status_message(st));
}

static void sha256_of(const void *data, size_t len, char out[65])
{
    unsigned char digest[32];
    assert_int_equal(EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL), 1);
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    struct stat s;
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &s), 0);
    *len = (size_t)s.st_size;
    char *data = hf_alloc(*len + 1);
    assert_int_equal(fread(data, 1, *len, f), *len);
    fclose(f);
    return data;
}

static void open_primary(const char *root, uint64_t reserved)
{
    hf_status st = hf_primary_file_create(fx->env, root, reserved, &fx->p);
    assert_true(hf_ok(st));
}

static int set_up(void **state)
{
    fx = HF_NEW(struct fixture);
    uv_loop_init(&fx->loop);
    fx->env = hf_env_uv_create(&fx->loop);
    snprintf(fx->dir, sizeof fx->dir, "/tmp/hf-storage-XXXXXX");
    assert_non_null(mkdtemp(fx->dir));
    snprintf(fx->root, sizeof fx->root, "%s/pool", fx->dir);
    mkdir(fx->root, 0755);
    sh("qemu-img create -q -f qcow2 %s/t.qcow2 %u; qemu-io -f qcow2 -c 'write -P 7 0 1M' %s/t.qcow2 "
       ">/dev/null",
       fx->dir, TEMPLATE_BYTES, fx->dir);
    char path[128];
    snprintf(path, sizeof path, "%s/t.qcow2", fx->dir);
    fx->file = read_file(path, &fx->file_len);
    sha256_of(fx->file, fx->file_len, fx->sha256);
    fx->http = test_http_start(fx->file, fx->file_len);
    open_primary(fx->root, 0);
    *state = fx;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fx->p->ops->close(fx->p);
    hf_env_uv_close(fx->env);
    uv_run(&fx->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fx->loop), 0);
    test_http_stop(fx->http);
    sh("rm -rf %s", fx->dir);
    free(fx->file);
    free(fx);
    return 0;
}

static void reopen(const char *root, uint64_t reserved)
{
    fx->p->ops->close(fx->p);
    open_primary(root, reserved);
}

static void checks_a_good_folder(void **state)
{
    struct answer a = check();
    (void)state;
    assert_answer(&a, HF_OK, "ok");
    assert_true(a.capacity.total_bytes > 0 && a.capacity.available_bytes <= a.capacity.total_bytes);
    sh("test -z \"$(ls -A %s)\"", fx->root);
}

static void checks_refuse_bad_folders(void **state)
{
    char path[128];
    struct answer a;
    (void)state;
    snprintf(path, sizeof path, "%s/missing", fx->dir);
    reopen(path, 0);
    a = check();
    assert_answer(&a, HF_NOT_FOUND, "does not exist");
    snprintf(path, sizeof path, "%s/t.qcow2", fx->dir);
    reopen(path, 0);
    a = check();
    assert_answer(&a, HF_PRECONDITION, "is not a folder");
    snprintf(path, sizeof path, "%s/link", fx->dir);
    assert_int_equal(symlink("/root", path), 0);
    reopen(path, 0);
    a = check();
    assert_answer(&a, HF_INVALID, "lies in /root");
    reopen("/proc/sys", 0);
    a = check();
    assert_answer(&a, a.code, "is not writable");
    assert_int_not_equal(a.code, HF_OK);
}

static void caches_an_image(void **state)
{
    struct stat s;
    struct answer a = cache_http("/moved");
    (void)state;
    assert_answer(&a, HF_OK, "ok");
    assert_int_equal(a.info.file_bytes, fx->file_len);
    assert_int_equal(a.info.virtual_bytes, TEMPLATE_BYTES);
    assert_true(a.progressed > 0);
    assert_int_equal(a.progress_total, fx->file_len);
    char *path = below_root(
        "imagecache/template/11111111111111111111111111111111/11111111111111111111111111111111.qcow2");
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0444);
    sh("test $(ls -A %s/imagecache/template/%s | wc -l) = 1", fx->root, image_id);
    a = cache_http("/file");
    assert_answer(&a, HF_OK, "ok");
    assert_int_equal(a.info.file_bytes, fx->file_len);
    assert_int_equal(test_http_served(fx->http), 1);
    a = cache("http://127.0.0.1:1/", fx->sha256, "qcow2"); /* it is there: nothing is fetched */
    assert_answer(&a, HF_OK, "ok");
}

static void fetches_once_for_many(void **state)
{
    enum { N = 12 };
    struct answer a[N] = {0};
    char url[128];
    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/file", test_http_port(fx->http));
    struct hf_image_source src = {
        .uuid = uuid(image_id), .url = url, .sha256 = fx->sha256, .format = "qcow2"};
    for (int i = 0; i < N; i++)
        fx->p->ops->cache_image(fx->p, &src, LONG_MS, NULL, on_image, &a[i]);
    for (int i = 0; i < N; i++) {
        wait_for(&a[i]);
        assert_answer(&a[i], HF_OK, "ok");
    }
    assert_int_equal(test_http_served(fx->http), 1);
}

static void takes_images_without_a_length_and_from_files(void **state)
{
    char url[128];
    struct answer a = cache_http("/chunk");
    (void)state;
    assert_answer(&a, HF_OK, "ok");
    sh("rm -rf %s/imagecache", fx->root);
    snprintf(url, sizeof url, "file://%s/t.qcow2", fx->dir);
    a = cache(url, fx->sha256, "qcow2");
    assert_answer(&a, HF_OK, "ok");
}

static void caches_raw_images_as_they_are(void **state)
{
    char url[160], sha[65], path[128];
    size_t len;
    struct answer a;
    (void)state;
    sh("qemu-img convert -O raw %s/t.qcow2 %s/t.raw", fx->dir, fx->dir);
    snprintf(path, sizeof path, "%s/t.raw", fx->dir);
    char *raw = read_file(path, &len);
    sha256_of(raw, len, sha);
    free(raw);
    snprintf(url, sizeof url, "file://%s", path);
    a = cache(url, sha, "raw");
    assert_answer(&a, HF_OK, "ok");
    assert_int_equal(a.info.virtual_bytes, TEMPLATE_BYTES);
    a = create(volume_path, true, 0);
    assert_answer(&a, HF_OK, "ok");
    sh("qemu-img info %s/%s | grep -q 'backing file format: raw'", fx->root, volume_path);
}

static void assert_nothing_cached(void)
{
    assert_false(
        there("imagecache/template/11111111111111111111111111111111/11111111111111111111111111111111.qcow2"));
    sh("test -z \"$(find %s -type f)\"", fx->root);
}

static void refuses_bad_images(void **state)
{
    char url[128], sha[65];
    struct answer a;
    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/file", test_http_port(fx->http));
    memset(sha, '0', 64);
    sha[64] = '\0';
    a = cache(url, sha, "qcow2");
    assert_answer(&a, HF_INVALID, "has the checksum");
    assert_answer(&a, HF_INVALID, "image 11111111111111111111111111111111: ");
    a = cache(url, fx->sha256, "raw");
    assert_answer(&a, HF_INVALID, "is a qcow2 image, not a raw one");
    a = cache(url, "123", "qcow2");
    assert_answer(&a, HF_INVALID, "not 64 hex digits");
    a = cache(url, fx->sha256, "vmdk");
    assert_answer(&a, HF_INVALID, "the format 'vmdk' is neither");
    a = cache("ftp://127.0.0.1/x", fx->sha256, "qcow2");
    assert_answer(&a, HF_INVALID, "is not of http, https or file");
    a = cache("upload://127.0.0.1:1/11111111111111111111111111111111", fx->sha256, "qcow2");
    assert_answer(&a, HF_INVALID, "kept by image servers only");
    a = cache_http("/to-file");
    assert_int_not_equal(a.code, HF_OK);
    a = cache_http("/nothing");
    assert_answer(&a, HF_NOT_FOUND, "the server answers 404");
    a = cache("http://127.0.0.1:1/x", fx->sha256, "qcow2");
    assert_answer(&a, HF_UNAVAILABLE, "127.0.0.1");
    a = cache("file:///no/such/file", fx->sha256, "qcow2");
    assert_answer(&a, HF_NOT_FOUND, "/no/such/file");
    assert_nothing_cached();
}

static void refuses_files_of_another_format(void **state)
{
    char url[128], sha[65];
    struct answer a;
    (void)state;
    sha256_of("not an image", 12, sha);
    sh("printf 'not an image' >%s/junk", fx->dir);
    snprintf(url, sizeof url, "file://%s/junk", fx->dir);
    a = cache(url, sha, "qcow2");
    assert_answer(&a, HF_INVALID, "not a qcow2 image");
    assert_nothing_cached();
}

static void refuses_templates_that_lean_on_others(void **state)
{
    char url[160], sha[65], path[128];
    size_t len;
    struct answer a;
    (void)state;
    sh("qemu-img create -q -f qcow2 -b /etc/passwd -F raw %s/spy.qcow2", fx->dir);
    snprintf(path, sizeof path, "%s/spy.qcow2", fx->dir);
    char *data = read_file(path, &len);
    sha256_of(data, len, sha);
    free(data);
    snprintf(url, sizeof url, "file://%s", path);
    a = cache(url, sha, "qcow2");
    assert_answer(&a, HF_INVALID, "has a backing file, '/etc/passwd'");
    sh("cd %s && qemu-img create -q -f qcow2 -o data_file=%s/d.raw ext.qcow2 1M", fx->dir, fx->dir);
    snprintf(path, sizeof path, "%s/ext.qcow2", fx->dir);
    data = read_file(path, &len);
    sha256_of(data, len, sha);
    free(data);
    snprintf(url, sizeof url, "file://%s", path);
    a = cache(url, sha, "qcow2");
    assert_answer(&a, HF_INVALID, "keeps its data in another file");
    assert_nothing_cached();
}

static void refuses_what_has_no_room(void **state)
{
    struct answer a = check();
    (void)state;
    reopen(fx->root, a.capacity.total_bytes);
    a = cache_http("/file");
    assert_answer(&a, HF_INVALID, "has room for 0 only");
    a = cache_http("/endless");
    assert_answer(&a, HF_INVALID, "has room for 0 only");
    a = create(volume_path, false, 1 << 20);
    assert_answer(&a, HF_EXHAUSTED, "has no room left");
    assert_nothing_cached();
}

static void breaks_off_at_the_deadline(void **state)
{
    struct answer a = {0};
    char url[128];
    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/endless", test_http_port(fx->http));
    struct hf_image_source src = {
        .uuid = uuid(image_id), .url = url, .sha256 = fx->sha256, .format = "qcow2"};
    fx->p->ops->cache_image(fx->p, &src, 200, NULL, on_image, &a);
    wait_for(&a);
    assert_true(a.code == HF_TIMEOUT || a.code == HF_UNAVAILABLE);
}

static void makes_volumes_over_a_template(void **state)
{
    struct hf_qemu_img_info info;
    struct answer a;
    (void)state;
    a = create(volume_path, true, 0);
    assert_answer(&a, HF_NOT_FOUND, "is not in the cache");
    a = cache_http("/file");
    assert_answer(&a, HF_OK, "ok");
    a = create(volume_path, true, TEMPLATE_BYTES - 1);
    assert_answer(&a, HF_INVALID, "is below its template's");
    assert_false(there(volume_path));
    a = create(volume_path, true, 2 * TEMPLATE_BYTES);
    assert_answer(&a, HF_OK, "ok");
    assert_true(hf_ok(hf_qemu_img_info(below_root(volume_path), "qcow2", LONG_MS, &info)));
    assert_int_equal(info.virtual_bytes, 2 * TEMPLATE_BYTES);
    assert_string_equal(info.backing_file, below_root("imagecache/template/11111111111111111111111111111111/"
                                                      "11111111111111111111111111111111.qcow2"));
    a = create(volume_path, true, 4 * TEMPLATE_BYTES); /* it was resized since its last run */
    assert_answer(&a, HF_OK, "ok");
    a = create(volume_path, true, 3 * TEMPLATE_BYTES); /* by an older order: it never shrinks */
    assert_answer(&a, HF_OK, "ok");
    free(info.backing_file);
    assert_true(hf_ok(hf_qemu_img_info(below_root(volume_path), "qcow2", LONG_MS, &info)));
    assert_int_equal(info.virtual_bytes, 4 * TEMPLATE_BYTES);
    free(info.backing_file);
    sh("qemu-io -f qcow2 -c 'read -P 7 0 1M' %s/%s | grep -q 'read 1048576'", fx->root, volume_path);
    sh("test $(ls -A %s/rootVolumes/acct-a/vol-b | wc -l) = 1", fx->root);
}

static void leaves_a_volume_that_is_there(void **state)
{
    struct answer a = create(volume_path, false, 1 << 20);
    (void)state;
    assert_answer(&a, HF_OK, "ok");
    sh("qemu-io -f qcow2 -c 'write -P 9 0 64k' %s/%s >/dev/null", fx->root, volume_path);
    a = create(volume_path, false, 4 << 20);
    assert_answer(&a, HF_OK, "ok");
    sh("qemu-io -f qcow2 -c 'read -P 9 0 64k' %s/%s | grep -q 'read 65536'", fx->root, volume_path);
    a = cache_http("/file");
    a = create(volume_path, true, 0);
    assert_answer(&a, HF_PRECONDITION, "is there with the backing file 'none'");
}

/* An empty disk in the place of one with data would be the loss of it. */
static void a_lost_volume_is_not_made_anew(void **state)
{
    struct answer a = {0};
    struct hf_volume_wish wish = {.size_bytes = 1 << 20, .made = true};
    (void)state;
    fx->p->ops->create_volume(fx->p, volume_path, &wish, LONG_MS, on_volume, &a);
    wait_for(&a);
    assert_answer(&a, HF_PRECONDITION, "it is not there any more");
    sh("test ! -e %s/%s", fx->root, volume_path);
    a = create(volume_path, false, 1 << 20);
    assert_answer(&a, HF_OK, "ok");
    a = (struct answer){0};
    fx->p->ops->create_volume(fx->p, volume_path, &wish, LONG_MS, on_volume, &a);
    wait_for(&a);
    assert_answer(&a, HF_OK, "ok");
}

static void deletes_volumes_and_empty_folders(void **state)
{
    struct answer a = create(volume_path, false, 1 << 20);
    (void)state;
    a = create("rootVolumes/acct-a/vol-c/c.qcow2", false, 1 << 20);
    assert_answer(&a, HF_OK, "ok");
    a = delete_volume(volume_path);
    assert_answer(&a, HF_OK, "ok");
    assert_false(there("rootVolumes/acct-a/vol-b"));
    assert_true(there("rootVolumes/acct-a/vol-c/c.qcow2"));
    a = delete_volume(volume_path);
    assert_answer(&a, HF_OK, "ok");
    a = delete_volume("rootVolumes/acct-a/vol-c/c.qcow2");
    assert_answer(&a, HF_OK, "ok");
    assert_false(there("rootVolumes"));
    assert_int_equal(access(fx->root, F_OK), 0);
}

static void refuses_paths_outside(void **state)
{
    struct answer a = create("../x.qcow2", false, 1 << 20);
    (void)state;
    assert_answer(&a, HF_INVALID, "does not lie below");
    a = delete_volume("/etc/passwd");
    assert_answer(&a, HF_INVALID, "does not lie below");
    a = create("a.qcow2", false, 0);
    assert_answer(&a, HF_INVALID, "needs a size");
}

static void never_makes_the_root(void **state)
{
    char path[128];
    struct answer a;
    (void)state;
    snprintf(path, sizeof path, "%s/unmounted", fx->dir);
    reopen(path, 0);
    a = create(volume_path, false, 1 << 20);
    assert_answer(&a, HF_NOT_FOUND, "unmounted");
    assert_int_not_equal(access(path, F_OK), 0);
}

static void sweeps_what_crashed_hosts_left(void **state)
{
    char old[256], fresh[256];
    struct answer a;
    (void)state;
    sh("mkdir -p %s/imagecache/template/%s", fx->root, image_id);
    snprintf(old, sizeof old, "%s/imagecache/template/%s/%s.qcow2.tmp-0123456789abcdef", fx->root, image_id,
             image_id);
    snprintf(fresh, sizeof fresh, "%s/imagecache/template/%s/%s.qcow2.tmp-fedcba9876543210", fx->root,
             image_id, image_id);
    sh("touch -d '2 hours ago' %s; touch %s", old, fresh);
    a = cache_http("/file");
    assert_answer(&a, HF_OK, "ok");
    assert_int_not_equal(access(old, F_OK), 0);
    assert_int_equal(access(fresh, F_OK), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(checks_a_good_folder),
        TEST(checks_refuse_bad_folders),
        TEST(caches_an_image),
        TEST(fetches_once_for_many),
        TEST(takes_images_without_a_length_and_from_files),
        TEST(caches_raw_images_as_they_are),
        TEST(refuses_bad_images),
        TEST(refuses_files_of_another_format),
        TEST(refuses_templates_that_lean_on_others),
        TEST(refuses_what_has_no_room),
        TEST(breaks_off_at_the_deadline),
        TEST(makes_volumes_over_a_template),
        TEST(leaves_a_volume_that_is_there),
        TEST(a_lost_volume_is_not_made_anew),
        TEST(deletes_volumes_and_empty_folders),
        TEST(refuses_paths_outside),
        TEST(never_makes_the_root),
        TEST(sweeps_what_crashed_hosts_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
