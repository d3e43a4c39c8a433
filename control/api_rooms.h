/* The rooms of a house: commands that may add a reference (create, attach) and commands that need to see that
 * there is none (delete, detach). Those in one room run together; the other room waits until the first is
 * empty. So a cluster is never created in a zone whose deletion is already in the log, and the other way
 * round. A third room has place for one only: commands that take the first free address would all take the
 * same. Leader only, loop thread only; across a change of leaders the replica's readiness does the same.
 */
#ifndef HF_CONTROL_API_ROOMS_H
#define HF_CONTROL_API_ROOMS_H

#include <stdbool.h>
#include <stddef.h>

enum hf_room { HF_ROOM_ADD, HF_ROOM_REMOVE, HF_ROOM_SINGLE };

struct hf_room_guest {
    struct hf_room_guest *next; /* while it waits */
    enum hf_room room;
    void (*entered)(struct hf_room_guest *g);
};

struct hf_rooms {
    enum hf_room open; /* of the guests inside */
    size_t inside;
    struct hf_room_guest *first, *last; /* waiting, first come first served */
};

/* Calls g->entered, now or later. */
void hf_rooms_enter(struct hf_rooms *r, struct hf_room_guest *g);
/* One guest leaves; those that waited for it enter. */
void hf_rooms_leave(struct hf_rooms *r);

#endif
