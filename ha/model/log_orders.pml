/* The log, orders and reports: epochs, terms, tombstones, restarts of hostd, reboots, evidence, the return of a host.
 *
 * One instance, two hosts, untimed. What lease_time.pml shows is taken for granted here: when a host has lost its
 * lease its keeper has killed, and then there may be evidence. The network is the set of everything that was
 * ever sent: an order, a report or a piece of evidence may arrive never, late, many times, in any order.
 * Bounds: RUNS runs, EPOCHS epochs per host, two terms. All else is unbounded: crashes, reboots, lost leases, repeats.
 *
 * Parameters (-D)
 *   HOSTD_STAYS  hostd does not die
 *   STOPS    a user stops the instance and starts it again; an order to stop may be late
 */
#include "switches.h"

#ifndef RUNS
#define RUNS 3
#endif
#ifndef EPOCHS
#define EPOCHS 3
#endif
#define HOSTS 2
#ifndef TERMS
#define TERMS 2
#endif

/* The log. */
byte now = 1;                     /* of the present placement */
byte at_host[RUNS + 2];           /* per run: where it is placed; index 0 unused */
byte at_epoch[RUNS + 2];
bool stopped[RUNS + 2];           /* "stopped" was reported from there */
byte granted[HOSTS];              /* epoch */
byte fenced[HOSTS];               /* all epochs up to this one */
byte proven[HOSTS];
byte term = 1;
bool wanted = true;               /* the user wants it to run */

/* The network: what was ever sent. */
byte sent[RUNS + 2];              /* per run: bit t, the order to start it in term t */
byte stop_run, stop_term;         /* the last order to stop */
byte evidence[HOSTS];             /* highest epoch that was found dead; perhaps not committed yet */

/* Hosts. The keeper's part outlives hostd, and ends with a reboot. */
byte epoch[HOSTS];
byte term_seen[HOSTS];            /* keeper */
byte tomb[HOSTS];                 /* keeper: no run up to this one */
byte permit[HOSTS];               /* keeper: this run may be born */
bool lease[HOSTS], closed[HOSTS]; /* keeper */
bool knows_pending[HOSTS];        /* hostd: it waits for libvirt's answer */
byte pending[HOSTS];              /* libvirt: it will start this run, some time */
byte defined[HOSTS];              /* libvirt: a domain that it may start by itself */
byte qemu[HOSTS];                 /* the run that executes */

#define check_copies assert(!(qemu[0] != 0 && qemu[1] != 0))
#define here         (at_host[now] == h && at_epoch[now] == epoch[h])

/* Placement guard: may the present placement be left? */
#define said_stopped (R5_EXACT_RUN -> stopped[now] : \
                      ((stopped[1] && at_host[1] == at_host[now]) || (stopped[2] && at_host[2] == at_host[now]) || \
                       stopped[now]))
#define proven_dead  (fenced[at_host[now]] >= at_epoch[now] && proven[at_host[now]] >= at_epoch[now])
#define may_leave    (said_stopped || proven_dead || !R19_PROOF)

inline raise(x, to) {
    if
    :: x < to -> x = to
    :: else
    fi
}

inline place(to) {
    if
    :: fenced[to] < granted[to] || !R7_FOR_EVER ->
        stopped[now] = stopped[now] && !R5_EXACT_RUN;           /* nothing asks for it any more */
        now++; at_host[now] = to; at_epoch[now] = granted[to]; sent[now] = term
    :: else
    fi
}

/* The leader may do any of this at any time; what it may not do is up to the guard. */
proctype leader()
{
    do
    :: atomic { term < TERMS -> term++ }
    :: atomic { wanted && !(sent[now] & term) -> sent[now] = sent[now] | term }     /* a new leader sends again */
    :: atomic { fenced[at_host[now]] < at_epoch[now] -> fenced[at_host[now]] = at_epoch[now] }
    :: atomic { may_leave && now < RUNS ->
        if
        :: true -> event(placed_on_host_0); place(0)
        :: true -> event(placed_on_host_1); place(1)
        fi
    }
    /* The wrong order: the host is told before the log. */
    :: atomic { !R1_PLACED_FIRST && now < RUNS && sent[now + 1] == 0 ->
        at_host[now + 1] = 1 - at_host[now]; at_epoch[now + 1] = granted[1 - at_host[now]]; sent[now + 1] = term
    }
#ifdef STOPS
    :: atomic { wanted && !stopped[now] && !(stop_run == now) -> wanted = false; stop_run = now; stop_term = term }
    :: atomic { !wanted && stop_term < term && !stopped[now] -> wanted = true }
#endif
    od
}

/* Evidence of a lost lease: gathered once the epoch is fenced, committed at any time after that. By then the keeper has killed;
 * where a permit counts as a running instance, a start that is under way has come to an end or the host has been reset. */
proctype observer(byte h)
{
    do
    :: atomic { !lease[h] && qemu[h] == 0 && (R2_GATE || !R2_PERMIT_COUNTS || pending[h] == 0) &&
                fenced[h] >= epoch[h] && evidence[h] < epoch[h] ->
        event(evidence_found); evidence[h] = epoch[h]
    }
    :: atomic { proven[h] < (R7_EVIDENCE_NAMES_EPOCH -> evidence[h] : granted[h]) && evidence[h] > 0 ->
        proven[h] = (R7_EVIDENCE_NAMES_EPOCH -> evidence[h] : granted[h])
    }
    od
}

/* --- a host --- */

/* hostd takes an order and asks the keeper for a permit, then libvirt for the start. */
inline take_order(r, t) {
    if
    :: t < term_seen[h] && R1_TERM -> event(order_of_an_old_term_refused)
    :: at_epoch[r] != epoch[h] && R1_EPOCH -> event(order_of_an_old_epoch_refused)
    :: r <= tomb[h] && R4_TOMBSTONE -> event(tombstoned_run_refused)
    :: else ->
        raise(term_seen[h], t);
        if
        :: pending[h] == 0 && qemu[h] == 0 && lease[h] && !closed[h] ->
            permit[h] = r; pending[h] = r; knows_pending[h] = true
        :: else
        fi
    fi
}

/* The promise: no process, no start under way that hostd knows of, and a tombstone. */
inline report_stopped(r) {
    if
    :: R4_TOMBSTONE -> raise(tomb[h], r)
    :: else
    fi;
    if
    :: permit[h] == r && R4_TOMBSTONE -> permit[h] = 0
    :: else
    fi;
    stopped[r] = true
}

inline begin_epoch() {
    if
    :: R7_KILL_FIRST -> qemu[h] = 0
    :: else
    fi;
    raise(fenced[h], epoch[h]); raise(proven[h], epoch[h]);     /* the grant proves the epoch before dead */
    epoch[h]++; granted[h] = epoch[h];
    permit[h] = 0; closed[h] = false; lease[h] = true
}

proctype host(byte h)
{
    byte r, t;
    do
    /* an order arrives: of any run ever sent to this host, in any term it was sent in */
    :: atomic { r = 1;
        do
        :: r < RUNS -> r++
        :: break
        od;
        if
        :: at_host[r] == h && (sent[r] & 1) -> t = 1
        :: at_host[r] == h && (sent[r] & 2) -> t = 2
        :: else
        fi;
        if
        :: t != 0 -> take_order(r, t)
        :: else
        fi;
        r = 0; t = 0
    }
    /* libvirt does what it was asked, some time */
    :: atomic { pending[h] != 0 ->
        if
        :: R2_GATE && !(lease[h] && !closed[h] && pending[h] > tomb[h] &&
                        (permit[h] == pending[h] || !R2_PERMIT)) -> event(the_gate_refuses)
        :: else -> qemu[h] = pending[h]; defined[h] = (R3_TRANSIENT -> 0 : pending[h]); check_copies
        fi;
        pending[h] = 0; knows_pending[h] = false
    }
    :: atomic { !R17_TIMEOUT_IS_UNKNOWN && knows_pending[h] && at_host[now] == h && pending[h] == now ->
        stopped[now] = true                                     /* "the call timed out, so it failed" */
    }
    :: atomic { qemu[h] != 0 -> qemu[h] = 0 }                   /* the guest ends */
    :: atomic { here && !stopped[now] && qemu[h] == 0 && !knows_pending[h] ->
        event(stopped_is_reported); report_stopped(now)
    }
    :: atomic { !R4_NOT_SEEN_IS_NOT_STOPPED && here && !stopped[now] && qemu[h] == 0 -> stopped[now] = true }
#ifdef STOPS
    :: atomic { stop_run != 0 && qemu[h] == stop_run && !(stop_term < term_seen[h] && R1_TERM) ->
        raise(term_seen[h], stop_term);
        assert(!(wanted && term_seen[h] == term && stop_term < term));  /* a deposed leader commands nobody */
        event(stop_obeyed); qemu[h] = 0
    }
#endif
    /* the lease is lost: the keeper kills and closes */
    :: atomic { lease[h] -> lease[h] = false; qemu[h] = 0; closed[h] = R10_CLOSE }
    :: atomic { !lease[h] && !closed[h] -> lease[h] = true }
    :: atomic { closed[h] && qemu[h] != 0 -> qemu[h] = 0 }      /* born after that: killed when it is seen */
    /* a fenced or closed host comes back; its libvirt may still have a start under way */
    :: atomic { epoch[h] < EPOCHS && (fenced[h] >= epoch[h] || closed[h]) && (R2_GATE || !knows_pending[h]) ->
        event(next_epoch); begin_epoch()
    }
#ifndef HOSTD_STAYS
    /* hostd dies and comes back */
    :: atomic { knows_pending[h] || (!R4_OUTLIVES_HOSTD && tomb[h] + term_seen[h] + permit[h] > 0) ||
                !R7_EPOCH_OUTLIVES_HOSTD ->
        knows_pending[h] = false;
        if
        :: !R4_OUTLIVES_HOSTD -> tomb[h] = 0; term_seen[h] = 0; permit[h] = 0
        :: else
        fi;
        if
        :: !R7_EPOCH_OUTLIVES_HOSTD && epoch[h] < EPOCHS -> begin_epoch()
        :: else
        fi
    }
#endif
    /* power off and on */
    :: atomic { epoch[h] < EPOCHS ->
        qemu[h] = 0; pending[h] = 0; knows_pending[h] = false; term_seen[h] = 0; tomb[h] = 0;
        begin_epoch();
        if
        :: !R3_TRANSIENT -> pending[h] = defined[h]
        :: else
        fi
    }
    od
}

init {
    byte h;
    d_step {
        for (h : 0 .. HOSTS - 1) {
            granted[h] = 1; epoch[h] = 1; lease[h] = true
        }
        at_epoch[1] = 1; sent[1] = 1;
        h = 0
    }
    atomic {
        run leader(); run observer(0); run observer(1); run host(0); run host(1)
    }
}
