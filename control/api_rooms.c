#include "control/api_rooms.h"

#include "base/assert.h"

static bool may_enter(const struct hf_rooms *r, const struct hf_room_guest *g)
{
    return r->inside == 0 || (g->room == r->open && g->room != HF_ROOM_SINGLE);
}

static void admit(struct hf_rooms *r)
{
    while (r->first != NULL && may_enter(r, r->first)) {
        struct hf_room_guest *g = r->first;
        r->first = g->next;
        if (r->first == NULL)
            r->last = NULL;
        g->next = NULL;
        r->open = g->room;
        r->inside++;
        g->entered(g);
    }
}

void hf_rooms_enter(struct hf_rooms *r, struct hf_room_guest *g)
{
    g->next = NULL;
    if (r->last != NULL)
        r->last->next = g;
    else
        r->first = g;
    r->last = g;
    admit(r);
}

void hf_rooms_leave(struct hf_rooms *r)
{
    HF_ASSERT(r->inside > 0);
    r->inside--;
    admit(r);
}
