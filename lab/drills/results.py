"""What many drills gave: the file in which they are gathered over several sittings, and the summary of it."""

import dataclasses
import json
import math
import os


@dataclasses.dataclass
class Result:
    """One drill."""
    number: int
    kind: str
    detail: str
    host: str
    promise: str
    running_ms: list = dataclasses.field(default_factory=list)   # per instance: from the failure until it runs elsewhere
    guest_ms: list = dataclasses.field(default_factory=list)     # … until its guest writes and is heard again
    gap_ms: list = dataclasses.field(default_factory=list)       # per instance that stayed: its canary's longest silence
    evidence: list = dataclasses.field(default_factory=list)     # kinds of proof that were used
    doubled: list = dataclasses.field(default_factory=list)      # sentences
    lost: list = dataclasses.field(default_factory=list)         # sentences: acknowledged and gone
    late_writes: int = 0                                         # held by the storage, landed after the next run's first
    needless: list = dataclasses.field(default_factory=list)     # sentences: instances that the failure did not concern
    failed: list = dataclasses.field(default_factory=list)       # sentences: what did not come as it must
    zombie_ms: list = dataclasses.field(default_factory=list)    # per instance of a paused host without watchdog: from the thaw
    #                                                              until the last write of the run that should be over; 0: none
    overlap_ms: list = dataclasses.field(default_factory=list)   # per instance with two copies, where a run is over when it cannot write
    fencing_ms: list = dataclasses.field(default_factory=list)   # per host and storage: from the fence to the blocklist's proof
    took_s: float = 0.0
    commit: str = "unknown"

    @property
    def good(self):
        return not self.doubled and not self.lost and not self.needless and not self.failed


SERIES = ("storage", "takeover", "profile", "seed")   # what all drills of a file have in common


class Book:
    """All results of a series, kept in a file after each drill; without a path only in memory."""

    def __init__(self, path, header):
        self.path = path
        self.header = header      # SERIES and commit
        self.results = []

    @classmethod
    def resume(cls, path, header):
        """Goes on with a file that is there; refuses one whose numbers would not add up with these."""
        book = cls(path, header)
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                old = json.load(f)
            for word in SERIES:
                if old.get(word) != header[word]:
                    raise ValueError(f"{path} holds drills of {word} {old.get(word)}, not {header[word]}")
            book.results = [Result(**r) for r in old["results"]]
        return book

    def add(self, result):
        result.commit = self.header["commit"]
        self.results.append(result)
        if self.path:
            with open(self.path + ".new", "w", encoding="utf-8") as f:
                json.dump({**self.summary(), "results": [dataclasses.asdict(r) for r in self.results]}, f, indent=1)
                f.write("\n")
            os.replace(self.path + ".new", self.path)

    def summary(self):
        kinds = {}
        for kind in sorted({r.kind for r in self.results}):
            of_kind = [r for r in self.results if r.kind == kind]
            kinds[kind] = {"n": len(of_kind), "running_ms": spread([ms for r in of_kind for ms in r.running_ms]),
                           "guest_ms": spread([ms for r in of_kind for ms in r.guest_ms]),
                           "gap_ms": spread([ms for r in of_kind for ms in r.gap_ms])}
            for name in ("zombie_ms", "overlap_ms", "fencing_ms"):
                values = spread([ms for r in of_kind for ms in getattr(r, name)])
                if values:
                    kinds[kind][name] = values
        return {"drills": len(self.results), "takeovers": sum(len(r.running_ms) for r in self.results),
                "doubled": sum(len(r.doubled) for r in self.results),
                "needless_kills": sum(len(r.needless) for r in self.results), "lost": sum(len(r.lost) for r in self.results),
                "failed": sum(bool(r.failed) for r in self.results), "late_writes": sum(r.late_writes for r in self.results),
                **self.header, "commit": ", ".join(dict.fromkeys(r.commit for r in self.results)), "kinds": kinds}

    @property
    def good(self):
        return all(r.good for r in self.results)


def percentile(values, share):
    """The smallest value that at least this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values):
    """n, p50, p99 and max; None without values."""
    if not values:
        return None
    return {"n": len(values), "p50": percentile(values, 0.5), "p99": percentile(values, 0.99), "max": max(values)}


def table(summary):
    """The summary for a person."""
    lines = [f"{'KIND':15} {'N':>4}  {'RUNNING p50':>11} {'p99':>7} {'max':>7}  {'GUEST p50':>9} {'max':>7}  {'GAP p50':>7} {'max':>7}"]

    def cell(values, word, width):
        return f"{values[word] / 1000:{width - 2}.2f} s" if values else " " * (width - 1) + "–"
    for name, k in summary["kinds"].items():
        lines.append(f"{name:15} {k['n']:4}  {cell(k['running_ms'], 'p50', 11)} {cell(k['running_ms'], 'p99', 7)} "
                     f"{cell(k['running_ms'], 'max', 7)}  {cell(k['guest_ms'], 'p50', 9)} {cell(k['guest_ms'], 'max', 7)}  "
                     f"{cell(k['gap_ms'], 'p50', 7)} {cell(k['gap_ms'], 'max', 7)}")
    lines.append(f"{summary['drills']} drills with {summary['takeovers']} takeovers, {summary['storage']}, {summary['takeover']}, "
                 f"profile {summary['profile']}, seed {summary['seed']}, commit {summary['commit']}: "
                 f"{summary['doubled']} doubled, {summary['lost']} lost, {summary['needless_kills']} needless kills, "
                 f"{summary['failed']} ended otherwise than they must; {summary['late_writes']} writes that a storage had taken "
                 "landed after the next run's first")
    return "\n".join(lines)
