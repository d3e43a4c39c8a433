#!/usr/bin/python3
"""Checks the models of the fencing protocol with spin, against expectations.txt; compares the smallest safe T with the header's.

Each run is a whole search, or it counts as failed. The last line is "N passed, N failed".
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from spin_run import Children, ModelError, SpinRun

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
AT_ONCE = 2
SEARCH_T_MAX = 60


class BadTable(Exception):
    pass


class Row:
    """One run: the model, its -D options, and what must come of it."""

    def __init__(self, model, name, expect, flags, never, text, quick):
        self.model, self.name, self.expect, self.flags = model, name, expect, flags
        self.never, self.text, self.quick = never, text, quick


class SmallestT:
    """A row of the table of T: `flags` but for T; two runs show that `least` is the smallest that is safe."""

    def __init__(self, model, numbers, least, flags, quick):
        self.model, self.numbers, self.least, self.flags, self.quick = model, numbers, least, flags, quick
        self.name = "T_" + "_".join(str(n) for n in numbers)

    def at(self, T, expect):
        text = f"13: T={T} is {'safe' if expect == 'pass' else 'too short'}"
        return Row(self.model, self.name, expect, [*self.flags, f"-DT={T}"], None, text, self.quick)

    def rows(self):
        return [self.at(self.least - 1, "fail"), self.at(self.least, "pass")]


class Table:
    """expectations.txt, read."""

    def __init__(self, path):
        self.lets, self.rows, self.smallest = {}, [], []
        model, common = None, None
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                line = line.strip()
                try:
                    if not line or line.startswith("#"):
                        continue
                    if line.startswith("let "):
                        name, words = line[4:].split("=", 1)
                        self.lets[name.strip()] = words.split()
                    elif line.startswith("[smallest_T "):
                        model, *words = line[1:-1].split()[1:]
                        common = self.flags(words)[0]
                    elif line.startswith("["):
                        model, common = line[1:-1], None
                    elif common is not None:
                        self.smallest.append(self.smallest_row(model, common, line))
                    else:
                        self.rows.append(self.row(model, line))
                except (ValueError, KeyError) as e:
                    raise BadTable(f"{path}:{number}: '{line}' is not a row that can be read ({e})") from None

    def flags(self, words):
        flags, never = [], set()
        for word in words:
            if word.startswith("$"):
                more = self.flags(self.lets[word[1:]])
                flags += more[0]
                never |= more[1]
            elif word.startswith("never:"):
                never.add(word[6:])
            elif word.startswith("-"):
                flags.append(f"-D{word[1:]}=0")
            else:
                flags.append(f"-D{word}")
        return flags, never

    def row(self, model, line):
        quick, line = line.startswith("*"), line.lstrip("* ")
        head, text = line.split(" | ", 1) if " | " in line else (line.split("|")[0], line.split("|")[1])
        name, expect, *words = head.split()
        if expect not in ("pass", "fail"):
            raise ValueError("neither pass nor fail")
        flags, never = self.flags(words)
        return Row(model, name, expect, flags, never, text.strip(), quick)

    def smallest_row(self, model, common, line):
        quick, line = line.startswith("*"), line.lstrip("* ")
        left, least = line.split("|")
        L, K, W, drift, F = numbers = [int(n) for n in left.split()]
        flags = [*common, f"-DL={L}", f"-DK={K}", f"-DW={W}", f"-DDRIFT={drift}"] + ([f"-DF={F}"] if F else [])
        return SmallestT(model, numbers, int(least), flags, quick)

    def models(self):
        return list(dict.fromkeys(r.model for r in self.rows))


class Checker:
    def __init__(self, work):
        self.work, self.children = work, Children()
        self.passed = self.failed = 0

    def directory(self):
        """A copy of the models per run: spin writes its files beside them."""
        d = tempfile.mkdtemp(dir=self.work)
        for name in os.listdir(HERE):
            if name.endswith((".pml", ".h")):
                shutil.copy(os.path.join(HERE, name), d)
        return d

    def judge(self, row):
        """(ok, states, seconds, why, trail)"""
        d = self.directory()
        try:
            spin = SpinRun(self.children, d, row.model, row.flags)
            result = spin.search()
            why, trail = "", []
            if result.failed and row.expect == "pass":
                why, trail = "it must pass, and fails:", spin.trail()
            elif not result.failed and row.expect == "fail":
                why = "it must fail, and passes: the rule is not needed, or the model does not look"
            elif not result.failed and row.never is not None and result.unreached != row.never:
                missed, seen = result.unreached - row.never, row.never - result.unreached
                why = " ".join([f"never reached: {', '.join(sorted(missed))}." if missed else "",
                                f"reached against 'never': {', '.join(sorted(seen))}." if seen else ""]).strip()
            return not why, result.states, result.seconds, why, trail
        except ModelError as e:
            return False, 0, 0, str(e), []
        finally:
            shutil.rmtree(d, ignore_errors=True)

    def run(self, rows):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                for row, verdict in zip(rows, pool.map(self.judge, rows)):
                    self.tell(row, *verdict)
            except BaseException:
                self.children.end()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def tell(self, row, ok, states, seconds, why, trail):
        self.passed += ok
        self.failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'}  {row.model:<16}  {row.name:<20}  {row.expect}  "
              f"{states:>9} states  {seconds:>5.1f} s  {row.text}", flush=True)
        if why:
            print(f"      {why}")
            print(f"      spin -a -o3 {' '.join(row.flags)} {row.model}.pml")
        for line in trail:
            print(line)

    def search_T(self, row):
        """The smallest T without an error, from L+K upwards; None above SEARCH_T_MAX."""
        L, K = row.numbers[:2]
        for T in range(L + K, SEARCH_T_MAX):
            d = self.directory()
            try:
                if not SpinRun(self.children, d, row.model, [*row.flags, f"-DT={T}"]).search().failed:
                    return T
            finally:
                shutil.rmtree(d, ignore_errors=True)
        return None


def header_T(work, smallest):
    """What ha_timing.h says for these rows, in ticks: its own macro, compiled."""
    calls = []
    for row in smallest:
        L, _, W, drift, F = row.numbers
        ppm = -(-1000000 // drift) if drift else 0
        calls.append(f'printf("%lld\\n", (long long)HF_HA_T({L}LL, {W}LL, {ppm}LL, {F}LL));')
    source, program = os.path.join(work, "header_T.c"), os.path.join(work, "header_T")
    with open(source, "w", encoding="utf-8") as f:
        f.write('#include <stdio.h>\n#include "ha/ha_timing.h"\nint main(void)\n{\n' + "\n".join(calls) + "\n}\n")
    subprocess.run(["gcc", f"-I{ROOT}", "-o", program, source], check=True)
    out = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return [int(n) for n in out.split()]


def compare_T(checker, smallest):
    """Prints the table; the smallest safe T must not exceed the header's."""
    if not smallest:
        return
    print("\n  L  K  W  drift   F | smallest safe T | header's T | spare")
    for row, header in zip(smallest, header_T(checker.work, smallest)):
        L, K, W, drift, F = row.numbers
        ok = row.least <= header
        checker.passed += ok
        checker.failed += not ok
        print(f" {L:>2} {K:>2} {W:>2}  {f'1/{drift}' if drift else '0':>5}  {F:>2} | {row.least:>15} | {header:>10} | "
              f"{header - row.least:>5}{'' if ok else '  FAIL: the header is too short'}")
    print()


def arguments(table):
    p = argparse.ArgumentParser(prog="./check model", description="Checks the models of the fencing protocol with spin. "
                                "Ends with a line 'N passed, N failed'.")
    p.add_argument("what", nargs="*", metavar="MODEL[/RUN]", help="only these: " + ", ".join(table.models()))
    p.add_argument("--quick", action="store_true", help="only the runs marked * in expectations.txt")
    p.add_argument("--list", action="store_true", help="say what there is, run nothing")
    p.add_argument("--trail", action="store_true", help="show the steps of runs that fail as they must")
    p.add_argument("--search", action="store_true", help="find the smallest safe T of each row anew (minutes)")
    return p.parse_args()


def chosen(table, args):
    """Rows and rows of T that are asked for; exits with the names that there are when one is unknown."""
    rows, smallest = list(table.rows), list(table.smallest)
    known = set(table.models()) | {f"{r.model}/{r.name}" for r in [*rows, *smallest]}
    for what in args.what:
        if what not in known:
            model = what.split("/")[0]
            there = sorted(k for k in known if k.startswith(model + "/")) if model in known else table.models()
            sys.exit(f"check model: there is no '{what}'; there is: {', '.join(there)}")

    def wanted(r):
        return (not args.what or r.model in args.what or f"{r.model}/{r.name}" in args.what) and \
            (r.quick or not args.quick)
    return [r for r in rows if wanted(r)], [s for s in smallest if wanted(s)]


def show_trails(checker, rows):
    for row in rows:
        if row.expect != "fail":
            continue
        d = checker.directory()
        spin = SpinRun(checker.children, d, row.model, row.flags)
        print(f"{row.model}/{row.name}: {row.text}")
        print("\n".join(spin.trail()), end="\n\n")
        shutil.rmtree(d)


def work(args, table, checker):
    rows, smallest = chosen(table, args)
    if args.list:
        for r in rows:
            print(f"{r.model}/{r.name:<20}  {r.expect}  {r.text}")
        return
    if args.trail:
        show_trails(checker, rows)
        return
    if args.search:
        for s in smallest:
            s.least = checker.search_T(s) or SEARCH_T_MAX
            print(f"{s.name}: T={s.least}", flush=True)
        compare_T(checker, smallest)
    else:
        checker.run(rows + [r for s in smallest for r in s.rows()])
        compare_T(checker, smallest)
    print(f"{checker.passed} passed, {checker.failed} failed")


def main():
    for tool in ("spin", "gcc"):
        if not shutil.which(tool):
            sys.exit(f"check model: {tool} is not installed; it is in Debian's package '{tool}' (scripts/install-deps)")
    try:
        table = Table(os.path.join(HERE, "expectations.txt"))
    except BadTable as e:
        sys.exit(f"check model: {e}")
    args = arguments(table)

    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    with tempfile.TemporaryDirectory(prefix="holdfast-model.") as directory:
        checker = Checker(directory)
        try:
            work(args, table, checker)
        except KeyboardInterrupt:
            checker.children.end()
            print("check model: interrupted", file=sys.stderr)
            return 130
    return 1 if checker.failed else 0


if __name__ == "__main__":
    sys.exit(main())
