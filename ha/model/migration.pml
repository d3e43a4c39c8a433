/* Live migration of one run from host 0 to host 1, with fencing at any moment; a third host may take over.
 *
 * Untimed. A host may lose its lease at any time; its keeper then kills all that it knows of, after which there may be
 * evidence. The hand-over is libvirt's: the source pauses and sends the state; the target has it whole, and goes on at
 * once or (R6_TARGET_WAITS_FOR_WORD) waits; the source ends, and its keeper's tombstone is its word that it has.
 */
#include "switches.h"

mtype = { gone, executes, paused };             /* source QEMU */
mtype = { none, incoming, arrived, resumed };   /* target QEMU */

/* The log. */
byte placed_at = 0;
bool intent;                    /* the migration with both ends is in the log and not over */
bool over;                      /* it was completed or called off */
bool completed;
bool asked;                     /* libvirt was told to migrate */
bool fenced[2], proven[2];
bool stopped;                   /* the source has promised that the run is over */
bool copy2;                     /* a new run on a third host */
/* The hosts. */
bool lease[2] = true;
mtype source = executes;
mtype target = none;
bool order;                     /* under way to the source's libvirt */
bool sent;                      /* the message that makes the target whole was sent */
bool word;                      /* libvirt has ended the source well, and its keeper has tombstoned the run */
bool target_tomb;               /* the target's keeper will never let this run live (again) */

#define check_copies     assert((source == executes) + (target == resumed) + copy2 <= 1)
#define proof(h)         (fenced[h] && proven[h])
#define handed_over      (R6_TARGET_WAITS_FOR_WORD -> word : target == resumed)
/* Guard: may the placement be left for a new run? */
#define may_leave        (stopped || (proof(placed_at) && (!intent || !R6_BOTH_ENDS || proof(1 - placed_at))))
#define gate_opens       (!R2_GATE || (lease[1] && !target_tomb))

proctype leader()
{
end:
    do
    :: atomic { !asked && !stopped && !fenced[0] && !fenced[1] && !copy2 ->
        asked = true; order = true; intent = R6_INTENT_FIRST
    }
    :: atomic { !fenced[0] && !copy2 -> fenced[0] = true }
    :: atomic { !fenced[1] && !copy2 -> fenced[1] = true }
    :: atomic { fenced[0] && !lease[0] && !proven[0] -> proven[0] = true }
    :: atomic { fenced[1] && !lease[1] && !proven[1] -> proven[1] = true }
    :: atomic { may_leave && !copy2 -> event(take_over); copy2 = true; check_copies }
    :: atomic { asked && !over && !stopped && !copy2 && handed_over && (R6_TARGET_WAITS_FOR_WORD || !fenced[1]) ->
        placed_at = 1; over = true; completed = true
    }
    :: atomic { completed && intent && (word || source == gone) -> event(migrated); intent = false }
    /* called off: the run is the source's, if it still is */
    :: atomic { asked && !over && intent && (target_tomb || (!R6_CANCEL_NEEDS_TOMB && source == executes)) ->
        event(called_off); intent = false; over = true
    }
    od
}

proctype libvirt()
{
end:
    do
    :: atomic { order && source == executes && lease[0] ->
        order = false;
        if
        :: gate_opens -> target = incoming
        :: true
        fi
    }
    :: atomic { source == executes && target == incoming && !sent -> source = paused; sent = true }
    /* the target goes on only through its keeper */
    :: atomic { sent && target == incoming ->
        if
        :: R6_TARGET_WAITS_FOR_WORD && gate_opens -> event(arrived); target = arrived
        :: !R6_TARGET_WAITS_FOR_WORD && gate_opens -> event(handed_over); target = resumed; check_copies
        :: !gate_opens -> event(gate_refuses_target); target = none
        fi
    }
    :: atomic { completed && target == arrived ->
        if
        :: gate_opens -> event(goes_on); target = resumed; check_copies
        :: !gate_opens -> event(keeper_refuses_target); target = none
        fi
    }
    :: atomic { source == paused && (target == resumed || target == arrived) -> source = gone; word = lease[0] }
    /* libvirt by itself, when the target's answer is bad or lost; or the host's daemon, when it was called off */
    :: atomic { source == paused && lease[0] && ((target == none && target_tomb) || !R6_SOURCE_WAITS_FOR_TOMB) ->
        event(source_goes_on); source = executes; check_copies
    }
    od
}

proctype hosts()
{
end:
    do
    :: atomic { target == incoming || target == arrived -> target = none }               /* target QEMU dies */
    :: atomic { source == executes && !sent -> source = gone }                           /* the guest ends */
    :: atomic { asked && target == none && !target_tomb -> target_tomb = true }
    :: atomic { lease[0] -> lease[0] = false; source = gone }
    /* the target's keeper kills what executes; an incoming QEMU only if it was told of it */
    :: atomic { lease[1] ->
        lease[1] = false;
        if
        :: target == resumed -> target = none
        :: else
        fi
    }
    :: atomic { !lease[1] && (target == incoming || target == arrived) && R2_GATE -> target = none }
    /* the source promises that the run is over: with a migration open nobody believes it, and when it was handed over
     * only once the target's copy is */
    :: atomic { source == gone && lease[0] && placed_at == 0 && !stopped &&
                ((!intent && !order && target == none && (!sent || (over && target_tomb))) ||
                 !R4_HANDED_OVER_IS_NOT_STOPPED) ->
        event(stopped); stopped = true
    }
    od
}

init {
    atomic {
        run leader(); run libvirt(); run hosts()
    }
}
