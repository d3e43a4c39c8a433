/* The leader's decoded copy of what the controllers work with: objects as messages, found by UUID or walked
 * by kind. It follows the store by a watch; what is read here may lag by a turn of the loop, which is
 * harmless because every write checks the revision that it was decided on (edit.h). A follower's world is
 * empty.
 */
#ifndef HF_CONTROL_WORLD_H
#define HF_CONTROL_WORLD_H

#include "control/control.h"
#include "control/kinds.h"

struct hf_world;

struct hf_world_object {
    struct hf_uuid uuid;
    uint32_t kind;
    uint64_t revision; /* that `message` was decoded at */
    ProtobufCMessage *message;
    size_t place; /* index within its kind */
    /* For the controllers: */
    bool dirty;     /* to be looked at in the next pass */
    bool listed;    /* is in a list that is being made; false outside of that */
    bool busy;      /* an edit of it is under way: look again when that has ended */
    int64_t due_ms; /* on the loop's clock: becomes dirty then; 0: never */
    void *memory;   /* of the kind's controller; freed by free_memory with the object */
    void (*free_memory)(void *memory);
};

/* before: the message until now (NULL: new); o->message is NULL when the object was deleted. */
typedef void (*hf_world_cb)(void *arg, struct hf_world_object *o, const ProtobufCMessage *before);

struct hf_world *hf_world_create(struct hf_control *c, hf_world_cb changed, void *arg);
void hf_world_free(struct hf_world *w);

/* Takes in the whole store and follows it from there / forgets everything. */
void hf_world_load(struct hf_world *w);
void hf_world_clear(struct hf_world *w);
/* Grows with every load and clear: what was remembered under an older one is void. */
uint64_t hf_world_generation(const struct hf_world *w);

/* Takes in the object as the store has it now, ahead of the watch. */
void hf_world_refresh(struct hf_world *w, uint32_t kind, const struct hf_uuid *uuid);

struct hf_world_object *hf_world_find(const struct hf_world *w, uint32_t kind, const char *uuid_text);
struct hf_world_object *hf_world_find_uuid(const struct hf_world *w, uint32_t kind,
                                           const struct hf_uuid *uuid);
size_t hf_world_count(const struct hf_world *w, uint32_t kind);
struct hf_world_object *hf_world_at(const struct hf_world *w, uint32_t kind, size_t i);
/* The message, or NULL. */
void *hf_world_message(const struct hf_world *w, uint32_t kind, const char *uuid_text);

/* HF_WORLD_GET(w, HOST, Host, uuid): the Host or NULL. HF_WORLD_AT(w, HOST, Host, i): the i-th. */
#define HF_WORLD_GET(w, KIND, Type, uuid)                                                                    \
    ((Holdfast__V1__##Type *)hf_world_message(w, HOLDFAST__V1__KIND__##KIND, uuid))
#define HF_WORLD_AT(w, KIND, Type, i)                                                                        \
    ((Holdfast__V1__##Type *)(void *)hf_world_at(w, HOLDFAST__V1__KIND__##KIND, i)->message)

#endif
