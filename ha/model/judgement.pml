/* Judgement: whom silence and a lost contact may fence. No host that keeps its lease is fenced, and no host for an outage of
 * the storage.
 *
 * Coarse time: in one step every host that can renews its record, and the observer samples. A fence is needless when
 * host 1 has renewed within the last LK steps, or could not only because the storage was out for everyone.
 */
#include "switches.h"

#define LK 3                    /* L+K, in steps */

bool alive = true, path = true, contact = true;     /* host 1 */
bool out;                                           /* the storage, for everyone */
byte lost;                                          /* steps since host 1 lost its lease by its own fault */
byte silence;                                       /* what the observer has counted */
bool fenced;

inline count(x) {
    if
    :: x < LK -> x++
    :: else
    fi
}

proctype time()
{
end:
    do
    :: atomic { !fenced ->
        if
        :: alive && path -> lost = 0
        :: else -> count(lost)
        fi;
        if
        :: alive && path && !out -> silence = 0             /* the record moves */
        :: out && R18_OWN_IO -> silence = 0                 /* the observer's own I/O fails */
        :: else -> count(silence)
        fi
    }
    od
}

proctype faults_happen()
{
end:
    do
    :: atomic { alive && !fenced -> alive = false; contact = false }
    :: atomic { !fenced -> path = !path }
    :: atomic { alive && !fenced -> contact = !contact }
    :: atomic { !fenced -> out = !out }
    od
}

proctype leader()
{
end:
    do
    :: atomic { !fenced && !contact && (silence >= LK || !R18_MOVING_RECORD_LIVES) ->
        fenced = true;
        event(fenced); assert(lost >= LK)
    }
    od
}

init {
    atomic {
        run time(); run faults_happen(); run leader()
    }
}
