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
from drills.results import Book, table
from drills.sites import SITES
from holdlab.config import Config
from holdlab.lab import Lab, Lock, take_down
from holdlab.primary import TAKEOVERS
from holdlab.proc import ENVIRONMENT, Interrupted, LabError, ignore_signals, raise_on_signals, tail

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAME = "drill"
OCTET = 76
MOST_CANARIES = 12   # that three hosts have processors for


def arguments():
    p = argparse.ArgumentParser(prog="./check drill", description="Lets hosts of a lab fail in every way and checks with canary "
                                "guests that no instance ever runs twice, that nothing acknowledged is lost, and that what is "
                                "well is left alone. Needs root. docs/drills.md tells more.")
    p.add_argument("--count", type=int, help="how many drills (each kind once if not given)")
    p.add_argument("--storage", choices=tuple(SITES), default="file", help="what the guests' disks lie on (default file)")
    p.add_argument("--takeover", choices=TAKEOVERS, default="strict", help="when a lost host's guests start elsewhere: when nothing "
                   "of them runs (strict, the default), or as soon as nothing of them can write (write-fenced; on Ceph)")
    p.add_argument("--json", action="store_true", help="print the summary as JSON")
    p.add_argument("--profile", choices=("fast", "default", "san"), default="fast", help="timing profile (default fast)")
    p.add_argument("--kinds", help="only these, with commas; " + "; ".join(f"on {name}: {', '.join(site.kinds)}"
                                                                          for name, site in SITES.items()))
    p.add_argument("--seed", type=int, default=1, help="what the drills are drawn from (default 1)")
    p.add_argument("--out", metavar="FILE", help="write summary and every drill there, after each drill")
    p.add_argument("--resume", metavar="FILE", help="as --out, and count the drills that are there already")
    p.add_argument("--minutes", type=float, help="begin no drill after so long; --resume goes on another time")
    p.add_argument("--mutant", metavar="NAME", help="run a planted bug of base/mutant.h and end with the first drill that shows it; "
                   "exit code 1 if none does (partition shows PLACED_TWICE)")
    p.add_argument("--unwatched", action="store_true", help="hosts without a watchdog; the kinds are: "
                   f"{', '.join(SITES['file'].unwatched_kinds)}")
    p.add_argument("--hosts", type=int, default=4, help="hosts of the lab (default 4)")
    p.add_argument("--canaries", type=int, help="guests that are watched (default: as many as hosts)")
    p.add_argument("--keep", action="store_true", help="leave the lab running when a drill ended otherwise than it must")
    p.add_argument("--build", metavar="DIR", default=os.path.join(ROOT, "build", "dev"), help=argparse.SUPPRESS)
    p.add_argument("--commit", default="unknown", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.takeover == "write-fenced" and args.storage != "ceph":
        p.error("files cannot be fenced: --takeover write-fenced goes with --storage ceph")
    known = kinds_of(args)
    args.kinds = args.kinds.split(",") if args.kinds else list(known)
    if not known:
        p.error(f"there are no drills without a watchdog on {args.storage}")
    unknown = [k for k in args.kinds if k not in known]
    if unknown:
        p.error(f"there is no kind {', '.join(unknown)}: there are {', '.join(known)}")
    args.count = len(args.kinds) if args.count is None else args.count
    args.canaries = args.canaries or args.hosts
    if args.count < 1 or args.hosts < 3 or not 1 <= args.canaries <= MOST_CANARIES:
        p.error(f"it takes at least one drill, three hosts and 1 to {MOST_CANARIES} canaries")
    return args


def kinds_of(args):
    site = SITES[args.storage]
    return site.unwatched_kinds if args.unwatched else site.kinds


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
        kind = kinds_of(self.args)[bag.sample(kinds, len(kinds))[(number - 1) % len(kinds)]](rng, self.times)
        return kind, rng

    def run_one(self, number):
        kind, rng = self.draw(number)
        busy = sorted({self.ground.host_of(i).name for i, _beat in self.ground.snapshot().values()})
        host = self.ground.lab.host(rng.choice(busy))
        result = Drill(self.ground, number, host, kind).run()
        restarts = f", ran elsewhere after {max(result.running_ms) / 1000:.2f} s" if result.running_ms else ""
        if result.zombie_ms:
            restarts += f", wrote for {max(result.zombie_ms)} ms after the thaw"
        if result.overlap_ms:
            restarts += f", {len(result.overlap_ms)} of them beside the old run for {max(result.overlap_ms)} ms"
        proof = f" ({', '.join(sorted(set(result.evidence)))})" if result.evidence else ""
        say(f"{number:4} {kind.name:14} {kind.describe():22} {host.name}  {result.promise:9} "
            f"{'ok' if result.good else 'NOT OK'}{restarts}{proof}, took {result.took_s:.1f} s")
        for sentence in (*result.doubled, *result.lost, *result.needless, *result.failed):
            say(f"       {sentence}")
        return result


def hold(args, book, times):
    began = time.monotonic()
    site = SITES[args.storage](args.takeover)
    image = subprocess.run([os.path.join(ROOT, "lab", "build-guest")], check=True, capture_output=True, text=True).stdout.strip()
    lab = Lab.create(Config(bin_dir=os.path.join(args.build, "bin"), name=NAME, octet=OCTET, hosts=args.hosts, profile=args.profile,
                            watchdog=not args.unwatched, **site.config))
    ground = Ground(lab, image, args.canaries, site)
    try:
        ground.set_up()
        say(f"the lab is up after {time.monotonic() - began:.0f} s: {args.hosts} hosts, {args.canaries} canaries")
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
    header = {"storage": args.storage, "takeover": args.takeover, "profile": args.profile, "seed": args.seed, "commit": args.commit}
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
