#!/usr/bin/python3
"""./check drill: hosts fail in every way, again and again, and canary guests show whether anything ever ran twice."""

import argparse
import json
import os
import random
import subprocess
import sys
import time

from drills import timing
from drills.drill import Drill
from drills.ground import Ground
from drills.kinds import KINDS, UNWATCHED_KINDS
from drills.results import Book, table
from holdlab.config import Config
from holdlab.lab import Lab, Lock, take_down
from holdlab.proc import ENVIRONMENT, Interrupted, LabError, ignore_signals, raise_on_signals, tail

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAME = "drill"
OCTET = 76


def arguments():
    p = argparse.ArgumentParser(prog="./check drill", description="Lets hosts of a lab fail in every way and checks with canary "
                                "guests that no instance ever runs twice, that nothing acknowledged is lost, and that what is "
                                "well is left alone. Needs root. docs/drills.md tells more.")
    p.add_argument("--count", type=int, default=len(KINDS), help=f"how many drills (default {len(KINDS)}: each kind once)")
    p.add_argument("--json", action="store_true", help="print the summary as JSON")
    p.add_argument("--profile", choices=("fast", "default", "san"), default="fast", help="timing profile (default fast)")
    p.add_argument("--kinds", help=f"only these, with commas: {', '.join(KINDS)}")
    p.add_argument("--seed", type=int, default=1, help="what the drills are drawn from (default 1)")
    p.add_argument("--out", metavar="FILE", help="write summary and every drill there, after each drill")
    p.add_argument("--resume", metavar="FILE", help="as --out, and count the drills that are there already")
    p.add_argument("--minutes", type=float, help="begin no drill after so long; --resume goes on another time")
    p.add_argument("--mutant", metavar="NAME", help="run a planted bug of base/mutant.h and end with the first drill that shows it; "
                   "exit code 1 if none does (partition shows PLACED_TWICE)")
    p.add_argument("--unwatched", action="store_true", help=f"hosts without a watchdog; the kinds are: {', '.join(UNWATCHED_KINDS)}")
    p.add_argument("--hosts", type=int, default=4, help="hosts of the lab, each with one canary (default 4)")
    p.add_argument("--keep", action="store_true", help="leave the lab running when a drill ended otherwise than it must")
    p.add_argument("--build", metavar="DIR", default=os.path.join(ROOT, "build", "dev"), help=argparse.SUPPRESS)
    p.add_argument("--commit", default="unknown", help=argparse.SUPPRESS)
    args = p.parse_args()
    known = UNWATCHED_KINDS if args.unwatched else KINDS
    args.kinds = args.kinds.split(",") if args.kinds else list(known)
    unknown = [k for k in args.kinds if k not in known]
    if unknown:
        p.error(f"there is no kind {', '.join(unknown)}: there are {', '.join(known)}")
    if args.count < 1 or args.hosts < 3:
        p.error("it takes at least one drill and three hosts")
    return args


def say(text):
    print(text, file=sys.stderr, flush=True)


class Series:
    """Drills drawn one after the other: every kind once in a random order, then all again."""

    def __init__(self, args, ground, times):
        self.args = args
        self.ground = ground
        self.times = times

    def draw(self, number):
        """Drill number (from 1 on), the same for a seed whoever asks: kind, its numbers, and a choice among hosts."""
        kinds = self.args.kinds
        bag = random.Random(f"{self.args.seed}/bag/{(number - 1) // len(kinds)}")
        rng = random.Random(f"{self.args.seed}/{number}")
        known = UNWATCHED_KINDS if self.args.unwatched else KINDS
        kind = known[bag.sample(kinds, len(kinds))[(number - 1) % len(kinds)]](rng, self.times)
        return kind, rng

    def run_one(self, number):
        kind, rng = self.draw(number)
        busy = sorted({self.ground.host_of(i).name for i, _beat in self.ground.snapshot().values()})
        host = self.ground.lab.host(rng.choice(busy))
        result = Drill(self.ground, number, host, kind).run()
        restarts = f", ran elsewhere after {max(result.running_ms) / 1000:.2f} s" if result.running_ms else ""
        if result.zombie_ms:
            restarts += f", wrote for {max(result.zombie_ms)} ms after the thaw"
        proof = f" ({', '.join(sorted(set(result.evidence)))})" if result.evidence else ""
        say(f"{number:4} {kind.name:14} {kind.describe():22} {host.name}  {result.promise:9} "
            f"{'ok' if result.good else 'NOT OK'}{restarts}{proof}, took {result.took_s:.1f} s")
        for sentence in (*result.doubled, *result.lost, *result.needless, *result.failed):
            say(f"       {sentence}")
        return result


def hold(args, book, times):
    began = time.monotonic()
    image = subprocess.run([os.path.join(ROOT, "lab", "build-guest")], check=True, capture_output=True, text=True).stdout.strip()
    lab = Lab.create(Config(bin_dir=os.path.join(args.build, "bin"), name=NAME, octet=OCTET, hosts=args.hosts, profile=args.profile,
                            own_storage=True, watchdog=not args.unwatched))
    ground = Ground(lab, image, args.hosts)
    try:
        ground.set_up()
        say(f"the lab is up after {time.monotonic() - began:.0f} s: {args.hosts} hosts, a canary each")
        series = Series(args, ground, times)
        while len(book.results) < args.count:
            if args.minutes and time.monotonic() - began > args.minutes * 60:
                say(f"time is up after {len(book.results)} of {args.count} drills")
                break
            book.add(series.run_one(len(book.results) + 1))
            if args.mutant and not book.good or book.results[-1].failed and not all_well(ground):
                break
    except LabError:
        show_logs(lab)
        raise
    finally:
        ground.tear_down()


def all_well(ground):
    """A drill that ended badly may have left the ground fit for the next one, or not."""
    try:
        ground.wait_all_well(30)
        return True
    except LabError as e:
        say(f"no more drills: {e}")
        return False


def show_logs(lab):
    for path in lab.logs():
        text = tail(path, 12)
        if text.strip():
            say(f"\nthe end of {os.path.basename(path)}\n{text.rstrip()}")


def main():
    args = arguments()
    if os.geteuid() != 0:
        sys.exit("drill: it makes namespaces, bridges and cgroups: run it as root")
    header = {"profile": args.profile, "seed": args.seed, "commit": args.commit}
    try:
        book = Book.resume(args.resume, header) if args.resume else Book(args.out, header)
    except (ValueError, KeyError) as e:
        sys.exit(f"drill: {e}")
    try:
        times = timing.load(os.path.join(args.build, "bin"), args.profile)
    except LabError as e:
        sys.exit(f"drill: {e}")
    if args.mutant:
        ENVIRONMENT["HOLDFAST_MUTANT"] = args.mutant
    raise_on_signals()
    keep = False
    try:
        with Lock(NAME):
            try:
                hold(args, book, times)
            finally:
                ignore_signals()
                keep = args.keep and not book.good
                if not keep:
                    take_down(NAME)
    except LabError as e:
        sys.exit(f"drill: {e}")
    except Interrupted as e:
        say(f"drill: ended by {e}, everything is cleaned up")
        sys.exit(128 + e.signum)
    if args.mutant:
        found = not book.good
        print(f"planted bug {args.mutant}: " + (f"shown by drill {len(book.results)}" if found else
                                                f"NOT shown by {len(book.results)} drills"))
        sys.exit(0 if found else 1)
    summary = book.summary()
    print(json.dumps(summary, indent=2) if args.json else table(summary))
    sys.exit(0 if book.good else 1)


if __name__ == "__main__":
    main()
