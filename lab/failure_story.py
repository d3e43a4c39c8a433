"""The story that ./demo --failure tells: one host fails in one way, and what must not stop goes on, once."""

import dataclasses
import time

import takeover
from drills import timing
from drills.canary import Collector, CopyWatch
from drills.checker import Checker
from holdlab.cli import Watch
from holdlab.probe import now_ms
from holdlab.proc import LabError, wait_until
from story import IMAGE, L3, OFFERING, Story, host_name

SETTLE_S = 180
VICTIM, WITNESS = "vm-1", "vm-2"   # the instance on the host that fails, and one elsewhere that nothing may happen to


@dataclasses.dataclass
class Failure:
    title: str
    before: str              # what is about to happen
    prompt: str              # as labctl would be told
    inject: callable         # (host)
    after: str               # what became of it
    elsewhere: bool          # vm-1 starts elsewhere; else it stays where it is, in the same run
    lasts_s: callable = None  # (timing): stays: for how long
    end_prompt: str = ""
    end: callable = None     # (host); a host that has lost its power is switched on again besides
    same_life: bool = False  # the host comes back in the epoch that it had
    fenced_after: str = ""   # what became of it where the cluster's blocklist was proof enough


FENCED = "Its lease record stood still; every client of it was put on the Ceph cluster's blocklist, and nothing else waited for."
KILLED_AND_SAID_SO = "Its keeper froze the guest at L, killed it at L+K, saw it gone and said so: no silence had to be waited for."

FAILURES = {
    "power": Failure(
        "loses power", "Everything that runs there ends at once, and nobody can say so.", "power-off {host}",
        lambda host: host.power_off(),
        "Its lease record stood still on the storage; the other hosts saw it, wrote the mark, and read again.", True,
        fenced_after=FENCED),
    "partition": Failure(
        "loses its management network", "The control plane hears nothing of it any more. But it lives, and so do its guests.",
        "unplug {host}", lambda host: host.unplug(),
        "Its lease record moved on the storage all the while: so it lived, and its guests were left alone.", False,
        lasts_s=lambda t: t.takeover_s + 4, end_prompt="plug {host}", end=lambda host: host.plug(), same_life=True),
    "storage": Failure(
        "loses its storage", "Every read and write of the host fails; its network is well. It cannot renew its lease.",
        "storage {host} eio", lambda host: host.storage.fault("eio"),
        KILLED_AND_SAID_SO, True, end_prompt="storage {host} land", end=lambda host: host.storage.land()),
    "freeze": Failure(
        "stands still as a whole", "CPUs, guests, keeper: nothing moves, as in a machine that hangs. Only its watchdog counts.",
        "freeze {host}", lambda host: host.freeze(),
        "The watchdog reset the host before its silence counted as proof. Letting it go on now wakes nobody up.", True,
        end_prompt="thaw {host}", end=lambda host: host.thaw()),
    "hostd": Failure(
        "loses its host daemon", "hostd is killed. Leases, guests and the watchdog are the keeper's business, which lives.",
        "kill {host} hostd", lambda host: host.kill("hostd"),
        "Nothing happened to the guests; the new hostd asks the keeper what runs and goes on.", False,
        lasts_s=lambda t: t.takeover_s + 4, end_prompt="start {host} hostd", end=lambda host: host.start("hostd"),
        same_life=True),
    "keeper": Failure(
        "loses its lease keeper", "hf-lease is killed, and nobody starts it again. Nothing pets the watchdog now.",
        "kill {host} hf-lease", lambda host: host.kill("hf-lease"),
        "The watchdog reset the host: a host without a keeper must not run guests, and cannot.", True),
}
CEPH_FAILURES = {
    **FAILURES,
    "storage": Failure(
        "loses its storage network", "It alone does not reach the Ceph cluster any more. It cannot renew its lease.",
        "unplug {host} --network storage", lambda host: host.unplug("storage"), KILLED_AND_SAID_SO, True,
        end_prompt="plug {host} --network storage", end=lambda host: host.plug("storage")),
    "both": Failure(
        "loses both its networks", "Nobody hears of it, and it reaches neither control plane nor Ceph. But its guest runs on.",
        "unplug {host}; lab/labctl unplug {host} --network storage", lambda host: (host.unplug(), host.unplug("storage")),
        "Its lease record stood still on the storage; its watchdog, or its own keeper, had ended its guest by then.", True,
        end_prompt="plug {host}; lab/labctl plug {host} --network storage", end=lambda host: (host.plug("storage"), host.plug()),
        fenced_after=FENCED),
}
FAILURES_ON = {"file": FAILURES, "ceph": CEPH_FAILURES}


class FailureStory:
    def __init__(self, lab, cli, teller, image_path, failure, site):
        self.lab = lab
        self.site = site
        self.cli = cli
        self.teller = teller
        self.name = failure
        self.failure = FAILURES_ON[site.primary.label][failure]
        self.base = Story(lab, cli, teller, image_path, site.primary, site.takeover)
        self.timing = timing.load(lab.config.bin_dir, lab.config.profile)
        self.host = lab.hosts[0]
        self.epoch = 0
        self.failed_ms = 0
        self.before = None        # vm-1 as the API has it
        self.token = None         # of vm-1's canary
        self.addresses = {}
        self.macs = {}
        self.collector = None
        self.report = {**self.base.report, "failure": failure, "instance": VICTIM, "host": host_name(self.host)}

    def play(self):
        for step in (self.base.control_plane_and_hosts, self.base.infrastructure, self.base.image_and_networks, self.instances):
            step()
        watch = CopyWatch(self.lab.hosts)
        self.site.watch(self.lab, self.cli, [VICTIM, WITNESS])
        try:
            self.fail()
            self.host_returns()
            watch.stop()
            self.judge(watch)
        finally:
            watch.stop()
            self.site.stop()
        self.tell()
        return self.report

    # 4

    def instances(self):
        self.teller.heading(f"4. {VICTIM} must never stop; {WITNESS} runs elsewhere")
        self.collector = Collector(self.lab.config)
        for name, host in ((VICTIM, self.host), (WITNESS, self.lab.hosts[1])):
            self.cli.show("instance", "create", name, "--offering", OFFERING, "--image", IMAGE, "--network", L3, "--ha",
                          "NeverStop", "--host", host_name(host))
            nic = self.cli.get("instance", name)["spec"]["nics"][0]
            self.addresses[name], self.macs[name] = nic["ip"], nic["mac"].lower()
            wait_until(f"the first word of {name}'s guest", lambda m=self.macs[name]: self.collector.last_beat(m), timeout=SETTLE_S)
        self.cli.show("instance", "list")
        self.teller.say("Each guest counts on its disk, twenty times a second, and tells a peer what the disk has.")

    # 5

    def fail(self):
        failure, name = self.failure, host_name(self.host)
        self.teller.heading(f"5. {name}, the host of {VICTIM}, {failure.title}")
        self.teller.say(failure.before)
        self.epoch = int(self.cli.get("host", name)["status"]["epoch"])
        self.before = self.cli.get("instance", VICTIM)
        self.token = self._beat(VICTIM).record.token
        with Watch(self.cli, "host", "fence", "instance", "failover"):
            time.sleep(0.5)
            self._prompt(failure.prompt)
            self.failed_ms = now_ms()
            failure.inject(self.host)
            if failure.elsewhere:
                self._wait_elsewhere()
            else:
                time.sleep(failure.lasts_s(self.timing))
        self.cli.show("instance", "list")
        self.teller.say(failure.fenced_after if self.report.get("evidence") == "blocklist" else failure.after)
        self.base.tell_fencing(self.report)

    def _wait_elsewhere(self):
        run = int(self.before["placement"]["run"])

        def runs_anew():
            now = self.cli.get("instance", VICTIM)
            return now if int(now["placement"]["run"]) > run and now["status"]["state"] == "RUNNING" else None
        after = self.cli.wait(f"the restart of {VICTIM} elsewhere", runs_anew, SETTLE_S)
        seen_ms = now_ms()
        book = next((f for f in self.cli.json("ha", "history")
                     if f["instanceName"] == VICTIM and int(f["runBefore"]) == run), {})
        beat = wait_until(f"a word of {VICTIM}'s guest", lambda: self._new_beat(), timeout=SETTLE_S)
        self.report.update({
            "to_host": self.cli.get("host", after["placement"]["hostUuid"])["meta"]["name"],
            "run_before": run, "run_after": int(after["placement"]["run"]),
            **(takeover.of(self.cli, book) if book else {"evidence": "none is recorded"}),
            **{f"{event}_ms": int(book[f"{event}AtMs"]) - self.failed_ms for event in ("detected", "fenced", "placed", "running")
               if int(book.get(f"{event}AtMs", 0))},
            "guest_up_ms": beat.at_ns // 1_000_000 - self.failed_ms,
        })
        self.report.setdefault("running_ms", seen_ms - self.failed_ms)
        self.report["recovery_ms"] = self.report["running_ms"]

    # 6

    def host_returns(self):
        failure, name = self.failure, host_name(self.host)
        self.teller.heading(f"6. {name} is mended")
        if failure.end:
            self._prompt(failure.end_prompt)
            failure.end(self.host)
        if not self.host.is_on():
            self._prompt("power-on {host}")
            self.host.power_off()
            self.host.power_on()
        mended_ms = now_ms()

        def back():
            status = self.cli.get("host", name)["status"]
            return status["state"] == "CONNECTED" and status
        status = self.cli.wait(f"the return of {name}", back, SETTLE_S)
        self.report["host_back_ms"] = now_ms() - mended_ms
        self.report["host_epochs"] = [self.epoch, int(status["epoch"])]
        if failure.same_life and int(status["epoch"]) != self.epoch:
            raise LabError(f"{name} came back in epoch {status['epoch']}, though nothing had to end its epoch {self.epoch}")
        self.cli.show("host", "list")
        self.base.wait_unblocked(self.host)
        time.sleep(1)  # a last chance for an old copy to say something

    # 7

    def judge(self, watch):
        checker = Checker(may_speak=self.site.may_overlap)
        for beat in self.collector.take():
            checker.beat(beat)
        self.site.tell(checker)
        verdict = checker.verdict()
        if self.site.may_overlap:
            self.report["overlap_ms"] = sum(watch.found.values())
        else:
            verdict.doubled += watch.found
        self.report.update({"doubled": len(verdict.doubled), "lost": len(verdict.lost),
                            "late_writes": len(verdict.late), "beats": self._count(checker, VICTIM)})
        for sentence in (*verdict.doubled, *watch.found, *verdict.lost):
            self.teller.say(sentence)
        if not verdict.good:
            raise LabError("an instance ran twice, or lost what it had acknowledged")
        kept = [VICTIM, WITNESS] if not self.failure.elsewhere else [WITNESS]
        restarted = [name for name in kept if len(checker.runs(self.macs[name])) != 1]
        self.report["needless_kills"] = len(restarted)
        if restarted:
            raise LabError(f"{', '.join(restarted)} did not keep running, though nothing was wrong with it")
        if not self.failure.elsewhere:
            self.report["longest_gap_ms"] = self._longest_gap(checker)

    def _count(self, checker, name):
        return sum(len(run.beats) for run in checker.runs(self.macs[name]))

    def _longest_gap(self, checker):
        times = [ns for run in checker.runs(self.macs[VICTIM]) for ns, _counter in run.beats if ns > self.failed_ms * 1_000_000]
        return max((b - a for a, b in zip(times, times[1:])), default=0) // 1_000_000

    def tell(self):
        self.teller.heading("7. What happened when")
        r = self.report
        if self.failure.elsewhere:
            if "fenced_ms" in r:
                self.cli.show("ha", "history")
                self.cli.show("ha", "timeline", "--instance", VICTIM)
            self.teller.line(f"\n  {VICTIM} ran again on {r['to_host']} {r['running_ms'] / 1000:.1f} s after the failure (evidence: "
                             f"{r['evidence']}), its guest was heard after {r['guest_up_ms'] / 1000:.1f} s.")
        else:
            self.teller.line(f"\n  {VICTIM} never stopped: its guest's longest silence was {r['longest_gap_ms']} ms.")
        self.teller.line(f"  {r['beats']} records of its guest were checked: no second copy, nothing lost that was acknowledged.")

    # Small things

    def _prompt(self, words):
        self.teller.prompt("lab/labctl " + words.format(host=self.host.name))

    def _beat(self, name):
        return self.collector.last_beat(self.macs[name])

    def _new_beat(self):
        beat = self._beat(VICTIM)
        return beat if beat.record.token != self.token else None
