/* RBD: fencing by Ceph's blocklist, the return of the fenced host, and removal of its entries.
 *
 * Host 1 runs run 1 in epoch 1; run 2 starts elsewhere. Host 1 may come back in epoch 2, get run 3, and be fenced again.
 * Always checked: no write of an old run lands after a new one has started. With -DRUNNING also: no two copies
 * execute. Untimed: once the keeper's lease has lapsed it has killed, or the watchdog has reset the host.
 */
#include "switches.h"

mtype = { none, connected, late };              /* the old copy's QEMU: its client was known when fenced, or came later */

/* The log. */
byte epoch = 1;                 /* granted to host 1 */
byte fenced;                    /* its epochs up to this one */
bool placed_here = true;        /* the present run is placed on host 1 */
bool moved;                     /* run 2 executes elsewhere */
bool returned;                  /* run 3 is placed on host 1 */
/* The cluster. */
bool listed;                    /* IP:0/0 of every address */
bool client_listed;             /* only the client that was known */
bool add_sent, add_confirmed;
byte removals;                  /* removals under way: they land some time */
bool removed;                   /* one has been confirmed */
/* Host 1. */
mtype qemu = connected;
bool start_pending = true;      /* libvirt may still start a QEMU */
bool lease = true, paused;

#define blocked   (listed || (client_listed && qemu == connected))
#define executes  (qemu != none && !paused)
#ifdef RUNNING
#define check_running assert(!(moved && executes))
#else
#define check_running skip
#endif

proctype leader()
{
end:
    do
    :: atomic { fenced < epoch && placed_here -> fenced = epoch; add_sent = false; add_confirmed = false }
    :: atomic { fenced == epoch && placed_here && !add_sent -> add_sent = true }
    :: atomic { add_sent && !add_confirmed ->
        event(osdmap_confirmed); add_confirmed = true; listed = R15_EVERY_CLIENT; client_listed = !R15_EVERY_CLIENT
    }
    :: atomic { placed_here && fenced == epoch && add_sent && (add_confirmed || !R15_CONFIRMED) &&
                (!lease || !R15_STRICT) ->
        event(take_over); placed_here = false; moved = true; check_running
    }
    /* the entry is no longer renewed */
    :: atomic { !R15_ENTRIES_STAY && listed && moved -> listed = false }
    /* the host is back in the next epoch, clean; removal is logged and issued */
    :: atomic { moved && epoch == 2 && fenced == 1 && !returned && removals == 0 && !removed ->
        event(removal); removals = (R15_ONE_REMOVAL -> 1 : 2)
    }
    /* run 2 is stopped and run 3 placed on host 1 */
    :: atomic { moved && epoch == 2 && fenced == 1 && !returned && (removed || !R15_REMOVED_BEFORE_START) ->
        moved = false; returned = true; placed_here = true; start_pending = true; add_sent = false;
        event(returned); add_confirmed = false
    }
    od
}

proctype cluster()
{
end:
    do
    :: atomic { removals > 0 -> removals--; listed = false; client_listed = false; removed = true }
    /* a write of host 1 lands */
    :: atomic { executes && !blocked -> assert(!moved) }
    od
}

proctype host()
{
end:
    do
    :: atomic { start_pending && !paused && qemu == none ->
        start_pending = false;
        if
        :: (lease && placed_here) || (lease && epoch == 1) || !R2_GATE ->
            event(late_start); qemu = late; check_running
        :: else
        fi
    }
    :: atomic { qemu != none && !paused -> qemu = none }                                     /* the guest ends */
    :: atomic { lease -> lease = false; qemu = none; paused = false }                        /* lapsed: killed or reset */
    :: atomic { !paused && lease -> paused = true }
    :: atomic { paused -> paused = false; check_running }
    :: atomic { epoch == 1 && fenced == 1 && moved && !paused ->
        event(next_epoch); qemu = none; start_pending = false; epoch = 2; lease = true
    }
    od
}

init {
    atomic {
        run leader(); run cluster(); run host()
    }
}
