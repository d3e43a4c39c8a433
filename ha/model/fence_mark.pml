/* Fence marks written by leaders that change: a mark may land long after it was sent. One mark file per epoch, never undone,
 * or one file per host that the next fence overwrites.
 */
#include "switches.h"

byte epoch = 1;                 /* host 1 lives it */
byte fenced;
bool sent[3], landed[3];        /* per epoch: the mark */
byte file;                      /* the only file, where there is one per host */
bool renewing = true;           /* host 1 keeps its lease */
bool executes = true;           /* and runs the copy that was placed in its epoch */
bool copy2;

#define marked (R12_MARK_PER_EPOCH -> landed[epoch] : file == epoch)

proctype leaders()
{
    do
    :: atomic { fenced < epoch -> fenced = epoch; sent[epoch] = true }
    :: atomic { sent[1] && !landed[1] -> event(first_mark_lands); landed[1] = true; file = 1 }
    :: atomic { sent[2] && !landed[2] -> event(second_mark_lands); landed[2] = true; file = 2 }
    /* the mark is written, then the record stands still: take-over */
    :: atomic { fenced == epoch && landed[epoch] && !renewing && !copy2 ->
        event(take_over); copy2 = true; assert(!executes)
    }
    od
}

proctype host()
{
    do
    :: atomic { renewing -> renewing = false; executes = false }                     /* in doubt: frozen */
    /* a renewal: write, then read the mark */
    :: atomic { !renewing ->
        if
        :: marked -> event(mark_seen)
        :: !marked -> renewing = true; executes = true; assert(!copy2)
        fi
    }
    /* told of its fence over the network: next epoch, with a copy of its own */
    :: atomic { epoch == 1 && fenced == 1 && !copy2 -> epoch = 2; renewing = true; executes = true }
    od
}

init {
    atomic {
        run leaders(); run host()
    }
}
