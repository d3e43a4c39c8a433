/* Liveness: an instance that must never stop comes back when there is proof, after finitely many faults.
 *
 * Host 1 runs it; an observer and the leader move it to host 2, which is well and sees the storage. Checked with
 * weak fairness: whoever can go on for ever does so some time. Untimed; the observer counts silence in coarse steps: 2 is
 * L+K, 3 is T, by when the keeper has killed (lease_time.pml).
 *
 * Parameters (-D)
 *   FAULTS n      how many faults there may be
 *   ONLY_USER     host 1 is the only other user of the storage
 *   NO_WATCHDOG   host 1 has no hardware watchdog; PERSON: somebody switches it off and says so
 */
#include "switches.h"

#ifndef FAULTS
#define FAULTS 3
#endif

mtype = { none, running, frozen };

bool alive = true, contact = true, path = true;     /* host 1; its way to the storage */
mtype copy1 = running;
bool copy2;
bool closed;
byte faults;
byte late_writes = (R8_ONE_WRITE -> 1 : 2);         /* renewals of a dead host that still have to land */
byte silence;
bool fenced, marked, proven, stopped;

#define moves (alive && path)
/* "No other record moves": a wrong sign that the storage is out when there is no other. */
#ifdef ONLY_USER
#define storage_out (!R18_OWN_IO && !moves)
#else
#define storage_out false
#endif
#ifdef NO_WATCHDOG
#define silence_proves false
#else
#define silence_proves true
#endif

proctype faults_happen()
{
    do
    :: atomic { faults < FAULTS && alive -> faults++; alive = false; copy1 = none }     /* power cut */
    :: atomic { faults < FAULTS && contact -> faults++; contact = false }
    :: atomic { faults < FAULTS && copy1 != none -> faults++; copy1 = none }            /* the guest crashes */
    :: atomic { faults < FAULTS && path -> faults++; path = false }
    :: atomic { faults < FAULTS && !path -> faults++; path = true }
    od
}

proctype keeper()
{
    do
    :: atomic { alive && !path && copy1 == running -> copy1 = frozen }
    :: atomic { alive && !path && !closed -> copy1 = none; closed = true }              /* L+K */
    :: atomic { alive && path && copy1 == frozen && !closed && R10_THAW -> copy1 = running }
    :: atomic { alive && path && marked && !closed -> copy1 = none; closed = true }
    od
}

proctype observer()
{
    do
    :: atomic { !copy2 && moves && silence != 0 -> silence = 0 }
    :: atomic { !copy2 && !moves && late_writes > 0 ->
        silence = 0;
        late_writes = (R8_ONE_WRITE -> late_writes - 1 : late_writes)
    }
    :: atomic { !copy2 && !moves && silence < 3 && !(silence == 2 && copy1 == running) -> silence++ }
    od
}

proctype leader()
{
    do
    :: atomic { !copy2 && !stopped && contact && alive && copy1 == none -> stopped = true }         /* its stream */
    :: atomic { !copy2 && !stopped && moves && copy1 == none && R9_RECORD_LISTS_RUNS -> stopped = true } /* its record */
    :: atomic { !copy2 && !fenced && (!contact || !alive) && !moves && silence >= 2 && !storage_out -> fenced = true }
    :: atomic { fenced && !marked && R12_MARK -> marked = true }
    :: atomic { fenced && !proven && silence >= 3 && !storage_out && silence_proves -> proven = true }
    :: atomic { fenced && !proven && moves && closed -> proven = true }                 /* "closed, killed" */
#ifdef PERSON
    :: atomic { fenced && !proven -> alive = false; copy1 = none; proven = true }
#endif
    :: atomic { !copy2 && (stopped || proven) -> event(take_over); copy2 = true }
    od
}

/* Time goes on: nothing is a deadlock. */
proctype idle()
{
    bool turn;
    do
    :: turn = !turn
    od
}

init {
    atomic {
        run faults_happen(); run keeper(); run observer(); run leader(); run idle()
    }
}

ltl never_stop { <>[] (copy1 == running || copy2) }
