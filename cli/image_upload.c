/* "holdfast image create --upload FILE" and "holdfast image upload NAME FILE": brings a file to the control
 * node that keeps it, part by part. What breaks off in the middle goes on where it was: on that node when it
 * answers again, on another one from the beginning when it does not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/image_file.h"
#include "holdfast/v1/storage.pb-c.h"

#define PART         ((size_t)1 << 20)
#define PUT_MS       15000 /* for one part */
#define BEGIN_MS     15000 /* for the leader's word */
#define PAUSE_MS     200   /* before the next try, and while the node checks the file */
#define ASK_MS       2000  /* without a good answer: perhaps another node keeps it by now */
#define LOST_MS      10000 /* without one: another node is to take it */
#define NOTE_MS      10000 /* between two words on how far it is */
#define SHOW_MS      200
#define CHECK_MS_MAX (60 * 60 * 1000) /* the node reads all of it */

struct upload {
    const char *name, *uuid;
    const struct cli_image_file *file;
    char *buf;
    char address[256]; /* of the node that keeps it */
    uint64_t node_id;
    uint64_t bytes; /* that it has */
    bool whole;
    /* times, of the monotonic clock */
    int64_t good_ms, moved_ms, asked_ms, shown_ms;
    hf_status trouble; /* the last */
};

static const ProtobufCServiceDescriptor *const service = &holdfast__v1__image_service__descriptor;

static int64_t now_ms(void)
{
    struct timespec t;
    HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static const char *text_at(const json_t *j, const char *path)
{
    const char *s = json_string_value(cli_json_at(j, path));
    return s ? s : "";
}

static bool may_pass(hf_status st)
{
    enum hf_class class = hf_status_class(st);
    return hf_status_code(st) != HF_EXHAUSTED && (class == HF_CLASS_RETRY || class == HF_CLASS_UNKNOWN);
}

/* --- the three calls --- */

/* Hears who keeps it, and tells the leader how far it is. */
static hf_status begin(struct upload *u, uint64_t lost_node_id, unsigned deadline_ms)
{
    json_t *image = NULL;
    json_t *request = json_pack("{s:o, s:s, s:I, s:I}", "requestId", cli_request_id(), "uuid", u->uuid,
                                "lostNodeId", (json_int_t)lost_node_id, "bytes", (json_int_t)u->bytes);
    u->asked_ms = now_ms();
    HF_TRY(cli_call(service, "BeginImageUpload", request, deadline_ms, &image));
    snprintf(u->address, sizeof u->address, "%s", text_at(image, "status.upload.address"));
    uint64_t node_id = strtoull(text_at(image, "status.upload.nodeId"), NULL, 10);
    if (node_id != u->node_id)
        u->good_ms = u->asked_ms; /* another one: it has all the time */
    u->node_id = node_id;
    json_decref(image);
    return HF_STATUS_OK;
}

/* Sends the next part, or asks what is there (len 0). */
static hf_status put(struct upload *u, size_t len)
{
    Holdfast__V1__PutImageUploadRequest r = HOLDFAST__V1__PUT_IMAGE_UPLOAD_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    r.uuid = (char *)u->uuid;
    r.offset = u->bytes;
    r.data = (ProtobufCBinaryData){len, (uint8_t *)u->buf};
    HF_TRY(cli_call_node(u->address, service, "PutImageUpload", &r.base, PUT_MS, &reply));
    const Holdfast__V1__PutImageUploadResponse *a = (const Holdfast__V1__PutImageUploadResponse *)reply;
    u->good_ms = now_ms();
    if (a->bytes != u->bytes)
        u->moved_ms = u->good_ms;
    bool idle = a->bytes == u->bytes && len > 0; /* somebody else is at it */
    u->bytes = a->bytes;
    u->whole = a->whole;
    protobuf_c_message_free_unpacked(reply, NULL);
    if (idle)
        pause_ms(PAUSE_MS);
    return HF_STATUS_OK;
}

/* --- all of it --- */

static hf_status send_part(struct upload *u)
{
    uint64_t left = u->file->bytes - u->bytes;
    size_t len = left < PART ? (size_t)left : PART;
    if (len == 0)
        pause_ms(PAUSE_MS); /* all is there, and is checked */
    else
        HF_TRY(cli_image_file_read(u->file, u->bytes, u->buf, len));
    return put(u, len);
}

/* Whether to go on after this: the node is away, or keeps it no more. */
static hf_status take_trouble(struct upload *u, hf_status take_st)
{
    if (hf_ok(take_st))
        return take_st;
    bool passes = may_pass(take_st) || hf_status_code(take_st) == HF_NOT_FOUND; /* its store may be behind */
    if (!passes)
        return take_st;
    hf_status_drop(u->trouble);
    u->trouble = take_st;
    pause_ms(PAUSE_MS);
    return HF_STATUS_OK;
}

/* Asks the leader when the node does not answer, and tells it how far it is now and then. */
static hf_status keep_in_touch(struct upload *u)
{
    int64_t now = now_ms(), silent = now - u->good_ms, asked = now - u->asked_ms;
    if (asked < (silent > ASK_MS ? ASK_MS : NOTE_MS))
        return HF_STATUS_OK;
    hf_status st = begin(u, silent > LOST_MS ? u->node_id : 0, BEGIN_MS);
    if (hf_ok(st) || !may_pass(st))
        return st;
    hf_status_drop(u->trouble);
    u->trouble = st;
    return HF_STATUS_OK;
}

static hf_status check_patience(const struct upload *u)
{
    bool checking = u->bytes == u->file->bytes && now_ms() - u->good_ms < LOST_MS;
    int64_t patience_ms = checking ? CHECK_MS_MAX : cli_options.timeout_s * 1000LL;
    if (now_ms() - u->moved_ms < patience_ms)
        return HF_STATUS_OK;
    return hf_error(HF_TIMEOUT, _("it does not go on (%s); 'holdfast image upload %s %s' goes on with it"),
                    hf_ok(u->trouble) ? _("no reason was given") : hf_status_message(u->trouble), u->name,
                    u->file->path);
}

static void show(struct upload *u)
{
    if (now_ms() - u->shown_ms < SHOW_MS)
        return;
    u->shown_ms = now_ms();
    cli_show_progress(u->bytes < u->file->bytes ? _("uploads") : _("the control node checks it"), u->bytes,
                      u->file->bytes);
}

static hf_status send_all(struct upload *u)
{
    HF_TRY(begin(u, 0, cli_options.timeout_s * 1000));
    u->moved_ms = u->good_ms = now_ms();
    HF_TRY(take_trouble(u, put(u, 0)));
    while (!u->whole) {
        HF_TRY(take_trouble(u, send_part(u)));
        HF_TRY(keep_in_touch(u));
        HF_TRY(check_patience(u));
        show(u);
    }
    return HF_STATUS_OK;
}

/* Until the leader has the word that all is there; *ret_op follows what a host makes of it. */
static hf_status upload(const char *name, const char *uuid, const struct cli_image_file *file,
                        json_t **ret_op)
{
    struct upload u = {.name = name, .uuid = uuid, .file = file, .buf = hf_alloc(PART)};
    hf_status st = send_all(&u);
    cli_end_progress();
    hf_status_drop(u.trouble);
    free(u.buf);
    if (hf_ok(st))
        st = cli_call(service, "FinishImageUpload",
                      json_pack("{s:o, s:s}", "requestId", cli_request_id(), "uuid", uuid),
                      cli_options.timeout_s * 1000, ret_op);
    return st;
}

/* --- the verbs --- */

static hf_status check_sum(const struct cli_image_file *f, const char *wanted)
{
    if (!wanted || strcasecmp(wanted, f->sha256) == 0)
        return HF_STATUS_OK;
    return hf_error(HF_INVALID, _("'%s' has the checksum %s, not %s"), f->path, f->sha256, wanted);
}

/* Makes the image, whose file is still to come. */
static hf_status create(struct cli_args *args, const struct cli_image_file *f, char ret_uuid[33])
{
    json_t *image, *op = NULL;
    HF_TRY(cli_create_object(args, &image));
    cli_json_set(image, "spec.sha256", json_string(f->sha256));
    cli_json_set(image, "spec.upload_bytes", json_integer((json_int_t)f->bytes));
    HF_TRY(cli_call(service, "CreateImage",
                    json_pack("{s:o, s:o}", "requestId", cli_request_id(), "image", image),
                    cli_options.timeout_s * 1000, &op));
    snprintf(ret_uuid, 33, "%s", text_at(op, "targetUuid"));
    json_decref(op);
    return HF_STATUS_OK;
}

static enum cli_exit end(const struct cli_noun *noun, const struct cli_verb *verb, const char *subject,
                         hf_status st, json_t *op)
{
    return hf_ok(st) ? cli_finish_operation(noun, verb, subject, op) : cli_fail(st);
}

enum cli_exit cli_image_create(const struct cli_noun *noun, const struct cli_verb *verb,
                               struct cli_args *args)
{
    struct cli_image_file f;
    char uuid[33];
    json_t *op = NULL;
    const char *path = cli_args_get(args, "upload");
    if (!path && !cli_args_get(args, "url")) {
        fprintf(stderr, _("holdfast: image create: an option is missing: --url or --upload\n"));
        return CLI_USAGE;
    }
    if (!path)
        return cli_create(noun, verb, args);
    hf_status st = cli_image_file_open(&f, path);
    if (!hf_ok(st))
        return cli_fail(hf_wrap(st, _("create image '%s'"), args->subject));
    st = hf_wrap(check_sum(&f, cli_args_get(args, "sha256")), _("create image '%s'"), args->subject);
    if (hf_ok(st))
        st = create(args, &f, uuid);
    if (hf_ok(st))
        st = upload(args->subject, uuid, &f, &op);
    cli_image_file_close(&f);
    return end(noun, verb, args->subject, st, op);
}

/* The file must be the one that the image was made for: what is there of it is gone on with. */
static hf_status check_same(const json_t *image, const struct cli_image_file *f)
{
    uint64_t bytes = strtoull(text_at(image, "spec.uploadBytes"), NULL, 10);
    const char *sha256 = text_at(image, "spec.sha256");
    if (bytes == 0)
        return hf_error(HF_PRECONDITION, _("its file is fetched from a URL, not uploaded"));
    if (bytes == f->bytes && strcmp(sha256, f->sha256) == 0)
        return HF_STATUS_OK;
    return hf_error(
        HF_INVALID,
        _("it was made for a file of %" PRIu64 " bytes with the checksum %s; '%s' has %" PRIu64 " and %s"),
        bytes, sha256, f->path, f->bytes, f->sha256);
}

enum cli_exit cli_image_upload(const struct cli_noun *noun, const struct cli_verb *verb,
                               struct cli_args *args)
{
    struct cli_image_file f;
    char uuid[33];
    json_t *image = NULL, *op = NULL;
    hf_status st = cli_resolve(noun->name, args->subject, uuid);
    if (hf_ok(st))
        st = cli_call(service, "GetImage", json_pack("{s:s}", "uuid", uuid), cli_options.timeout_s * 1000,
                      &image);
    if (hf_ok(st))
        st = cli_image_file_open(&f, args->second);
    if (!hf_ok(st)) {
        json_decref(image);
        return cli_fail(hf_wrap(st, _("upload image '%s'"), args->subject));
    }
    st = hf_wrap(check_same(image, &f), _("upload image '%s'"), args->subject);
    json_decref(image);
    if (hf_ok(st))
        st = upload(args->subject, uuid, &f, &op);
    cli_image_file_close(&f);
    return end(noun, verb, args->subject, st, op);
}
