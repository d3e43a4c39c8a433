/* Live migration of one run from host 0 to host 1, with fencing at any moment; a third host may take over.
 *
 * Untimed. A host may lose its lease at any time; its keeper then kills all that it knows of, after which there may be
 * evidence. The hand-over is libvirt's: the source pauses, sends the state, the target goes on, the source ends.
 */
#include "switches.h"

mtype = { gone, executes, paused };             /* source QEMU */
mtype = { none, incoming, resumed };            /* target QEMU */

/* The log. */
byte placed_at = 0;
bool intent;                    /* the migration with both ends is in the log and not over */
bool over;                      /* it was completed or called off */
bool asked;                     /* libvirt was told to migrate */
bool fenced[2], proven[2];
bool stopped;                   /* the source has promised that the run is over */
bool copy2;                     /* a new run on a third host */
/* The hosts. */
bool lease[2] = true;
mtype source = executes;
mtype target = none;
bool order;                     /* under way to the source's libvirt */
bool handed_over;               /* the message that lets the target go on was sent */
bool target_tomb;               /* the target's keeper will never let this run live (again) */

#define check_copies     assert((source == executes) + (target == resumed) + copy2 <= 1)
#define proof(h)         (fenced[h] && proven[h])
/* Guard: may the placement be left for a new run? */
#define may_leave        (stopped || (proof(placed_at) && (!intent || !R6_BOTH_ENDS || proof(1 - placed_at))))

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
    /* completion: the target reports that the run executes there */
    :: atomic { asked && !over && target == resumed && !copy2 && !fenced[1] -> placed_at = 1; over = true }
    :: atomic { over && intent && source == gone -> event(migrated); intent = false }
    /* called off: the run stays at the source */
    :: atomic { asked && !over && intent && source == executes && (target_tomb || !R6_CANCEL_NEEDS_TOMB) ->
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
        :: !R2_GATE || (lease[1] && !target_tomb) -> target = incoming
        :: true
        fi
    }
    :: atomic { source == executes && target == incoming && !handed_over -> source = paused; handed_over = true }
    /* the target goes on only through its keeper's gate */
    :: atomic { handed_over && target == incoming ->
        if
        :: !R2_GATE || (lease[1] && !target_tomb) -> event(handed_over); target = resumed; check_copies
        :: R2_GATE && !(lease[1] && !target_tomb) -> event(gate_refuses_target); target = none
        fi
    }
    :: atomic { source == paused && target == resumed -> source = gone }
    :: atomic { source == paused && lease[0] && ((target == none && target_tomb) || !R6_SOURCE_WAITS_FOR_TOMB) ->
        event(source_goes_on); source = executes; check_copies
    }
    od
}

proctype hosts()
{
end:
    do
    :: atomic { target == incoming -> target = none }                                    /* target QEMU dies */
    :: atomic { source == executes && !handed_over -> source = gone }                    /* the guest ends */
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
    :: atomic { !lease[1] && target == incoming && R2_GATE -> target = none }
    /* the source promises that the run is over: not when it was handed over, nor with a migration open */
    :: atomic { source == gone && lease[0] && placed_at == 0 && !stopped &&
                ((!handed_over && !intent && !order && target == none) || !R4_HANDED_OVER_IS_NOT_STOPPED) ->
        event(stopped); stopped = true
    }
    od
}

init {
    atomic {
        run leader(); run libvirt(); run hosts()
    }
}
