/* Time: the lease of one host, its keeper and watchdog, an observer that counts silence, and a take-over.
 *
 * Host 1 runs copy 1 of an instance on a file storage. An observer on another host reads host 1's record; when it
 * has proof, copy 2 starts there. Copy 1 must never execute while copy 2 does, and no write of copy 1 may land
 * after copy 2 has started. One tick is one unit of real time. There is no horizon: the state holds ages, which
 * stop growing where nothing depends on them any more, so the search covers runs of any length.
 *
 * Parameters (-D)
 *   L K W T F   in ticks: lease, kill deadline, worst watchdog, silence that proves, life of a guest's write
 *               (F undefined: guest writes are not looked at; 255: they live for ever)
 *   DRIFT n     the observer's clock gains one tick in n at most (0: none)
 *   WATCHDOG    0 none, 1 hardware, 2 software (does not count while the host is paused)
 * Faults (-D)
 *   PAUSE       the whole host stops at any instruction, for any time     STALL   the keeper alone does
 *   CRASH       the keeper dies and may be restarted                      SLOW_KILL, SLOW_FREEZE  they may need time
 *   LATE_START  an order to start copy 1 is under way from the beginning  RECONCILE  hostd wants back what was killed
 *   SLOW_READ   reads of the observer take time                           OUTAGE  the storage hangs for everyone
 *   NEW_EPOCH   the epoch has just begun: no renewal has succeeded in it yet
 *   LOST_ANSWER  a renewal ends in an error, though it has landed
 *   CLOSE_PETS  the death of the keeper pets the watchdog (what Linux does when the device is closed)
 * Who waits for F after the host's own word (-D)
 *   F_BY_KEEPER  the keeper, before it says it, and whoever starts copy 2, for a storage that was out; else the leader
 * Other properties (-D)
 *   NEEDLESS    no fence while the host could still save its lease (not with CRASH or DRIFT)
 *   GOOD_KILL   a host that lost nothing but its storage kills in time and is not reset
 *   ONLY_SILENCE  the leader does not take the host's own word
 *   OVERLAP n   do not forbid two running copies, but more than n ticks of them
 */
#include "switches.h"

#ifndef L
#define L 3
#endif
#ifndef K
#define K 1
#endif
#ifndef W
#define W 3
#endif
#ifndef T
#define T 6
#endif
#ifndef DRIFT
#define DRIFT 0
#endif
#ifndef WATCHDOG
#define WATCHDOG 1
#endif
#define LEASE_AGE_MAX (L + K + 1)

mtype = { none, running, frozen };              /* a copy */
mtype = { decide, thaw, pet, rest };            /* the keeper's round */
mtype = { idle, under_way, landed, answered };  /* a renewal */
mtype = { no_start, ordered, queued };          /* a start of copy 1: hostd has it, libvirt has it */
mtype = { look, reading, read, marking };       /* the observer */

/* host 1 */
mtype copy1 = running;
bool paused, up = true;
byte lease_age;               /* on the host's clock, since the lease was renewed */
byte pet_age;                 /* real time since the last pet */
bool closed;                  /* the epoch is over for the keeper; kept in /run, so it outlives the keeper */
mtype start = no_start;
#ifdef NEW_EPOCH
bool believed;                /* a renewal of this epoch has succeeded */
bool recorded;                /* one has landed: there is a record of this epoch */
#else
#define believed true
#define recorded true
#endif
/* the keeper */
bool alive = true, stalled;
mtype round = decide;
bool will_thaw, will_pet;
/* its renewal */
mtype write = idle;
byte write_age;               /* on the host's clock, since it began */
bool began;                   /* one renewal a tick is enough */
bool saw_mark;
/* the storage */
bool changed;                 /* the record has another value than the observer last read */
bool said_closed;             /* the record says: closed, killed */
bool marked;
bool out;
/* observer and leader */
mtype observer = look;
byte silence;                 /* since the end of the first read of this value, on its clock */
byte silence_at_start;        /* ... when the read under way began */
bool got_change;
bool mark_last;
byte since_gain;
bool copy2;
#ifdef F_BY_KEEPER
byte gone_age;                /* since the keeper has seen copy 1 gone */
byte answers_age;             /* how long the storage has answered without a break, as whoever starts copy 2 sees it */
#endif
/* a write of copy 1 under way */
bool guest_write;
byte guest_write_age;

#define host_runs    (up && !paused)
#define keeper_runs  (host_runs && alive && !stalled)
#define fresh        (lease_age < L && !closed && believed)
/* What keeps the watchdog from being petted when the lease is lost. */
#define remains      (copy1 != none || (R2_PERMIT_COUNTS && start == queued))
#define two_run      (copy2 && copy1 == running && host_runs)
#ifdef OVERLAP
byte overlap;
#define check_copies skip
#else
#define check_copies assert(!two_run)
#endif
#define silence_proves (WATCHDOG == 1 || !R14_WATCHDOG)

/* --- time --- */

inline age(x, max) {
    if
    :: x < max -> x++
    :: else
    fi
}

inline reset_host() {
    up = false;
    copy1 = none; start = no_start; write = idle; began = false; paused = false; stalled = false; round = rest;
    lease_age = 0; pet_age = 0; write_age = 0; will_thaw = false; will_pet = false; saw_mark = false
}

/* A keeper that runs does one round a tick; everything else may be as slow as it likes. */
#ifdef F
#define write_may_wait (F == 255 || !R16_CACHE_NONE || out || guest_write_age < F)
#else
#define write_may_wait true
#endif
#ifdef ONLY_SILENCE
#define take_word false
#else
#define take_word true
#endif
#if defined(F) && R13_F_FOLLOWS_EVERY_PROOF
#if DRIFT > 0
#define F_wait (F + 2 + F / DRIFT)      /* ages are whole ticks, and the clock may gain in each of them */
#else
#define F_wait (F + 1)
#endif
#else
#define F_wait 0
#endif
#ifdef F_BY_KEEPER
#define word_wait 0
#define writes_are_over (gone_age >= F_wait)
#define may_start (answers_age >= F_wait)
#else
#define word_wait F_wait
#define writes_are_over true
#define may_start true
#endif
/* Where an overlap is measured (not forbidden), a renewal of a host that runs takes less than a tick. */
#ifdef OVERLAP
#define renewals_done (!host_runs || !copy2 || closed || write == answered || (write == idle && began))
#else
#define renewals_done true
#endif

proctype clock()
{
    do
    :: atomic { (!keeper_runs || round == rest) && (!guest_write || write_may_wait) && renewals_done ->
        if
        :: round == rest && up -> round = decide
        :: else
        fi;
        began = false;
#ifdef OVERLAP
        if
        :: two_run -> overlap++; assert(overlap <= OVERLAP)
        :: !two_run && !paused -> overlap = 0
        :: else
        fi;
#endif
        if
        :: up && !(paused && !R8_CLOCK_COUNTS_PAUSES) ->
            if
            :: believed || R10_AGES_FROM_GRANT -> age(lease_age, LEASE_AGE_MAX)
            :: else
            fi;
            if
            :: write != idle -> age(write_age, LEASE_AGE_MAX)
            :: else
            fi
        :: else
        fi;
        if
        :: copy2
        :: !copy2 && out && R13_OWN_IO -> silence = 0       /* its own write and read are part of every sample */
        :: else -> age(silence, T)
        fi;
#if DRIFT > 0
        since_gain++;
        if
        :: since_gain == DRIFT ->
            since_gain = 0;
            if
            :: !copy2 -> age(silence, T)
            :: true
            fi
        :: else
        fi;
#endif
        if
        :: guest_write && !out && guest_write_age < 254 -> guest_write_age++
        :: else
        fi;
#ifdef F_BY_KEEPER
        if
        :: copy1 != none -> gone_age = 0
        :: copy1 == none && up && !paused && alive -> age(gone_age, F_wait)
        :: else
        fi;
        if
        :: out -> answers_age = 0
        :: !out -> age(answers_age, F_wait)
        fi;
#endif
#if WATCHDOG > 0
        if
        :: up && !(paused && WATCHDOG == 2) ->
            pet_age++;
            if
            :: pet_age >= W ->
#ifdef GOOD_KILL
                assert(false);
#endif
                event(watchdog_resets); reset_host()
            :: else
            fi
        :: else
        fi
#endif
    }
    od
}

/* --- the keeper --- */

inline take_answer() {
    if
    :: write == answered && write_age >= L + K && R8_FROM_START ->      /* it took longer than a lease lives: renews nothing */
        write = idle; write_age = 0; saw_mark = false
    :: write == answered && !(write_age >= L + K && R8_FROM_START) ->
        if
        :: R12_MARK && saw_mark -> closed = true
        :: R10_CLOSE && lease_age >= L + K -> closed = true   /* checked when the answer is used, not when it was sent */
        :: else
        fi;
        if
        :: !closed && !R8_FROM_START -> lease_age = 0
        :: !closed && R8_FROM_START && write_age < (R8_SLOW_RENEWS_NOTHING -> L : lease_age) && write_age < lease_age ->
            lease_age = write_age
        :: else
        fi;
#ifdef NEW_EPOCH
        if
        :: !closed -> believed = true
        :: else
        fi;
#endif
        write = idle; write_age = 0; saw_mark = false
    :: else
    fi
}

inline kill_copy() {
    if
    :: copy1 != none ->
        event(copy_killed);
#ifdef SLOW_KILL
        if
        :: true -> copy1 = none
        :: R10_VERIFY                           /* it is seen to be there, and killed again in the next round */
        :: !R10_VERIFY -> said_closed = true; changed = true
        fi;
#else
        copy1 = none
#endif
#ifdef RECONCILE
        if
        :: copy1 == none -> start = ordered
        :: else
        fi
#endif
    :: else
    fi
}

/* One look at the clock decides all of a round; what it decided is done in later steps. */
proctype keeper()
{
    do
    :: atomic { keeper_runs && round == decide ->
        take_answer();
        if
        :: R10_CLOSE && lease_age >= L + K -> event(storage_closed); closed = true
        :: else
        fi;
        if
        :: lease_age >= L + K || closed -> kill_copy()
        :: R10_FREEZE && lease_age >= L && lease_age < L + K && !closed && copy1 == running ->
            event(copy_frozen);
#ifdef SLOW_FREEZE
            if
            :: true
            :: copy1 = frozen
            fi;
#else
            copy1 = frozen
#endif
        :: fresh && copy1 == frozen -> event(thaw_decided); will_thaw = true
        :: else
        fi;
        will_pet = (lease_age < (R11_PET_UNTIL_L -> L : L + K) && !closed && believed) || !remains || !R11_ONLY_IF_SAFE;
        round = (will_thaw -> thaw : (will_pet -> pet : rest));
#ifdef ATOMIC_PET
        if
        :: round == pet -> pet_age = 0; round = rest; will_pet = false
        :: else
        fi
#endif
    }
    :: atomic { keeper_runs && round == thaw ->
        will_thaw = false;
        if
        :: copy1 == frozen -> copy1 = running; check_copies
        :: else
        fi;
        round = (will_pet -> pet : rest)
    }
    :: atomic { keeper_runs && round == pet -> pet_age = 0; will_pet = false; round = rest }
    od
}

/* A renewal writes the record, then reads the fence mark; the storage may do the writing whenever it likes. */
proctype renewal()
{
    do
    :: atomic { keeper_runs && write == idle && !began && !closed ->
        write = under_way; write_age = 0; began = true;
        saw_mark = !R8_WRITE_THEN_MARK && marked
    }
    :: atomic { write == under_way && !out ->
        write = landed;
#ifdef NEW_EPOCH
        recorded = true;
#endif
        changed = changed || R9_SEQUENCE
    }
    :: atomic { write == landed && host_runs && !out ->
        write = answered;
        if
        :: R8_WRITE_THEN_MARK -> saw_mark = marked
        :: else
        fi
    }
#ifdef LOST_ANSWER
    :: atomic { keeper_runs && (write == under_way || write == landed) ->
        write = idle; write_age = 0                             /* an error; it may have landed all the same */
    }
#endif
    /* The record of a closed epoch is the host's own report. */
    :: atomic { keeper_runs && !said_closed && !out && !remains && writes_are_over && lease_age >= L + K &&
                (closed || !R10_CLOSE) ->
        event(host_says_closed); said_closed = true; changed = true
    }
    od
}

/* --- starts --- */

proctype hostd()
{
    do
    :: atomic { host_runs && start == ordered && fresh -> start = queued }
    :: atomic { R2_GATE && keeper_runs && start == queued && copy1 == none ->
        start = no_start;
        if
        :: fresh -> copy1 = running; check_copies
        :: else
        fi
    }
    :: atomic { !R2_GATE && host_runs && start == queued && copy1 == none ->
        start = no_start; copy1 = running; check_copies
    }
    od
}

/* --- observer and leader --- */

inline take_over() {
    copy2 = true; silence = 0; silence_at_start = 0; got_change = false; changed = false; since_gain = 0;
    check_copies
}

/* What the read that has just ended means. */
inline judge() {
    if
    :: got_change && R8_UNCACHED ->
        silence = (R13_FROM_FIRST_END -> 0 : silence - silence_at_start)
    :: else ->
        if
        :: R12_MARK && !marked && silence_at_start >= (R12_FENCE_AFTER_LK -> L + K : L) && R12_MARK_THEN_READ ->
#ifdef NEEDLESS
            assert(lease_age >= L + K || !up);  /* nothing is lost by the fence: the host has lost its lease */
#endif
            event(mark_written); marked = true
        :: (marked || !R12_MARK) && silence_at_start >= T && silence_proves && recorded ->
            event(take_over_by_silence); take_over()
        :: R12_MARK && !R12_MARK_THEN_READ && !marked && silence_at_start >= T && silence_proves ->
            mark_last = true
        :: said_closed && take_word && silence_at_start >= word_wait && may_start ->
            event(take_over_by_the_hosts_word); take_over()
        :: else
        fi
    fi;
    silence_at_start = 0; got_change = false; observer = (mark_last -> marking : look)
}

proctype watch()
{
    do
#ifdef SLOW_READ
    :: atomic { !copy2 && observer == look -> silence_at_start = silence; observer = reading }
    :: atomic { !copy2 && observer == reading -> got_change = changed; changed = false; observer = read }
    :: atomic { !copy2 && observer == read -> judge() }
#else
    :: atomic { !copy2 && observer == look && (changed || said_closed || silence >= L) ->
        silence_at_start = silence; got_change = changed; changed = false; judge()
    }
#endif
    /* The wrong order: the mark is written after the last read, and nothing is read again. */
    :: atomic { !copy2 && observer == marking -> marked = true; mark_last = false; observer = look; take_over() }
    od
}

/* --- faults and the guest's writes --- */

proctype faults()
{
    do
#ifdef PAUSE
    :: atomic { host_runs -> paused = true }
    :: atomic { paused -> paused = false; check_copies }
#endif
#ifdef STALL
    :: atomic { up && alive && !stalled -> stalled = true }
    :: atomic { stalled -> stalled = false }
#endif
#ifdef CRASH
    :: atomic { host_runs && alive ->
        alive = false; stalled = false; will_thaw = false; will_pet = false; round = rest;
        write = idle; write_age = 0; saw_mark = false;
#ifdef CLOSE_PETS
        pet_age = 0
#endif
    }
    :: atomic { host_runs && !alive ->
        alive = true; round = decide;
        if
        :: R11_RESTART_TRUSTS_NOTHING && copy1 == running && R10_FREEZE -> copy1 = frozen
        :: else
        fi;
        if
        :: !R11_RESTART_TRUSTS_NOTHING -> lease_age = 0
        :: R11_RESTART_TRUSTS_NOTHING && (lease_age < L || !R11_AGE_OUTLIVES_KEEPER) -> lease_age = L
        :: else
        fi
    }
#endif
#ifdef OUTAGE
    :: atomic { !copy2 -> out = !out }
#endif
#ifdef F
    :: atomic { !guest_write && copy1 == running && host_runs -> guest_write = true; guest_write_age = 0 }
    :: atomic { guest_write && !out ->
        guest_write = false; guest_write_age = 0;
        assert(!copy2)                                          /* no write of the old copy after the new one began */
    }
#endif
    :: false
    od
}

init {
    atomic {
#ifdef NEW_EPOCH
        copy1 = none; start = ordered;
#elif defined(LATE_START)
        if
        :: copy1 = none; start = ordered
        :: true
        fi;
#endif
        run clock(); run keeper(); run renewal(); run hostd(); run watch(); run faults()
    }
}
