#!/usr/bin/python3
"""How late the keeper ever is: hf-lease with a lease, a guest and a watchdog on a machine whose processors and disk are kept
fully busy. Its watchdog tells, a FIFO: the longest time between two pets against their period. Beside it the oldest that its lease
was seen, in which the disk has its part. It fails when a pet is a whole period late or the lease was lost.

    bench/keeper.py --build build/release --seconds 3600 --json keeper.json

Needs root: it runs in namespaces of its own, since a keeper kills every guest of ours that it does not know.
"""
import argparse
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "lab"))

from holdlab import keeper as tool

READER_PRIORITY = 50  # above the keeper's: it must not measure itself
BURNERS_PER_CPU = 3
WRITERS = 4
PIECE = 1 << 18
PIECES = 256
SETTLE_S = 3
WATCH_S = 0.5
SKIPPED = 77


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", required=True)
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--profile", choices=("fast", "default", "san"), default="default")
    p.add_argument("--dir", default="/var/tmp", help="on the disk that is kept busy")
    p.add_argument("--cpus", type=int, default=os.cpu_count(), help="so many are kept busy (default: all; 0: none, and no disk)")
    p.add_argument("--nice", type=int, default=0, help="of the load, where others want to work as well")
    p.add_argument("--json", metavar="FILE")
    return p.parse_args()


def in_namespaces():
    """Goes on in namespaces of its own, where it is process 1: with it everything ends."""
    if os.environ.get("HOLDFAST_BENCH_INSIDE") == "1":
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        return
    os.environ["HOLDFAST_BENCH_INSIDE"] = "1"
    sys.exit(subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-B",
                             *sys.argv], check=False).returncode)


def burn(cpu):
    os.sched_setaffinity(0, {cpu})
    while True:
        pass


def write(path):
    """64 MiB in small synchronous pieces, and again."""
    block = os.urandom(PIECE)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DSYNC, 0o600)
    while True:
        for i in range(PIECES):
            os.pwrite(fd, block, i * PIECE)


def fork(nice, work, *words):
    if os.fork() == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.nice(nice)
        work(*words)


def start_load(args, folder):
    for cpu in range(args.cpus):
        for _ in range(BURNERS_PER_CPU):
            fork(args.nice, burn, cpu)
    for i in range(WRITERS if args.cpus > 0 else 0):
        fork(args.nice, write, os.path.join(folder, f"load{i}"))


def durations(args):
    """Milliseconds from the header's own table: between two pets, between two renewals, that a lease lives."""
    table = subprocess.run([os.path.join(args.build, "bin", "hf-ha-table"), args.profile], check=True, capture_output=True,
                           text=True).stdout
    return tuple(round(float(re.search(rf"{words} ([\d.]+) s", table)[1]) * 1000)
                 for words in ("petted every", "renewal period R", "lease L"))


def start_keeper(args, folder, fifo):
    os.makedirs("/run/holdfast")
    log = open(os.path.join(folder, "keeper.log"), "wb")
    return subprocess.Popen([os.path.join(args.build, "bin", "hf-lease"), "--profile", args.profile, "--watchdog-stand-in", fifo,
                             "--lab"], stdout=log, stderr=log)


def measure(fd, seconds, ages):
    """Seconds between pets, by a reader that nothing holds up."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(READER_PRIORITY))
    client, gaps, last, ask_at = tool.Keeper(), [], None, 0
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        if select.select([fd], [], [], WATCH_S)[0]:
            os.read(fd, 4096)
            at = time.monotonic()
            if last is not None:
                gaps.append(at - last)
            last = at
        if now >= ask_at:
            ages.append(client.view()["age_ms"])
            ask_at = now + WATCH_S
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return gaps


def result(args, gaps, ages):
    pet_ms, renew_ms, lease_ms = durations(args)
    gaps_ms = sorted(round(g * 1000, 1) for g in gaps)
    worst_ms = gaps_ms[-1]
    return {
        "profile": args.profile, "seconds": args.seconds, "cpus": os.cpu_count(), "busy_cpus": args.cpus,
        "pets": len(gaps_ms), "pet_period_ms": pet_ms,
        "gap_ms": {"p50": gaps_ms[len(gaps_ms) // 2], "p99": gaps_ms[len(gaps_ms) * 99 // 100], "max": worst_ms},
        "latest_pet_ms": round(worst_ms - pet_ms, 1),
        "renewal_period_ms": renew_ms, "lease_ms": lease_ms, "oldest_lease_ms": max(ages),
        "late": worst_ms >= 2 * pet_ms or max(ages) >= lease_ms,
    }


def main():
    args = arguments()
    if os.geteuid() != 0:
        print("bench keeper: it needs root, for namespaces and real-time priority", file=sys.stderr)
        sys.exit(SKIPPED)
    in_namespaces()
    folder = tempfile.mkdtemp(prefix="holdfast-keeper.", dir=args.dir)
    try:
        fifo = os.path.join(folder, "watchdog")
        os.mkfifo(fifo)
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        start_keeper(args, folder, fifo)
        tool.prepare(folder)
        start_load(args, folder)
        time.sleep(SETTLE_S)
        while select.select([fd], [], [], 0)[0]:
            os.read(fd, 4096)
        ages = []
        found = result(args, measure(fd, args.seconds, ages), ages)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = json.dumps(found, indent=2)
    print(text)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            f.write(text + "\n")
    if found["late"]:
        print("bench keeper: a pet was a whole period late, or the lease was in doubt", file=sys.stderr)
    sys.exit(found["late"])  # everything else ends with process 1 of the namespace


if __name__ == "__main__":
    main()
