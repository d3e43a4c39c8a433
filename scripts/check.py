"""What ./check does once everything is installed: builds, runs tests, adds up what passed and failed."""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "lab"))

from holdlab.lab import take_down  # noqa: E402
from holdlab.proc import Interrupted, LabError, ignore_signals, raise_on_signals  # noqa: E402

LAB_NAME = "check"
UNIT_TIMEOUT_S = 900
SYSTEM_TIMEOUT_S = 2400
FAILURE_LINES = 60
SIM_SECONDS = 180           # of new seeds in a plain ./check
SIM_TIMEOUT_S = 3600
MODEL_TIMEOUT_S = 1200
MUTANT_SEEDS = 20           # a plain ./check hunts the planted bugs that are found within so many
DRILLS = 8                  # of a plain ./check, on files
CEPH_DRILL = ("--storage", "ceph", "--takeover", "write-fenced", "--hosts", "3", "--kinds", "power,both", "--count", "1")
DRILL_TIMEOUT_S = 900
FAILED_SEEDS = os.path.join("sim", "testdata", "failed_seeds.txt")


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []      # (name, what it said)

    def fail(self, name, text, count=1):
        self.failed += count
        self.failures.append((name, text))

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return f"{text}, {self.skipped} skipped" if self.skipped else text


def run(argv, timeout, env=None):
    """Runs a step in a session of its own, so that it ends as a whole; returns (exit code or None, output)."""
    child = subprocess.Popen(argv, cwd=ROOT, env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                             start_new_session=True)
    try:
        return child.communicate(timeout=timeout)[0], child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        return child.communicate()[0] + f"\nended: it ran longer than {timeout} s", None
    except BaseException:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
        raise


def cmocka_count(word, text):
    return sum(int(n) for n in re.findall(rf"\[\s*{word}\s*\] (\d+) test\(s\)", text))


def add_unit_test(tally, case):
    """One ctest test is a cmocka program of many tests: each of them counts."""
    name, text = case.get("name"), case.findtext("system-out") or ""
    if case.find("skipped") is not None:
        tally.skipped += 1
        return
    tally.passed += cmocka_count("PASSED", text)
    tally.skipped += cmocka_count("SKIPPED", text)
    if case.find("failure") is not None or case.get("status") == "fail":
        tally.fail(name, text, max(1, cmocka_count("FAILED", text)))
    elif "test(s) run" not in text:
        tally.passed += 1


def run_unit(tally, build):
    report = os.path.join(build, "unit.xml")
    unlink(report)
    output, code = run(["ctest", "--test-dir", build, "-j", str(max(2, os.cpu_count() or 2)), "--output-junit", report,
                        "--test-output-size-passed", "10000000", "--test-output-size-failed", "10000000"],
                       UNIT_TIMEOUT_S)
    before = tally.failed
    try:
        for case in ElementTree.parse(report).iter("testcase"):
            add_unit_test(tally, case)
    except (OSError, ElementTree.ParseError):
        tally.fail("ctest", output)
    if code != 0 and tally.failed == before:
        tally.fail("ctest", output)


def run_system(tally, build, words):
    report = os.path.join(build, "system.xml")
    unlink(report)
    output, code = run([sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", report, "tests",
                        *words], SYSTEM_TIMEOUT_S, {"HOLDFAST_BUILD": build})
    before = tally.failed
    try:
        for case in ElementTree.parse(report).iter("testcase"):
            if any(e.tag in ("failure", "error") for e in case):
                tally.fail(f"{case.get('classname')}.{case.get('name')}", "told above, with the end of the lab's logs")
            elif case.find("skipped") is not None:
                tally.skipped += 1
            else:
                tally.passed += 1
    except (OSError, ElementTree.ParseError):
        tally.fail("pytest", output)
    if code not in (0, 5) and tally.failed == before:
        tally.fail("pytest", output)
    elif tally.failed > before:
        print(output)


def commit():
    """What is tested, for whoever wants to run it again."""
    def git(*words):
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None
    head = git("rev-parse", "--short=12", "HEAD")
    if head is None:
        return "unknown"
    return f"{head}-changed" if git("status", "--porcelain", "--untracked-files=no") else head


def sim_argv(build, words):
    return [os.path.join(build, "bin", "hf-sim"), "--commit", commit(), "--folder", os.path.join(build, "failures"), *words]


def sim_step(tally, build, name, words):
    """Runs hf-sim; returns its numbers, or None when it did not get so far."""
    report = os.path.join(build, "sim.json")
    unlink(report)
    output, code = run(sim_argv(build, [*words, "--json", report]), SIM_TIMEOUT_S)
    try:
        with open(report, encoding="utf-8") as f:
            numbers = json.load(f)
    except (OSError, ValueError):
        numbers = None
    if code != 0:
        tally.fail(name, output, max(1, numbers["failed_seeds"] if numbers else 1))
    return numbers


def run_sim(tally, build):
    """All seeds that ever failed, a budget of new ones, and two compilers' programs side by side."""
    old = sim_step(tally, build, "sim: seeds that failed once", ["--list", FAILED_SEEDS, "--shrink", "0"])
    if old:
        tally.passed += old["seeds"] - old["failed_seeds"]
    first = int.from_bytes(os.urandom(5), "big")
    new = sim_step(tally, build, f"sim: new seeds from {first} on", ["--seed", str(first), "--seconds", str(SIM_SECONDS)])
    if new:
        tally.passed += new["failed_seeds"] == 0
        print(f"simulation: {new['seeds']} new seeds from {first} on, {new['virtual_s'] / 3600:.1f} virtual hours, "
              f"{new['failovers']} failovers, {sum(new['faults'].values())} faults", flush=True)
    compare_compilers(tally, build)


def compare_compilers(tally, build):
    """The same seed gives the same trace, byte for byte, whatever compiled it and wherever it runs."""
    other = build_preset("sim-clang", "hf-sim") if shutil.which("clang") else build
    output, code = run([sys.executable, "-B", os.path.join("sim", "same_trace.py"), os.path.join(build, "bin", "hf-sim"),
                        os.path.join(other, "bin", "hf-sim")], SIM_TIMEOUT_S)
    if code == 0:
        tally.passed += 1
    else:
        tally.fail("sim: two compilers", output)


def mutants_argv(build, words):
    return [sys.executable, "-B", os.path.join(ROOT, "sim", "mutants.py"), "--program", os.path.join(build, "bin", "hf-sim"),
            *words]


def run_mutants(tally, build):
    """Planted bugs that the simulation must find: those that it finds soon."""
    output, code = run(mutants_argv(build, ["--quick", str(MUTANT_SEEDS)]), SIM_TIMEOUT_S)
    numbers = re.search(r"^mutants: (\d+) of (\d+) found", output, re.M)
    if numbers:
        tally.passed += int(numbers[1])
    if code != 0:
        missed = [line for line in output.splitlines() if "found by" not in line]
        tally.fail("mutants", "\n".join(missed), max(1, int(numbers[2]) - int(numbers[1])) if numbers else 1)


def model_argv(words):
    return [sys.executable, "-B", os.path.join(ROOT, "ha", "model", "run.py"), *words]


def run_model(tally):
    """The main runs on the models of the fencing protocol."""
    output, code = run(model_argv(["--quick"]), MODEL_TIMEOUT_S)
    numbers = re.search(r"^(\d+) passed, (\d+) failed$", output, re.M)
    if numbers:
        tally.passed += int(numbers[1])
    if code != 0:
        failed = [line for line in output.splitlines() if not line.startswith("ok  ")]
        tally.fail("model", "\n".join(failed), int(numbers[2]) if numbers else 1)


def drill_argv(build, words):
    return [sys.executable, "-B", os.path.join(ROOT, "lab", "drill.py"), "--build", build, "--commit", commit(), *words]


def run_drills(tally, build, *words):
    """Some failures of hosts, other ones each time, under canaries that show a double run."""
    report = os.path.join(build, "drills.json")
    unlink(report)
    seed = str(int.from_bytes(os.urandom(4), "big"))
    output, code = run(drill_argv(build, [*words, "--seed", seed, "--out", report]), DRILL_TIMEOUT_S)
    try:
        with open(report, encoding="utf-8") as f:
            good = [not (r["doubled"] or r["lost"] or r["needless"] or r["failed"]) for r in json.load(f)["results"]]
    except (OSError, ValueError):
        good = []
    tally.passed += sum(good)
    if code != 0:
        tally.fail(f"drills of seed {seed} ({' '.join(words)})", output, max(1, len(good) - sum(good)))


def unlink(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def build_preset(preset, *targets, say=None):
    """say: where its progress goes; standard output if not named."""
    if subprocess.run([os.path.join(ROOT, "scripts", "build"), preset, *targets], stdout=say, check=False).returncode != 0:
        print("0 passed, 1 failed")
        sys.exit(1)
    return os.path.join(ROOT, "build", preset)


def arguments():
    p = argparse.ArgumentParser(prog="./check", description="Installs what is missing, builds, runs the tests. Ends with a line "
                                "'N passed, N failed'.")
    p.add_argument("what", nargs="?", default="all", choices=("all", "unit", "system", "drill", "asan", "sim", "mutants", "model",
                                                             "bench"),
                   help="unit: the tests beside the code; system: the tests on the lab; drill: hosts of the lab fail in every way, "
                   "'drill --help' says how; asan: unit and system under "
                   "AddressSanitizer and UBSan; sim: whole clouds in virtual time, 'sim --help' says how; mutants: that the simulation "
                   "finds every planted bug; model: the fencing protocol under spin, 'model --help' says how; bench: 'bench api', "
                   f"against etcd, 'bench failover', 'bench keeper' (default: unit, model --quick, sim with {SIM_SECONDS} s of new seeds, mutants --quick, system, "
                   f"drill --count {DRILLS}, and one on Ceph)")
    p.add_argument("rest", nargs=argparse.REMAINDER, help="more words for pytest (system), the simulator (sim), the mutants, the "
                   "model or the benchmark (bench)")
    return p.parse_args()


def bench(words):
    programs = sorted(f[:-3] for f in os.listdir(os.path.join(ROOT, "bench")) if f.endswith(".py"))
    if not words or words[0] not in programs:
        sys.exit(f"check: bench what? There is: {', '.join(programs)}")
    build = build_preset("release")
    program = os.path.join(ROOT, "bench", f"{words[0]}.py")
    sys.exit(subprocess.run([sys.executable, "-B", program, "--build", build, *words[1:]], check=False).returncode)


def sim(words):
    """hf-sim with these words; --compilers compares the traces of two compilers' programs instead."""
    try:
        build = build_preset("sim", "hf-sim", say=sys.stderr)
    except KeyboardInterrupt:
        sys.exit(130)
    if words == ["--compilers"]:
        tally = Tally()
        compare_compilers(tally, build)
        for _, text in tally.failures:
            print(text)
        print(tally)
        sys.exit(1 if tally.failed else 0)
    sys.stdout.flush()
    argv = sim_argv(build, words)
    os.execv(argv[0], argv)


def check(args, tally):
    build = build_preset("asan" if args.what == "asan" else "dev")
    if args.what != "system":
        run_unit(tally, build)
        print(f"unit tests: {tally}", flush=True)
    if args.what == "all":
        run_model(tally)
        build_of_sim = build_preset("sim", "hf-sim")
        run_sim(tally, build_of_sim)
        run_mutants(tally, build_of_sim)
    if args.what != "unit":
        if subprocess.run([os.path.join(ROOT, "lab", "build-guest")], stdout=subprocess.DEVNULL, check=False).returncode:
            tally.fail("build-guest", "the guest image could not be built")
        else:
            run_system(tally, build, args.rest)
            if args.what == "all" and os.geteuid() == 0:
                run_drills(tally, build, "--count", str(DRILLS))
                run_drills(tally, build, *CEPH_DRILL)


def main():
    args = arguments()
    if args.what == "bench":
        bench(args.rest)
    if args.what == "sim":
        sim(args.rest)
    if args.what == "mutants":
        argv = mutants_argv(build_preset("sim", "hf-sim"), args.rest)
        os.execv(argv[0], argv)
    if args.what == "drill":
        argv = drill_argv(build_preset("sim" if "--mutant" in args.rest else "dev", say=sys.stderr), args.rest)
        os.execv(argv[0], argv)
    if args.what == "model":
        argv = model_argv(args.rest)
        os.execv(argv[0], argv)
    raise_on_signals()
    tally = Tally()
    try:
        check(args, tally)
    except Interrupted as e:
        tally.fail("check", f"ended by {e}")
    finally:
        ignore_signals()
        try:
            take_down(LAB_NAME)
        except LabError as e:
            tally.fail("clean-up", str(e))
    for name, text in tally.failures:
        print(f"\n--- FAILED: {name}")
        print("\n".join(text.splitlines()[-FAILURE_LINES:]))
    if tally.failures:
        print()
    print(tally)
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
