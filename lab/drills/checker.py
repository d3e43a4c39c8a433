"""What canaries saw, judged: were two runs of an instance ever alive at once, was anything lost that was acknowledged.

Takes three kinds of facts, in any order: a Beat is a record that a canary guest sent to its peer after it was on its disk, a
Landing is a record that reached the storage, a Found is one that stands there. A run is known by its token. Knows nothing of hosts, leases or fences, and shares
no code with what it judges.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Record:
    """What a canary writes and sends (lab/guest/canary.h)."""
    instance: str    # the MAC address of its first NIC
    token: str       # drawn at boot
    counter: int
    resumed: int     # the highest counter that its boot found on the disk


@dataclasses.dataclass(frozen=True)
class Beat:
    at_ns: int
    record: Record


@dataclasses.dataclass(frozen=True)
class Landing:
    began_ns: int
    ended_ns: int
    host: str
    held: bool       # the storage had taken it and kept it for a while
    record: Record


@dataclasses.dataclass(frozen=True)
class Found:
    at_ns: int       # when it was read: when it landed is not known
    record: Record


@dataclasses.dataclass
class Run:
    """One boot of an instance, as far as it was seen."""
    token: str
    resumed: int
    beats: list = dataclasses.field(default_factory=list)      # (ns, counter)
    landings: list = dataclasses.field(default_factory=list)   # Landing
    found: list = dataclasses.field(default_factory=list)      # (ns, counter)

    @property
    def first_sign_ns(self):
        return min([ns for ns, _counter in self.beats + self.found] + [la.began_ns for la in self.landings if not la.held],
                   default=None)

    @property
    def acknowledged(self):
        return max((counter for _ns, counter in self.beats), default=0)


@dataclasses.dataclass
class Verdict:
    """Sentences, each with the instance; empty lists are good."""
    doubled: list = dataclasses.field(default_factory=list)    # two runs alive, or a write of an old run after one of the new
    lost: list = dataclasses.field(default_factory=list)       # acknowledged by one run, not found by the next
    late: list = dataclasses.field(default_factory=list)       # writes that the storage had taken before and landed after the new
    #                                                            run's first: what file storage cannot exclude
    spoke: list = dataclasses.field(default_factory=list)      # an old run's beats after the new run's first sign, of writes that the
    #                                                            new run has found: where a run is over when it cannot write

    @property
    def good(self):
        return not self.doubled and not self.lost


class Checker:
    def __init__(self, may_speak=False):
        """may_speak: a run is over when none of its writes lands any more; it may still say what it has written before."""
        self.may_speak = may_speak
        self._runs = {}   # instance: {token: Run}

    def beat(self, beat):
        self._run_of(beat.record).beats.append((beat.at_ns, beat.record.counter))

    def landing(self, landing):
        self._run_of(landing.record).landings.append(landing)

    def found(self, found):
        self._run_of(found.record).found.append((found.at_ns, found.record.counter))

    def _run_of(self, record):
        runs = self._runs.setdefault(record.instance, {})
        return runs.setdefault(record.token, Run(record.token, record.resumed))

    def runs(self, instance):
        """Of an instance, in the order in which they were first seen alive."""
        seen = [r for r in self._runs.get(instance, {}).values() if r.first_sign_ns is not None]
        return sorted(seen, key=lambda r: r.first_sign_ns)

    def verdict(self):
        """On everything so far."""
        verdict = Verdict()
        for instance in sorted(self._runs):
            runs = self.runs(instance)
            for run in runs:
                _check_order(instance, run, verdict)
            for i, new in enumerate(runs):
                for old in runs[:i]:
                    self._check_beats(instance, old, new, verdict)
                    _check_pair(instance, old, new, verdict)
        return verdict

    def _check_beats(self, instance, old, new, verdict):
        after = [ns for ns, counter in old.beats if ns > new.first_sign_ns and (counter > new.resumed or not self.may_speak)]
        if after:
            verdict.doubled.append(f"{instance}: run {old.token[:8]} lived on for {_seconds(max(after) - new.first_sign_ns)} after "
                                   f"run {new.token[:8]} had begun ({len(after)} beats)")
        elif any(ns > new.first_sign_ns for ns, _counter in old.beats):
            verdict.spoke.append(f"{instance}: run {old.token[:8]} was heard after run {new.token[:8]} had begun, of earlier writes")

    def forget_before_last(self):
        """Drops what no later fact can contradict any more: all but the newest runs' signs. For long series, after a good
        verdict; late landings of a forgotten run are judged against its successor all the same."""
        for instance in list(self._runs):
            runs = self.runs(instance)
            for run in runs:
                run.beats = run.beats[:1] + run.beats[-1:] if len(run.beats) > 2 else run.beats
                plain = [la for la in run.landings if not la.held]
                run.landings = plain[:1] + plain[-1:] if len(plain) > 2 else plain
                run.found = run.found[:1] if run is runs[-1] else []


def _seconds(ns):
    return f"{ns / 1e9:.3f} s"


def _check_order(instance, run, verdict):
    """A guest counts up: a counter that comes again was counted by two copies of one run."""
    last = 0
    for at_ns, counter in sorted(run.beats):
        if counter <= last:
            verdict.doubled.append(f"{instance}: run {run.token[:8]} sent counter {counter} after {last}, at {_seconds(at_ns)}")
            return
        last = counter


def _check_pair(instance, old, new, verdict):
    began_ns = new.first_sign_ns
    after = [la for la in old.landings if la.ended_ns > began_ns]
    written = [la for la in after if not la.held]
    if written:
        hosts = ", ".join(sorted({la.host for la in written}))
        verdict.doubled.append(f"{instance}: run {old.token[:8]} wrote on from {hosts} for "
                               f"{_seconds(max(la.ended_ns for la in written) - began_ns)} after run {new.token[:8]} had begun "
                               f"({len(written)} writes)")
    unseen = [counter for _ns, counter in old.found if counter > new.resumed]
    if unseen:
        verdict.doubled.append(f"{instance}: the disk has counter {max(unseen)} of run {old.token[:8]}, where run {new.token[:8]} "
                               f"had read it up to {new.resumed} ({len(unseen)} writes)")
    for la in (la for la in after if la.held):
        verdict.late.append(f"{instance}: a write of run {old.token[:8]} that the storage held for {la.host} landed "
                            f"{_seconds(la.ended_ns - began_ns)} after run {new.token[:8]} had begun")
    if new.resumed < old.acknowledged:
        verdict.lost.append(f"{instance}: run {old.token[:8]} had acknowledged counter {old.acknowledged}, run {new.token[:8]} "
                            f"found {new.resumed} on the disk")
