/* Two storages and their sessions: what a host that lost one storage may still do, and whose silence proves what.
 *
 * Host 1 keeps a lease on storage A and one on B and runs instances that use A, B or both; host 2 takes over. Losing a
 * lease kills what needs it and closes that storage; the log grants a new session for it once nothing that needs it
 * is left. Orders and placements carry the sessions they were made in. Untimed: silence on a storage proves
 * once its lease is lost and T has passed, by when the keeper has killed or the watchdog has reset (lease_time.pml).
 * Whatever was ever sent or observed may arrive never, late, many times.
 *
 * Parameters (-D)
 *   USES0 USES1        what the two instances use: 1 is A, 2 is B, 3 is both
 *   LATEST_SESSION     evidence counts when it is of the latest session, whichever the placement names
 *   RUNS SESSIONS      bounds; one epoch: host 1 ends it, when it is fenced, by killing all
 * Faults: leases are lost and come back, kills take time, guests end, the network may be cut between any two steps
 */
#include "switches.h"

#ifndef USES0
#define USES0 1
#endif
#ifndef USES1
#define USES1 3
#endif
#ifndef RUNS
#define RUNS 3
#endif
#ifndef SESSIONS
#define SESSIONS 2
#endif
#define A 0
#define B 1

/* The log. */
byte uses[2];
byte placed[2] = 1;          /* per instance: number of its present run */
byte at_host[2] = 1;
byte session_a[2] = 1;       /* of host 1, carried by a placement there */
byte session_b[2] = 1;
byte granted[2] = 1;         /* per storage: session of host 1 */
byte proven[2];              /* per storage: session up to which there is evidence */
bool fenced;                 /* the epoch of host 1 */
/* Host 1. */
bool lease[2] = true;        /* fresh */
bool closed[2];              /* the session is over, as the keeper knows */
byte session[2] = 1;         /* that the keeper knows */
byte tomb[2];                /* per instance */
byte copy1[2];               /* per instance: the run that executes on host 1 */
bool copy2[2];               /* ... on host 2 */
bool ended;                  /* the epoch: all killed, nothing starts */
/* What was observed, and may be told later. */
byte said_closed[2];         /* per storage: sessions that the record has called closed and killed */

#define needs(i, s)    ((uses[i] >> (s)) & 1)
#define left(s)        ((copy1[0] != 0 && needs(0, s)) || (copy1[1] != 0 && needs(1, s)))
#define usable(i, s)   (!needs(i, s) || (lease[s] && !closed[s]))
#define lost(s)        (!lease[s] || closed[s])
/* An instance on both dies with either. */
#define doomed(i, s)   (needs(i, s) && (R10_ANY_LEASE_KILLS || uses[i] != 3 || lost(1 - s)))
#define check_copies   assert(!(copy1[0] != 0 && copy2[0]) && !(copy1[1] != 0 && copy2[1]))

/* Guard: does evidence cover a storage of this instance, in the session that its placement names? */
#ifdef LATEST_SESSION
#define proves(i, s)   (proven[s] >= granted[s])
#else
#define proves(i, s)   (proven[s] >= ((s) == A -> session_a[i] : session_b[i]))
#endif
#define covered(i)     ((proves(i, A) && (needs(i, A) || !R5_COVERS_A_STORAGE)) || \
                        (proves(i, B) && (needs(i, B) || !R5_COVERS_A_STORAGE)))
/* The order of the present placement fits what the keeper knows. */
#define sessions_fit(i) (!R10_ORDER_NAMES_SESSION || ((!needs(i, A) || session_a[i] == session[A]) && \
                                                      (!needs(i, B) || session_b[i] == session[B])))

proctype instance(byte i)
{
    do
    /* host 1 takes the order of the present placement, or a late one of an earlier run */
    :: atomic { at_host[i] == 1 && copy1[i] == 0 && !ended && placed[i] > tomb[i] && usable(i, A) && usable(i, B) &&
                sessions_fit(i) ->
        event(started_on_host_1); copy1[i] = placed[i]; check_copies
    }
    :: atomic { at_host[i] == 2 && copy1[i] == 0 && !ended && placed[i] > tomb[i] + 1 && usable(i, A) &&
                usable(i, B) && sessions_fit(i) ->
        copy1[i] = placed[i] - 1; check_copies
    }
    /* it ends there, and the keeper promises so */
    :: atomic { copy1[i] != 0 -> copy1[i] = 0 }
    :: atomic { at_host[i] == 1 && copy1[i] == 0 && placed[i] < RUNS && tomb[i] < placed[i] ->
        event(leaves_as_stopped); tomb[i] = placed[i]; placed[i]++; at_host[i] = 2; copy2[i] = true; check_copies
    }
    /* it leaves a fenced host on evidence */
    :: atomic { at_host[i] == 1 && fenced && covered(i) && placed[i] < RUNS ->
        event(leaves_on_evidence); placed[i]++; at_host[i] = 2; copy2[i] = true; check_copies
    }
    /* it ends on host 2 and is placed on host 1 again, in the sessions of now */
    :: atomic { at_host[i] == 2 && copy2[i] && !fenced && placed[i] < RUNS ->
        copy2[i] = false; placed[i]++; at_host[i] = 1;
        event(placed_back); session_a[i] = granted[A]; session_b[i] = granted[B]
    }
    od
}

/* One storage: its lease at host 1, what the keeper does about it, what others see of it. */
proctype storage(byte s)
{
    do
    /* lost: L+K have passed; it may be renewed again, which opens nothing */
    :: atomic { lease[s] -> lease[s] = false; closed[s] = R10_CLOSE }
    :: atomic { !lease[s] -> lease[s] = true; closed[s] = closed[s] && R10_SESSION }
    /* what needs it is killed; that may take its time, or never come: then the host is reset */
    :: atomic { lost(s) && copy1[0] != 0 && doomed(0, s) -> copy1[0] = 0 }
    :: atomic { lost(s) && copy1[1] != 0 && doomed(1, s) -> copy1[1] = 0 }
    :: atomic { lost(s) && left(s) && R11_EVERY_LEASE ->
        event(reset); copy1[0] = 0; copy1[1] = 0; ended = true; lease[A] = false; lease[B] = false
    }
    /* the record says "closed, killed" of this session; true for ever, of this session */
    :: atomic { closed[s] && !left(s) && said_closed[s] < session[s] -> said_closed[s] = session[s] }
    /* the log grants a new session */
    :: atomic { !fenced && granted[s] == session[s] && said_closed[s] == session[s] && granted[s] < SESSIONS ->
        event(new_session); granted[s]++
    }
    :: atomic { granted[s] > session[s] && !ended -> 
        session[s] = granted[s]; closed[s] = false;
        lease[s] = lease[s] || R10_AGES_FROM_GRANT              /* it is lost L+K later, also if it is never renewed */
    }
    /* evidence is committed: silence (once T has passed), or the host's own word */
    :: atomic { fenced && !lease[s] && (!left(s) || !R11_EVERY_LEASE || !R10_ANY_LEASE_KILLS) && proven[s] < session[s] ->
        event(evidence_by_silence); proven[s] = session[s]
    }
    :: atomic { fenced && said_closed[s] > 0 && proven[s] < (R7_EVIDENCE_NAMES_SESSION -> said_closed[s] : granted[s]) ->
        event(evidence_by_word); proven[s] = (R7_EVIDENCE_NAMES_SESSION -> said_closed[s] : granted[s])
    }
    od
}

proctype leader()
{
    do
    :: atomic { !fenced -> fenced = true }
    /* host 1 hears of it: kills all, and starts nothing any more in this epoch */
    :: atomic { fenced && !ended -> copy1[0] = 0; copy1[1] = 0; ended = true; lease[A] = false; lease[B] = false }
    od
}

init {
    d_step {
        uses[0] = USES0; uses[1] = USES1
    }
    atomic {
        run instance(0); run instance(1); run storage(A); run storage(B); run leader()
    }
}
