"""The ground on which drills are held: a lab, a small cloud on the site's storage, and the canaries."""

import time

from holdlab.cloud import IMAGE, L3, OFFERING, Cloud
from holdlab.proc import LabError, wait_until

from .canary import Collector, CopyWatch
from .checker import Checker
from .results import percentile

BEAT_FRESH_NS = 2_000_000_000


class Ground:
    def __init__(self, lab, image, canaries, site):
        self.lab = lab
        self.site = site
        self.cloud = Cloud(lab, image, site.primary, site.takeover)
        self.names = [f"canary-{n}" for n in range(1, canaries + 1)]
        self.macs = {}           # instance name: MAC address, by which its canary names itself
        self.hosts = {}          # host UUID: lab host
        self.checker = Checker(may_speak=site.may_overlap)
        self.collector = None
        self.copies = None
        self._beats = {}         # MAC address: ns of the beats of this drill
        self._landings = []      # of this drill
        self.overlap_ms = []     # of this drill, where it is no fault: how long two copies of an instance ran

    def set_up(self):
        self.cloud.set_up()
        self.hosts = {h["meta"]["uuid"]: self.lab.host(h["spec"]["managementIp"]) for h in self.cloud.cli.json("host", "list")}
        self.collector = Collector(self.lab.config)
        self.copies = CopyWatch(self.lab.hosts)
        for i, name in enumerate(self.names):
            host = self.lab.hosts[i % len(self.lab.hosts)]
            self.cloud.cli.run("instance", "create", name, "--offering", OFFERING, "--image", IMAGE, "--network", L3, "--ha",
                               "NeverStop", "--host", self.cloud.host_name(host))
            self.macs[name] = self.cloud.instance(name)["spec"]["nics"][0]["mac"].lower()
        self.wait_all_well(180)
        self.site.watch(self.lab, self.cloud.cli, self.names)

    def tear_down(self):
        self.site.stop()
        if self.copies:
            self.copies.stop()

    # What is

    def host_of(self, instance):
        return self.hosts[instance["placement"]["hostUuid"]]

    def snapshot(self):
        """Canary's name: (its instance, its last beat)."""
        return {i["meta"]["name"]: (i, self.collector.last_beat(self.macs[i["meta"]["name"]]))
                for i in self.cloud.cli.json("instance", "list") if i["meta"]["name"] in self.macs}

    def wait_all_well(self, timeout):
        """All hosts are connected, all canaries run and are heard."""
        def ill():
            out = [f"{h['meta']['name']} is {h['status']['state']}" for h in self.cloud.cli.json("host", "list")
                   if h["status"]["state"] != "CONNECTED"]
            fresh_ns = time.time_ns() - BEAT_FRESH_NS
            for name, (instance, beat) in self.snapshot().items():
                if instance["status"]["state"] != "RUNNING":
                    out.append(f"{name} is {instance['status']['state']}")
                elif beat is None or beat.at_ns < fresh_ns:
                    out.append(f"{name} is not heard")
            return out
        end = time.monotonic() + timeout
        while problems := ill():
            if time.monotonic() > end:
                raise LabError(f"after {timeout} s, {', '.join(problems)}")
            time.sleep(0.1)

    def wait_new_run(self, beat_before, timeout):
        """The first beat that is heard of another boot than this beat's, as its canary's last one then."""
        def new():
            beat = self.collector.last_beat(beat_before.record.instance)
            return beat if beat.record.token != beat_before.record.token else None
        return wait_until("the canary of the next run", new, timeout, interval=0.05)

    # The judgement

    def take_verdict(self):
        """On all that was seen; then forgets what can no longer be contradicted."""
        self._beats = {}
        for beat in self.collector.take():
            self.checker.beat(beat)
            self._beats.setdefault(beat.record.instance, []).append(beat.at_ns)
        self._landings = self.site.tell(self.checker)
        verdict = self.checker.verdict()
        found, self.copies.found = self.copies.found, {}
        if self.site.may_overlap:
            self.overlap_ms = list(found.values())
        else:
            verdict.doubled += found
        self.checker.forget_before_last()
        return verdict

    def last_landing_ms(self, record, since_ms):
        """How long after that moment a run still wrote; 0: not at all. Of what the last verdict took in."""
        ends = [la.ended_ns // 1_000_000 - since_ms for la in self._landings
                if la.record.instance == record.instance and la.record.token == record.token]
        return max([ms for ms in ends if ms >= 0], default=0)

    def longest_gap_ms(self, mac, since_ms):
        """The longest silence of a canary since then, of the beats that the last verdict took in."""
        beats = [since_ms * 1_000_000] + sorted(ns for ns in self._beats.get(mac, []) if ns > since_ms * 1_000_000)
        gaps = [b - a for a, b in zip(beats, beats[1:])]
        return percentile(gaps, 1) // 1_000_000 if gaps else 0
