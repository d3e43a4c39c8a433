/* Calls to the API of a whole control plane in one thread (cloud_testing.h), without a wire. */
#ifndef HF_CONTROL_API_TESTING_H
#define HF_CONTROL_API_TESTING_H

#include "base/assert.h"
#include "control/api.h"
#include "control/cloud_testing.h"
#include "control/controllers.h"

struct api_world {
    struct cloud *cloud;
    struct hf_api *apis[MEMBERS];
};

/* --- what holdfastd plugs in --- */

static inline void each_member(void *arg, void (*cb)(void *cb_arg, uint64_t id, const char *raft_address),
                               void *cb_arg)
{
    (void)arg;
    for (uint64_t id = 1; id <= MEMBERS; id++)
        cb(cb_arg, id, "raft");
}

static inline const char *member_address(void *arg, uint64_t id)
{
    (void)arg;
    static const char *const addresses[] = {"", "api-1", "api-2", "api-3"};
    return id <= MEMBERS ? addresses[id] : NULL;
}

static inline void change_member(void (*done)(void *done_arg, hf_status st), void *done_arg)
{
    hf_status st = hf_error(HF_UNIMPLEMENTED, "the members of a test do not change");
    done(done_arg, st);
    hf_status_drop(st);
}

static inline void add_member(void *arg, uint64_t id, const char *raft_address,
                              void (*done)(void *done_arg, hf_status st), void *done_arg)
{
    (void)arg;
    (void)id;
    (void)raft_address;
    change_member(done, done_arg);
}

static inline void remove_member(void *arg, uint64_t id, void (*done)(void *done_arg, hf_status st),
                                 void *done_arg)
{
    (void)arg;
    (void)id;
    change_member(done, done_arg);
}

static const struct hf_api_members_ops test_members = {each_member, member_address, add_member,
                                                       remove_member};
static inline struct api_world *world_create(unsigned n_hosts)
{
    struct api_world *w = HF_NEW(struct api_world);
    w->cloud = cloud_ready(n_hosts);
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct hf_api_plugs plugs = {&test_members, NULL, &hf_hosts_ops, &w->cloud->controls[i]};
        w->apis[i] = hf_api_create(&w->cloud->controls[i], &plugs);
    }
    return w;
}

static inline void world_free(struct api_world *w)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        hf_api_free(w->apis[i]);
    cloud_free(w->cloud);
    free(w);
}

/* --- calls --- */

/* What a caller has got so far. */
struct answer {
    struct hf_api_call *call; /* NULL: it has ended */
    const ProtobufCMessageDescriptor *type;
    bool full; /* the caller takes no more: every message fills its queue */
    unsigned messages;
    ProtobufCMessage *last;
    void (*on_message)(struct answer *a, const ProtobufCMessage *m);
    void *arg;
    bool ended;
    enum hf_code code;
    char sentence[512];
    char leader[64];
};

static inline void answer_done(struct answer *a)
{
    if (a->last != NULL)
        protobuf_c_message_free_unpacked(a->last, NULL);
    a->last = NULL;
}

static inline bool take_bytes(void *arg, struct hf_bytes *b)
{
    struct answer *a = arg;
    answer_done(a);
    a->last = protobuf_c_message_unpack(a->type, NULL, b->len, b->data);
    assert_non_null(a->last);
    a->messages++;
    if (a->on_message != NULL)
        a->on_message(a, a->last);
    return !a->full;
}

static inline bool take_message(void *arg, const ProtobufCMessage *m)
{
    struct hf_bytes *b = hf_bytes_new(protobuf_c_message_get_packed_size(m));
    protobuf_c_message_pack(m, b->data);
    bool room = take_bytes(arg, b);
    hf_bytes_unref(b);
    return room;
}

static inline void take_trailer(void *arg, const char *key, const char *value)
{
    struct answer *a = arg;
    assert_string_equal(key, HF_API_LEADER_TRAILER);
    snprintf(a->leader, sizeof a->leader, "%s", value);
}

static inline void take_end(void *arg, hf_status take_st)
{
    struct answer *a = arg;
    assert_false(a->ended);
    a->ended = true;
    a->call = NULL;
    a->code = hf_status_code(take_st);
    snprintf(a->sentence, sizeof a->sentence, "%s", hf_status_message(take_st));
    hf_status_drop(take_st);
}

static const struct hf_api_sink test_sink = {take_message, take_bytes, take_trailer, take_end};

/* Starts a call at one member with a copy of the request. `a` is zero but for what the test sets. */
static inline void call_start(struct api_world *w, unsigned member, const char *service, const char *method,
                              const ProtobufCMessage *request, int64_t deadline_ms, struct answer *a)
{
    char full[64];
    snprintf(full, sizeof full, "holdfast.v1.%sService", service);
    const struct hf_api_method *m = hf_api_method_find(full, method);
    assert_non_null(m);
    const ProtobufCMethodDescriptor *d =
        protobuf_c_service_descriptor_get_method_by_name(hf_api_method_service(m), method);
    assert_ptr_equal(d->input, request->descriptor);
    a->type = d->output;
    uint8_t *copy = hf_alloc(protobuf_c_message_get_packed_size(request) + 1);
    size_t len = protobuf_c_message_pack(request, copy);
    ProtobufCMessage *own = protobuf_c_message_unpack(d->input, NULL, len, copy);
    free(copy);
    struct hf_api_call *call = hf_api_call_start(w->apis[member], m, own, deadline_ms, &test_sink, a);
    if (call != NULL)
        a->call = call;
}

static inline void call_finish(struct api_world *w, struct answer *a)
{
    for (int ms = 0; ms < 60000 && !a->ended; ms += 10)
        cloud_run(w->cloud, 10);
    assert_true(a->ended);
}

/* Calls the leader and waits for the end; the answer's message, if any, is in a->last. */
static inline enum hf_code call_leader(struct api_world *w, const char *service, const char *method,
                                       const ProtobufCMessage *request, struct answer *a)
{
    *a = (struct answer){0};
    call_start(w, w->cloud->leader, service, method, request, -1, a);
    call_finish(w, a);
    return a->code;
}

static inline void assert_says(const struct answer *a, enum hf_code code, const char *words)
{
    if (a->code != code || strstr(a->sentence, words) == NULL)
        fail_msg("code %d: %s", (int)a->code, a->sentence);
}

static inline const char *uuid_of(const struct answer *a)
{
    return hf_message_meta(a->last)->uuid;
}

/* Waits for the operation in `started` through the API; its state at the end. */
static inline Holdfast__V1__Operation *wait_operation(struct api_world *w, struct answer *started,
                                                      struct answer *a)
{
    Holdfast__V1__WaitOperationRequest r = HOLDFAST__V1__WAIT_OPERATION_REQUEST__INIT;
    assert_int_equal(started->code, HF_OK);
    r.uuid = (char *)uuid_of(started);
    assert_int_equal(call_leader(w, "Operation", "WaitOperation", &r.base, a), HF_OK);
    return (Holdfast__V1__Operation *)a->last;
}

#endif
