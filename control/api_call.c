#include "control/api_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/api_rules.h"
#include "control/settings.h"

struct hf_api *hf_api_create(struct hf_control *c, const struct hf_api_plugs *plugs)
{
    struct hf_api *api = HF_NEW(struct hf_api);
    api->control = c;
    api->plugs = *plugs;
    return api;
}

const char *hf_api_address_of(struct hf_api *api, uint64_t id)
{
    const char *known = api->plugs.members->api_address(api->plugs.members_arg, id);
    if (known != NULL)
        return known;
    return hf_setting_node(hf_control_store(api->control), id, api->leader_address,
                           sizeof api->leader_address);
}

void hf_api_shut(struct hf_api *api)
{
    api->shut = true;
}

void hf_api_free(struct hf_api *api)
{
    HF_ASSERT(api->calls == 0);
    free(api);
}

/* --- life of a call --- */

static void call_free(struct hf_api_call *c)
{
    c->api->calls--;
    protobuf_c_message_free_unpacked(c->request, NULL);
    free(c);
}

struct hf_api_call *hf_api_call_start(struct hf_api *api, const struct hf_api_method *m,
                                      ProtobufCMessage *take_request, int64_t remaining_ms,
                                      const struct hf_api_sink *sink, void *arg)
{
    struct hf_api_call *c = HF_NEW(struct hf_api_call);
    c->api = api;
    c->method = m;
    c->rules = m->rules;
    c->request = take_request;
    c->sink = sink;
    c->sink_arg = arg;
    c->deadline_ms = remaining_ms < 0 ? INT64_MAX : hf_env_now_ms(api->control->env) + remaining_ms;
    api->calls++;

    c->starting = true;
    if (api->calls > HF_API_CALLS_MAX)
        hf_call_end(c, hf_error(HF_EXHAUSTED, "this control node has %d calls under way; try again later",
                                HF_API_CALLS_MAX));
    else
        m->handle(c);
    c->starting = false;
    if (!c->ended)
        return c;
    call_free(c);
    return NULL;
}

void hf_api_call_cancel(struct hf_api_call *c)
{
    HF_ASSERT(!c->ended && c->sink != NULL);
    c->sink = NULL;
    if (c->on_cancel != NULL)
        c->on_cancel(c);
}

void hf_api_call_writable(struct hf_api_call *c)
{
    if (c->on_writable != NULL)
        c->on_writable(c);
}

void hf_call_end(struct hf_api_call *c, hf_status take_st)
{
    HF_ASSERT(!c->ended);
    c->ended = true;
    if (c->sink == NULL) {
        hf_status_drop(take_st);
    } else {
        if (hf_status_code(take_st) == HF_NOT_LEADER) {
            struct hf_replica_state state;
            hf_replica_state(c->api->control->replica, &state);
            const char *address = state.leader_id != 0 ? hf_api_address_of(c->api, state.leader_id) : NULL;
            if (address != NULL)
                c->sink->trailer(c->sink_arg, HF_API_LEADER_TRAILER, address);
        }
        c->sink->end(c->sink_arg, take_st);
    }
    if (!c->starting)
        call_free(c);
}

/* --- answers --- */

void hf_call_answer(struct hf_api_call *c, const ProtobufCMessage *m)
{
    if (c->sink != NULL)
        c->sink->message(c->sink_arg, m);
    hf_call_end(c, HF_STATUS_OK);
}

bool hf_call_send_bytes(struct hf_api_call *c, struct hf_bytes *b)
{
    return c->sink != NULL && c->sink->bytes(c->sink_arg, b);
}

void hf_call_answer_object(struct hf_api_call *c, uint32_t kind, struct hf_bytes *bytes, uint64_t revision)
{
    struct hf_bytes *b = hf_object_for_reader(hf_call_store(c), kind, bytes, revision);
    hf_call_send_bytes(c, b);
    hf_bytes_unref(b);
    hf_call_end(c, HF_STATUS_OK);
}

/* --- reads --- */

struct read {
    struct hf_api_call *call;
    void (*then)(struct hf_api_call *c);
};

static void read_barrier_cb(void *arg, hf_status st)
{
    struct read *r = arg;
    struct hf_api_call *c = r->call;
    void (*then)(struct hf_api_call *) = r->then;
    free(r);
    if (hf_ok(st) && c->sink != NULL)
        then(c);
    else
        hf_call_end(c, hf_status_copy(st));
}

void hf_call_read(struct hf_api_call *c, bool stale, void (*then)(struct hf_api_call *c))
{
    if (stale) {
        then(c);
        return;
    }
    struct read *r = HF_NEW(struct read);
    r->call = c;
    r->then = then;
    hf_replica_barrier(c->api->control->replica, read_barrier_cb, r);
}

/* --- writes --- */

/* FNV-1a over the method and the request: a request id that comes again with something else is noticed. */
static uint64_t hash_bytes(uint64_t h, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3ULL;
    return h;
}

static uint64_t request_hash(const struct hf_api_call *c)
{
    uint64_t h = hash_bytes(0xcbf29ce484222325ULL, c->method->name, strlen(c->method->name));
    size_t len = protobuf_c_message_get_packed_size(c->request);
    uint8_t *buf = hf_alloc(len + 1);
    protobuf_c_message_pack(c->request, buf);
    h = hash_bytes(h, buf, len);
    free(buf);
    return h;
}

/* Field 1 of every request that changes something. */
static const char *request_id(const ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *f = &request->descriptor->fields[0];
    HF_ASSERT(f->id == 1 && strcmp(f->name, "request_id") == 0);
    return *(char *const *)(const void *)((const char *)request + f->offset);
}

static const ProtobufCMessageDescriptor *output_of(const struct hf_api_method *m)
{
    const ProtobufCMethodDescriptor *d =
        protobuf_c_service_descriptor_get_method_by_name(m->service, m->name);
    return d->output;
}

static void write_done(void *arg, hf_status st, const struct hf_txn_result *res)
{
    struct hf_api_call *c = arg;
    struct hf_api *api = c->api;
    if (c->on_written != NULL)
        c->on_written(c);
    if (!hf_ok(st)) {
        hf_call_end(c, hf_status_copy(st));
    } else if (res != NULL && res->answer != NULL) {
        const struct hf_kind *k = hf_kind_of_message(output_of(c->method));
        HF_ASSERT(k != NULL);
        hf_call_answer_object(c, k->kind, res->answer, res->revision);
    } else {
        Holdfast__V1__Empty empty = HOLDFAST__V1__EMPTY__INIT;
        HF_ASSERT(output_of(c->method) == &holdfast__v1__empty__descriptor);
        hf_call_answer(c, &empty.base);
    }
    hf_rooms_leave(&api->rooms);
}

static void write_entered(struct hf_room_guest *g)
{
    struct hf_api_call *c = hf_container_of(g, struct hf_api_call, guest);
    struct hf_api *api = c->api;
    if (api->shut) {
        hf_call_end(c, hf_error(HF_UNAVAILABLE, "this control node is stopping"));
        hf_rooms_leave(&api->rooms);
        return;
    }
    const char *id = request_id(c->request);
    struct hf_command cmd = {.request_id = id,
                             .request_hash = id[0] != '\0' ? request_hash(c) : 0,
                             .build = c->build,
                             .done = write_done,
                             .arg = c};
    hf_command_run(c->api->control, &cmd);
}

void hf_call_write(struct hf_api_call *c, enum hf_room room, hf_command_build build)
{
    if (strlen(request_id(c->request)) > HF_REQUEST_ID_MAX) {
        hf_call_end(c, hf_error(HF_INVALID, "request_id: longer than %d characters", HF_REQUEST_ID_MAX));
        return;
    }
    c->build = build;
    c->guest.room = room;
    c->guest.entered = write_entered;
    hf_rooms_enter(&c->api->rooms, &c->guest);
}

const struct hf_uuid *hf_call_uuid(struct hf_api_call *c, unsigned i)
{
    HF_ASSERT(i < sizeof c->made / sizeof c->made[0]);
    while (c->n_made <= i)
        c->made[c->n_made++] = hf_uuid_new(hf_call_env(c));
    return &c->made[i];
}
