"""Do the simulator's checks bite? Runs hf-sim with each planted bug of base/mutant.h until one of them is seen.

testdata/mutants.txt says for each mutant in which profile, within how many seeds and by which checks it must be found; or that
no check sees it, and why. A mutant counts as found when a check that is named there speaks up in a seed in which nobody
speaks up without the mutant."""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(FOLDER, "testdata", "mutants.txt")
RUN_LIMIT_S = 600
DOC_BEGIN, DOC_END = "<!-- mutants -->", "<!-- end -->"


class Bad(Exception):
    """What was asked for cannot be done; the text says why."""


class Mutant:
    def __init__(self, name, profile, seeds, checks, why):
        self.name, self.profile, self.seeds, self.checks, self.why = name, profile, seeds, checks, why
        self.rule = self.how = ""
        self.expected = checks != []
        self.seed = self.check = None    # what found it
        self.text = ""
        self.wall_s = 0.0
        self.runs = 0


def read_table(path):
    """Lines 'NAME profile seeds check,check' or 'NAME - why no check sees it'."""
    mutants = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            words = line.split("#")[0].split(None, 3)
            if not words:
                continue
            if len(words) >= 3 and words[1] == "-":
                mutants.append(Mutant(words[0], "default", 0, [], " ".join(words[2:]).strip()))
            elif len(words) == 4 and words[2].isdigit():
                mutants.append(Mutant(words[0], words[1], int(words[2]), words[3].strip().split(","), ""))
            else:
                raise Bad(f"{path}:{number}: this is neither 'NAME profile seeds checks' nor 'NAME - why'")
    return mutants


def describe(program, mutants):
    """What hf-sim itself says of its mutants; each must stand in the table once."""
    out = subprocess.run([program, "--mutants"], capture_output=True, text=True, check=False)
    if out.returncode != 0:
        raise Bad(out.stderr.strip())
    known = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in out.stdout.splitlines()}
    names = [m.name for m in mutants]
    for name in known:
        if names.count(name) != 1:
            raise Bad(f"{TABLE}: {name} stands there {names.count(name)} times")
    for m in mutants:
        if m.name not in known:
            raise Bad(f"{TABLE}: hf-sim knows no {m.name}")
        m.rule, m.how = (part.strip() for part in known[m.name].split("  ", 1))


def path_of(name):
    return os.path.join(FOLDER, "testdata", name) if "." in name else name


def run(program, m, first, seeds, mutant):
    """One call of hf-sim; returns its numbers."""
    profile, _, schedule = m.profile.partition("+")
    argv = [program, "--profile", path_of(profile), "--seed", str(first), "--jobs", "1", "--twice-every", "0", "--study", "0",
            "--shrink", "0", "--limit", str(RUN_LIMIT_S), "--json"]
    argv += ["--schedule", path_of(schedule)] if schedule else ["--seeds", str(seeds), "--until-failure"]
    if mutant:
        argv += ["--mutant", mutant]
    with tempfile.TemporaryDirectory() as scratch:
        out = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=scratch)
    if out.returncode not in (0, 1):
        raise Bad(f"{' '.join(argv)}: {out.stderr.strip() or f'ended with {out.returncode}'}")
    m.runs += 1
    return json.loads(out.stdout)


def is_clean_without(program, m, seed):
    return not run(program, m, seed, 1, None)["failed"]


def hunt(program, m, seeds):
    """Fills in which seed and check found it, if any did."""
    began = time.monotonic()
    first = 1
    while first <= seeds and m.seed is None:
        numbers = run(program, m, first, seeds - first + 1, m.name)
        first += numbers["seeds"]
        for found in numbers["failed"]:
            if (not m.checks or found["kind"] in m.checks) and is_clean_without(program, m, found["seed"]):
                m.seed, m.check, m.text = found["seed"], found["kind"], found["text"]
    m.wall_s = time.monotonic() - began


def line_of(m):
    if m.seed is not None:
        return f"{m.name:26} {m.rule:10} found by {m.check} in seed {m.seed} of {m.profile} ({m.wall_s:.1f} s)"
    if m.expected:
        return f"{m.name:26} {m.rule:10} NOT FOUND within {m.seeds} seeds of {m.profile} by {','.join(m.checks)} ({m.wall_s:.1f} s)"
    return f"{m.name:26} {m.rule:10} seen by no check: {m.why}"


def write_doc(path, mutants):
    """The table of docs/mutants.md between its two marks."""
    with open(path, encoding="utf-8") as f:
        before, rest = f.read().split(DOC_BEGIN)
    after = rest.split(DOC_END)[1]
    rows = ["| Mutant | Breaks | How | Found by |", "|---|---|---|---|"]
    for m in mutants:
        where = m.profile.replace(".profile", "").replace(".faults", "").replace("+", " + ")
        found = f"{m.check}, seed {m.seed} of {where} (within {m.seeds})" if m.seed is not None else f"– {m.why}"
        rows.append(f"| {m.name} | {m.rule} | {m.how} | {found} |")
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + DOC_BEGIN + "\n" + "\n".join(rows) + "\n" + DOC_END + after)


def judge(args, mutants):
    """True: all that must be found was."""
    hunted = [m for m in mutants if m.expected or args.all]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        under_way = {pool.submit(hunt, args.program, m, m.seeds or 20): m for m in hunted}
        for done in concurrent.futures.as_completed(under_way):
            done.result()
            print(line_of(under_way[done]), flush=True)
            if args.verbose and under_way[done].text:
                print(f"    {under_way[done].text}", flush=True)
    for m in mutants:
        if m not in hunted:
            print(line_of(m))
    return all(m.seed is not None for m in mutants if m.expected)


def chosen(args, mutants):
    if args.only:
        missing = set(args.only) - {m.name for m in mutants}
        if missing:
            raise Bad(f"there is no mutant {sorted(missing)[0]}")
        mutants = [m for m in mutants if m.name in args.only]
    if args.quick:
        mutants = [m for m in mutants if m.expected and m.seeds <= args.quick]
    for m in mutants:
        if args.profile:
            m.profile = args.profile
        if args.seeds:
            m.seeds = args.seeds
        if args.any_check:
            m.checks = []
    return mutants


def arguments():
    p = argparse.ArgumentParser(description="Shows that the simulation finds planted bugs.")
    p.add_argument("--program", required=True, help="hf-sim of the preset sim")
    p.add_argument("--only", nargs="+", metavar="NAME", help="these mutants alone")
    p.add_argument("--quick", type=int, metavar="N", help="only those that are found within N seeds")
    p.add_argument("--jobs", type=int, default=os.cpu_count(), help="side by side (one per core)")
    p.add_argument("--seeds", type=int, help="instead of what the table says")
    p.add_argument("--profile", help="instead of what the table says")
    p.add_argument("--any-check", action="store_true", help="whichever check finds it")
    p.add_argument("--all", action="store_true", help="hunt those, too, that no check sees so far")
    p.add_argument("--verbose", action="store_true", help="say what the check said")
    p.add_argument("--json", metavar="FILE", help="write what was found")
    p.add_argument("--doc", metavar="FILE", help="put the table into docs/mutants.md")
    return p.parse_args()


def main():
    args = arguments()
    args.program = os.path.abspath(args.program)
    began = time.monotonic()
    mutants = read_table(TABLE)
    describe(args.program, mutants)
    mutants = chosen(args, mutants)
    good = judge(args, mutants)
    must = [m for m in mutants if m.expected]
    found = [m for m in must if m.seed is not None]
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump([{"mutant": m.name, "rule": m.rule, "how": m.how, "profile": m.profile, "seed": m.seed,
                        "check": m.check, "text": m.text, "wall_s": round(m.wall_s, 1)} for m in mutants], f, indent=1)
    if args.doc:
        write_doc(args.doc, mutants)
    print(f"mutants: {len(found)} of {len(must)} found, {len(mutants) - len(must)} that no check sees, "
          f"{time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Bad as e:
        sys.exit(f"mutants: {e}")
