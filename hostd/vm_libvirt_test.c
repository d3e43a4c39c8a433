/* The driver on libvirt's own test driver (test:///), which keeps its domains in memory: what is ours, what
 * is not, errors as sentences, deadlines. Real QEMUs are for tests/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "hostd/vm_libvirt.h"

#define LONG_MS 60000

struct fixture {
    uv_loop_t loop;
    struct hf_hypervisor *h;
    unsigned ups, downs;
};

struct answer {
    unsigned n;
    enum hf_code code;
    char message[256];
    struct hf_vm_seen seen[8];
    size_t n_seen;
};

static struct fixture *fx;

static void on_connection(void *arg, bool up)
{
    struct fixture *f = arg;
    if (up)
        f->ups++;
    else
        f->downs++;
}

static void on_gone(void *arg, const struct hf_uuid *u, enum hf_vm_gone why)
{
    (void)arg;
    (void)u;
    (void)why;
}

static void on_done(void *arg, hf_status st)
{
    struct answer *a = arg;
    a->n++;
    a->code = hf_status_code(st);
    snprintf(a->message, sizeof a->message, "%s", hf_status_message(st));
}

static void on_list(void *arg, hf_status st, const struct hf_vm_seen *vms, size_t n)
{
    struct answer *a = arg;
    assert_true(n <= 8);
    on_done(arg, st);
    if (n > 0)
        memcpy(a->seen, vms, n * sizeof *vms);
    a->n_seen = n;
}

static void mark(void *arg)
{
    *(bool *)arg = true;
}

static void open_at(const char *uri)
{
    struct hf_vm_libvirt_options o = {.uri = uri, .accelerator = "tcg"};
    struct hf_hypervisor_events events = {.gone = on_gone, .connection = on_connection, .arg = fx};
    assert_true(hf_ok(hf_vm_libvirt_create(&fx->loop, &o, &events, &fx->h)));
}

static int set_up(void **state)
{
    fx = HF_NEW(struct fixture);
    uv_loop_init(&fx->loop);
    *state = fx;
    return 0;
}

static int tear_down(void **state)
{
    bool closed = false;
    (void)state;
    fx->h->ops->close(fx->h, mark, &closed);
    uv_run(&fx->loop, UV_RUN_DEFAULT);
    assert_true(closed);
    assert_int_equal(uv_loop_close(&fx->loop), 0);
    free(fx);
    return 0;
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

/* The domain that test:///default always has; it is not ours. */
static const char strangers[] = "6695eb01-f6a4-8304-79aa-97f2502e193f";

static void lists_what_is_not_ours_as_such(void **state)
{
    struct answer a = {0};
    struct hf_uuid other = uuid(strangers);
    (void)state;
    open_at("test:///default");
    fx->h->ops->list(fx->h, LONG_MS, on_list, &a);
    assert_int_equal(a.n, 0);
    wait_for(&a);
    assert_int_equal(a.code, HF_OK);
    assert_int_equal(a.n_seen, 1);
    assert_true(hf_uuid_equal(&a.seen[0].uuid, &other));
    assert_int_equal(a.seen[0].epoch, 0);
    assert_int_equal(a.seen[0].state, HF_VM_RUNNING);
    while (fx->ups == 0)
        uv_run(&fx->loop, UV_RUN_ONCE);
}

static void touches_nothing_that_is_not_ours(void **state)
{
    struct hf_uuid other = uuid(strangers);
    void (*const verbs[])(struct hf_hypervisor *, const struct hf_uuid *, unsigned, hf_vm_done_cb,
                          void *) = {(open_at("test:///default"), fx->h->ops->shutdown), fx->h->ops->destroy,
                                     fx->h->ops->pause, fx->h->ops->resume};
    (void)state;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        struct answer a = {0};
        verbs[i](fx->h, &other, LONG_MS, on_done, &a);
        wait_for(&a);
        assert_int_equal(a.code, HF_PRECONDITION);
        assert_non_null(strstr(a.message, "is not Holdfast's"));
    }
}

static void destroying_nothing_is_done(void **state)
{
    struct hf_uuid none = uuid("00000000000000000000000000000009");
    struct answer a = {0}, b = {0};
    (void)state;
    open_at("test:///default");
    fx->h->ops->destroy(fx->h, &none, LONG_MS, on_done, &a);
    wait_for(&a);
    assert_int_equal(a.code, HF_OK);
    fx->h->ops->shutdown(fx->h, &none, LONG_MS, on_done, &b);
    wait_for(&b);
    assert_int_equal(b.code, HF_NOT_FOUND);
    assert_non_null(strstr(b.message, "find the domain 00000000000000000000000000000009: "));
}

static void refuses_what_no_xml_can_carry(void **state)
{
    struct hf_vm_spec s = {.uuid = uuid("00000000000000000000000000000009"),
                           .epoch = 1,
                           .run = 1,
                           .title = "a\nb",
                           .cpus = 1,
                           .memory_bytes = 1 << 20};
    struct answer a = {0};
    (void)state;
    open_at("test:///default");
    fx->h->ops->start(fx->h, &s, LONG_MS, on_done, &a);
    assert_int_equal(a.n, 0);
    wait_for(&a);
    assert_int_equal(a.code, HF_INVALID);
    assert_string_equal(a.message, "the title holds a control character");
}

static void without_libvirtd_calls_are_unavailable(void **state)
{
    struct answer a = {0};
    (void)state;
    open_at("qemu+unix:///system?socket=/nonexistent/libvirt-sock");
    fx->h->ops->list(fx->h, LONG_MS, on_list, &a);
    wait_for(&a);
    assert_int_equal(a.code, HF_UNAVAILABLE);
    assert_non_null(strstr(a.message, "connect to libvirt at"));
    assert_int_equal(fx->ups, 0);
}

/* A libvirtd that takes connections and never says a word. */
static int listen_silently(char path[108])
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "/tmp/hf-silent-%d", (int)getpid());
    unlink(a.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 64), 0);
    memcpy(path, a.sun_path, sizeof a.sun_path);
    return fd;
}

static void a_silent_libvirtd_is_a_timeout(void **state)
{
    struct hf_uuid u = uuid("00000000000000000000000000000009"), v = uuid("00000000000000000000000000000008");
    struct answer a = {0}, again = {0}, other = {0};
    char path[108], uri[200];
    int fd = listen_silently(path);
    (void)state;
    snprintf(uri, sizeof uri, "qemu+unix:///system?socket=%s", path);
    open_at(uri);
    fx->h->ops->destroy(fx->h, &u, 50, on_done, &a);
    wait_for(&a);
    assert_int_equal(a.code, HF_TIMEOUT);
    /* The same domain is not asked twice; another one hangs on its own. */
    fx->h->ops->destroy(fx->h, &u, LONG_MS, on_done, &again);
    wait_for(&again);
    assert_int_equal(again.code, HF_UNAVAILABLE);
    assert_non_null(strstr(again.message, "has not come back from an earlier call"));
    fx->h->ops->destroy(fx->h, &v, 50, on_done, &other);
    wait_for(&other);
    assert_int_equal(other.code, HF_TIMEOUT);
    close(fd);
    unlink(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_what_is_not_ours_as_such),
        TEST(touches_nothing_that_is_not_ours),
        TEST(destroying_nothing_is_done),
        TEST(refuses_what_no_xml_can_carry),
        TEST(without_libvirtd_calls_are_unavailable),
        TEST(a_silent_libvirtd_is_a_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
