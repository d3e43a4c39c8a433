"""One drill: a host fails, what the rules promise comes or does not, the host comes back."""

import time

from holdlab.proc import LabError

from .kinds import EITHER, ELSEWHERE, NEXT_EPOCH, SAME_EPOCH, STAYS
from .results import Result

SETTLE_S = 90          # at least, for each thing that must come; a machine that is busy with other things takes its time
OWN_WORD = {"CLOSED_AND_KILLED", "NEXT_EPOCH"}


def now_ms():
    return time.time_ns() // 1_000_000


class Drill:
    def __init__(self, ground, number, host, kind):
        self.ground = ground
        self.cli = ground.cloud.cli
        self.host = host
        self.kind = kind
        kind.lab = ground.lab
        self.fences = set()    # names of all there were before
        self.result = Result(number, kind.name, kind.describe(), host.name, kind.promise)
        self.before = {}       # all canaries: name: (instance object, last beat)
        self.victims = []      # names of those on the host
        self.epoch = 0
        self.failed_at_ms = 0
        self.healed_at_ms = 0  # of an unproven kind
        self.settle_s = max(SETTLE_S, 2 * kind.timing.takeover_s)

    def run(self):
        began = time.monotonic()
        self.epoch = self._host_status()["epoch"]
        self.before = self.ground.snapshot()
        self.fences = set(self._fences())
        self.victims = [name for name, (instance, _beat) in self.before.items() if self.ground.host_of(instance) is self.host]
        try:
            self.failed_at_ms = now_ms()
            self.kind.inject(self.host)
            self._outcome()
        except LabError as e:
            self.result.failed.append(str(e))
        finally:
            self._heal()
        self._look_on()
        self._judge()
        self.result.took_s = round(time.monotonic() - began, 1)
        return self.result

    # The outcome

    def _outcome(self):
        if self.kind.promise == ELSEWHERE and self.kind.hold_s == 0:
            self._wait_elsewhere()
            return
        self.kind.hold(self.host)
        if self.kind.unproven:
            self._wait_held()
            self.healed_at_ms = now_ms()
            self.kind.heal(self.host)
        if self.kind.promise == EITHER:
            self.kind.promise = ELSEWHERE if not self.host.is_on() or self._is_given_up() else STAYS
        if self.kind.promise == ELSEWHERE:
            self._wait_elsewhere()

    def _is_given_up(self):
        """A host that goes on may have been fenced already, where that takes less than its watchdog."""
        timing = self.kind.timing
        end = time.monotonic() + (timing.lease_s + timing.kill_s if self.ground.site.may_overlap else 0)
        while time.monotonic() < end:
            if any(int(self.ground.snapshot()[name][0]["placement"]["run"]) != self._run_before(name) for name in self.victims):
                return True
            time.sleep(0.2)
        return not self.host.is_on()

    def _wait_elsewhere(self):
        waiting = set(self.victims)
        running = {}

        def all_run():
            for instance in self.cli.json("instance", "list"):
                name = instance["meta"]["name"]
                if name in waiting and self._runs_anew(name, instance):
                    running.setdefault(name, now_ms())
            return waiting <= running.keys()
        self.cli.wait(f"the restart of {', '.join(sorted(waiting))} elsewhere", all_run, self.settle_s, interval=0.05)
        books = {f["instanceName"]: f for f in self.cli.json("ha", "history")
                 if int(f["runBefore"]) == self._run_before(f["instanceName"])}
        for name in sorted(waiting):
            book = books.get(name, {})
            at_ms = int(book.get("runningAtMs", 0)) or running[name]
            self.result.running_ms.append(at_ms - self.failed_at_ms)
            self.result.evidence.append(book.get("evidence", "stopped"))
            beat = self.ground.wait_new_run(self.before[name][1], self.settle_s)
            self.result.guest_ms.append(beat.at_ns // 1_000_000 - self.failed_at_ms)

    def _wait_held(self):
        """Nobody has restarted anything, and the alarm says why."""
        host = self._host_status()
        says = " ".join(c["message"] for c in host.get("conditions", []))
        if "no hardware watchdog" not in says:
            self.result.failed.append(f"nothing says that the silence of a host without a watchdog proves nothing: '{says}'")
        for name in self.victims:
            if int(self.ground.snapshot()[name][0]["placement"]["run"]) != self._run_before(name):
                self.result.failed.append(f"{name} was given another run while its host was paused")

    def _run_before(self, name):
        return int(self.before[name][0]["placement"]["run"]) if name in self.before else -1

    def _runs_anew(self, name, instance):
        return (int(instance["placement"]["run"]) > self._run_before(name) and instance["status"]["state"] == "RUNNING" and
                (self.kind.back_first or self.ground.host_of(instance) is not self.host))

    # Back to normal

    def _heal(self):
        self.kind.heal(self.host)
        if not self.host.is_on():
            self.host.power_off()  # what stands beside a host that its watchdog has reset
            self.ground.site.mend(self.host)
            self.host.power_on()
        for service in ("libvirtd", "hf-lease", "hostd"):
            if not self.host.pids(service):
                self.host.start(service)
        want = {NEXT_EPOCH: lambda e: e > int(self.epoch), SAME_EPOCH: lambda e: e == int(self.epoch)}.get(
            self.kind.epoch, lambda e: True)

        def back():
            status = self._host_status()
            return status["state"] == "CONNECTED" and want(int(status["epoch"]))
        try:
            self.cli.wait(f"{self.ground.cloud.host_name(self.host)} connected in the {self.kind.epoch} epoch", back, self.settle_s)
            self.ground.wait_all_well(self.settle_s)
        except LabError as e:
            self.result.failed.append(str(e))

    def _host_status(self):
        return self.cli.get("host", self.ground.cloud.host_name(self.host))["status"]

    def _fences(self):
        """All there are: "<host uuid>/<epoch>": the fence."""
        return {f["meta"]["name"]: f for f in self.cli.json("ha", "fences")}

    def _look_on(self):
        """What must not come needs time to show that it does not: every deadline that the failure could have touched."""
        if self.kind.promise == STAYS:
            timing = self.kind.timing
            left_ms = self.failed_at_ms + (timing.lease_s + timing.kill_s) * 1000 + 1000 - now_ms()
            time.sleep(max(left_ms / 1000, 1))

    # The judgement

    def _judge(self):
        verdict = self.ground.take_verdict()
        self.result.doubled += verdict.doubled
        self.result.lost += verdict.lost
        self.result.late_writes = len(verdict.late)
        if verdict.late and not self.kind.late_writes:
            self.result.failed.append(f"{len(verdict.late)} writes landed late, where none may be held: {verdict.late[0]}")
        self.result.overlap_ms = self.ground.overlap_ms
        self._judge_fences()
        after = self.ground.snapshot()
        if self.healed_at_ms:
            self.result.zombie_ms = [self.ground.last_landing_ms(self.before[name][1].record, self.healed_at_ms)
                                     for name in self.victims]
        for name, (instance, beat) in self.before.items():
            changed = [what for what, is_changed in (
                ("its run", int(after[name][0]["placement"]["run"]) != int(instance["placement"]["run"])),
                ("its guest's boot", after[name][1] is None or after[name][1].record.token != beat.record.token)) if is_changed]
            concerned = name in self.victims and self.kind.promise == ELSEWHERE
            if changed and not concerned and not self.kind.everybody:
                self.result.needless.append(f"{name} on {self.ground.host_of(instance).name} has not kept {' and '.join(changed)}")
            if not changed and name in self.victims and not concerned:
                self.result.gap_ms.append(self.ground.longest_gap_ms(beat.record.instance, self.failed_at_ms))

    def _judge_fences(self):
        new = {name: f for name, f in self._fences().items() if name not in self.fences}
        for name, fence in new.items():
            proofs = {e["kind"] for e in fence.get("evidence", [])}
            if self.kind.nobody_fenced and not proofs <= OWN_WORD:
                self.result.failed.append(f"{name} was fenced for an outage of the cluster itself: {', '.join(sorted(proofs))}")
            self.result.fencing_ms += [int(e["recordedAtMs"]) - int(fence["meta"]["createdAtMs"])
                                       for e in fence.get("evidence", []) if e["kind"] == "BLOCKLIST"]
