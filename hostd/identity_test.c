#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "hostd/identity.h"

struct place {
    struct hf_env *env;
    char base[64], dir[80], file[100];
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    hf_log_set_level(HF_LOG_ERROR);
    p->env = hf_env_manual_create(3);
    strcpy(p->base, "/tmp/hf-identity-XXXXXX");
    assert_non_null(mkdtemp(p->base));
    snprintf(p->dir, sizeof p->dir, "%s/state", p->base);
    snprintf(p->file, sizeof p->file, "%s/identity", p->dir);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    unlink(p->file);
    rmdir(p->dir);
    rmdir(p->base);
    hf_env_manual_free(p->env);
    free(p);
    return 0;
}

static void made_once(void **state)
{
    struct place *p = *state;
    struct hf_identity a, b;
    struct stat s;
    assert_true(hf_ok(hf_identity_load(p->env, p->dir, &a)));
    assert_int_equal(stat(p->file, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_true(hf_ok(hf_identity_load(p->env, p->dir, &b)));
    assert_memory_equal(&a, &b, sizeof a);
    assert_false(hf_uuid_is_zero(&a.uuid));
}

static void refused(struct place *p, enum hf_code code, const char *word)
{
    struct hf_identity id;
    hf_status st = hf_identity_load(p->env, p->dir, &id);
    assert_int_equal(hf_status_code(st), code);
    assert_non_null(strstr(hf_status_message(st), p->file));
    assert_non_null(strstr(hf_status_message(st), word));
    hf_status_drop(st);
}

/* Every single changed byte is noticed, and so is a file that is cut. */
static void damage_is_refused(void **state)
{
    struct place *p = *state;
    struct hf_identity id;
    char text[600];
    assert_true(hf_ok(hf_identity_load(p->env, p->dir, &id)));
    FILE *f = fopen(p->file, "r+");
    size_t len = fread(text, 1, sizeof text, f);
    assert_true(len > 100 && len < 500);
    for (size_t i = 0; i < len; i++) {
        char was = text[i];
        text[i] = was == '7' ? '8' : '7';
        rewind(f);
        fwrite(text, 1, len, f);
        fflush(f);
        refused(p, HF_CORRUPT, "damaged");
        text[i] = was;
    }
    fclose(f);
    assert_int_equal(truncate(p->file, (long)len - 1), 0);
    refused(p, HF_CORRUPT, "damaged");
    assert_int_equal(truncate(p->file, 0), 0);
    refused(p, HF_CORRUPT, "damaged");
}

static void a_file_that_others_read_is_refused(void **state)
{
    struct place *p = *state;
    struct hf_identity id;
    assert_true(hf_ok(hf_identity_load(p->env, p->dir, &id)));
    assert_int_equal(chmod(p->file, 0644), 0);
    refused(p, HF_DENIED, "chmod 600");
}

static void a_directory_that_cannot_be_made(void **state)
{
    struct place *p = *state;
    struct hf_identity id;
    hf_status st = hf_identity_load(p->env, "/proc/none/here", &id);
    assert_false(hf_ok(st));
    assert_non_null(strstr(hf_status_message(st), "/proc/none/here"));
    hf_status_drop(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(made_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_others_read_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_cannot_be_made, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
