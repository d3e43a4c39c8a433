"""One run of spin on one model: generate the verifier, compile it, search, and read what it found."""

import os
import re
import signal
import subprocess
import threading

RUN_TIMEOUT_S = 240
TRAIL_TIMEOUT_S = 60
MEMORY_MB = 6000
DEPTH = 3000000
TRAIL_STEPS = 80


class ModelError(Exception):
    """A model that does not compile, or a verifier that does not end: nothing was proven either way."""


class Children:
    """The programs that run now, so that an interrupt ends them and nothing else."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = set()
        self.ended = False

    def run(self, argv, cwd, timeout):
        with self.lock:
            if self.ended:
                raise ModelError("interrupted")
            # TMPDIR: a compiler that is killed leaves its files in the folder that goes with the run
            child = subprocess.Popen(argv, cwd=cwd, env=dict(os.environ, TMPDIR=cwd), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                     start_new_session=True)
            self.running.add(child)
        try:
            return child.communicate(timeout=timeout)[0], child.returncode
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise ModelError(f"{os.path.basename(argv[0])} ran longer than {timeout} s") from None
        finally:
            with self.lock:
                self.running.discard(child)

    def end(self):
        with self.lock:
            self.ended = True
            for child in self.running:
                os.killpg(child.pid, signal.SIGKILL)


class Result:
    def __init__(self, failed, states, seconds, unreached):
        self.failed = failed            # an assertion or the LTL property broke
        self.states = states
        self.seconds = seconds          # of the search
        self.unreached = unreached      # events, when nothing failed


class SpinRun:
    """Works in directory `work`, which holds the models; flags are -D options."""

    def __init__(self, children, work, model, flags):
        self.children, self.work, self.model, self.flags = children, work, f"{model}.pml", flags
        with open(os.path.join(work, self.model), encoding="utf-8") as f:
            self.lines = f.read().split("\n")
        self.liveness = any(line.startswith("ltl ") for line in self.lines)

    def step(self, argv, what):
        output, code = self.children.run(argv, self.work, RUN_TIMEOUT_S)
        if code != 0:
            raise ModelError(f"{what}: {' '.join(output.split())[-400:]}")
        return output

    def compile(self, *options):        # -O1: compiling takes longer than most searches
        # -o3: every statement keeps a state of its own, so that "unreached" is exact
        self.step(["spin", "-a", "-o3", *self.flags, self.model], "spin")
        kind = ["-DNFAIR=3"] if self.liveness else ["-DSAFETY"]
        self.step(["gcc", "-w", "-O1", *options, *kind, "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c"], "gcc")

    def search(self):
        """The whole state space, or up to the first error."""
        self.compile()
        options = ["-a", "-f"] if self.liveness else []
        output, code = self.children.run(["./pan", f"-m{DEPTH}", *options], self.work, RUN_TIMEOUT_S)
        found = re.search(r"errors: (\d+)", output)
        if code < 0 or not found:
            raise ModelError(f"the verifier ended without a result: {' '.join(output.split())[-300:]}")
        failed = found[1] != "0"
        if re.search(r"max search depth too small|out of memory|hash table full|error:", output):
            raise ModelError("the search was cut short: it proves nothing")
        if "invalid end state (" in output:
            raise ModelError("it comes to a state that nothing follows, and shows nothing of what comes later")
        states = int(float(re.search(r"([\d.e+]+) states, stored", output)[1]))
        seconds = re.search(r"elapsed time ([\d.e+]+)", output)
        return Result(failed, states, float(seconds[1]) if seconds else 0, set() if failed else self.unreached(output))

    def compiled_events(self):
        """Events that these flags leave in the model."""
        text = self.step(["gcc", "-E", "-P", "-x", "c", "-Devent(name)=EVENT__##name", *self.flags, self.model], "gcc -E")
        return set(re.findall(r"EVENT__(\w+)", text))

    def unreached(self, output):
        events = self.compiled_events()
        missed = set()
        for number in re.findall(re.escape(self.model) + r':(\d+), state \d+, "assert\(1\)"', output):
            missed.update(e for e in re.findall(r"event\((\w+)\)", self.lines[int(number) - 1]) if e in events)
        return missed

    def trail(self):
        """The failing run as lines of "who: what changed", the shortest there is where breadth-first search finds it."""
        try:
            if not self.liveness:
                self.compile("-DBFS")
                self.children.run(["./pan"], self.work, TRAIL_TIMEOUT_S)
        except ModelError:
            self.search()
        text = self.step(["spin", "-t", "-p", "-g", *self.flags, self.model], "spin -t")
        return self.shorten(text)

    def shorten(self, text):
        steps, state, before = [], {}, None
        for line in text.split("\n"):
            at = re.match(r"\s*\d+:\s+proc\s+\d+ \(([^):]+)\S*\) (\S+?):(\d+) ", line)
            value = re.match(r"\t\t(\S+) = (\S+)", line)
            if at:
                source = self.lines[int(at[3]) - 1] if at[2] == self.model else ""
                event = re.search(r"event\((\w+)\)", source)
                if not steps or steps[-1][0] != at[1] or (":: atomic {" in source and at[3] != before):
                    steps.append((at[1], [], {}))
                before = at[3]
                if event and event[1] not in steps[-1][1] and '[assert(1)]' in line:
                    steps[-1][1].append(event[1])
            elif value and steps and state.get(value[1]) != value[2]:
                state[value[1]] = steps[-1][2][value[1]] = value[2]
            elif "trail ends" in line:
                break
        told = [(who, events, changes) for who, events, changes in steps if events or changes]
        lines = [f"    {who:<10} {' '.join(f'[{e}]' for e in events)} {' '.join(f'{k}={v}' for k, v in changes.items())}"
                 for who, events, changes in told]
        if len(lines) > TRAIL_STEPS:
            lines = [f"    … {len(lines) - TRAIL_STEPS} steps before"] + lines[-TRAIL_STEPS:]
        return lines
