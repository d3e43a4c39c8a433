/* Inside the API: one call under way and what its handler does with it; a handler ends its call exactly once,
 * with one of the hf_call_ functions, at once or later. A cancelled call is ended like any other: its answer
 * goes nowhere.
 */
#ifndef HF_CONTROL_API_CALL_H
#define HF_CONTROL_API_CALL_H

#include "control/api.h"
#include "control/api_rooms.h"
#include "control/command.h"
#include "control/kinds.h"

struct hf_kind_rules;

#define HF_API_CALLS_MAX 65536 /* under way at one node; more are refused with EXHAUSTED */

struct hf_api {
    struct hf_control *control;
    struct hf_api_plugs plugs;
    struct hf_rooms rooms;
    size_t calls;             /* under way */
    bool shut;                /* see hf_api_shut() */
    char leader_address[256]; /* room for hf_api_address_of() */
};

struct hf_api_method {
    const ProtobufCServiceDescriptor *service;
    const char *name;
    void (*handle)(struct hf_api_call *call);
    const struct hf_kind_rules *rules; /* of the object it is about; NULL where it is about none */
};

struct hf_api_call {
    struct hf_api *api;
    const struct hf_api_method *method;
    const struct hf_kind_rules *rules; /* the method's */
    ProtobufCMessage *request;
    const struct hf_api_sink *sink;
    void *sink_arg;      /* NULL sink: cancelled */
    int64_t deadline_ms; /* on env's clock; INT64_MAX: none */
    bool starting;       /* inside hf_api_call_start */
    bool ended;
    struct hf_uuid made[3]; /* UUIDs that this call gives to new objects, the same in every attempt */
    unsigned n_made;

    hf_command_build build; /* of its write */
    /* The write's fate is known, or with leadership lost for others to find out; the call still lives. May be
     * NULL. */
    void (*on_written)(struct hf_api_call *call);
    struct hf_room_guest guest;

    /* For handlers that wait or stream: state of their own. */
    void *data;
    void (*on_cancel)(struct hf_api_call *call); /* ends the call: hf_call_end */
    void (*on_writable)(struct hf_api_call *call);
};

static inline struct hf_env *hf_call_env(const struct hf_api_call *c)
{
    return c->api->control->env;
}
static inline const struct hf_store *hf_call_store(const struct hf_api_call *c)
{
    return hf_control_store(c->api->control);
}

/* --- answers: the call is gone afterwards --- */
void hf_call_end(struct hf_api_call *c, hf_status take_st);
void hf_call_answer(struct hf_api_call *c, const ProtobufCMessage *m);
/* Serialized object of the store at a revision, with the fields that its kind fills in on reads. */
void hf_call_answer_object(struct hf_api_call *c, uint32_t kind, struct hf_bytes *bytes, uint64_t revision);

/* --- parts of an answer --- */
bool hf_call_send_bytes(struct hf_api_call *c, struct hf_bytes *b);

/* Runs the write of this call in a room; build gets the call as its arg. The answer is the transaction's
 * answer object, or Empty for methods that return Empty. An error is wrapped by build itself, see
 * hf_call_context(). */
void hf_call_write(struct hf_api_call *c, enum hf_room room, hf_command_build build);

/* Runs `then` when a read may be answered: at once when stale, else after a barrier. */
void hf_call_read(struct hf_api_call *c, bool stale, void (*then)(struct hf_api_call *c));

/* UUID number i (below 3) that this call gives away. */
const struct hf_uuid *hf_call_uuid(struct hf_api_call *c, unsigned i);

/* API address of a member: from the command line, else as stored; NULL when unknown. Valid until the next
 * call of it. */
const char *hf_api_address_of(struct hf_api *api, uint64_t id);

#endif
