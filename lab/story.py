"""The story that ./demo tells: a cloud comes up, a host loses power, the leader dies, and what must not stop goes on."""

import os
import time

import takeover
from holdlab.cli import Watch
from holdlab.cloud import takeover_words
from holdlab.primary import answers_everywhere
from holdlab.probe import GuestProbe, WriteProbe, now_ms
from holdlab.proc import LabError, wait_until

ZONE, CLUSTER, IMAGE, OFFERING, L2, L3 = "zone-1", "cluster-1", "guest", "small", "em01", "flat"


class Story:
    def __init__(self, lab, cli, teller, image_path, primary, takeover_rule=None):
        """primary: of holdlab.primary. takeover_rule: of the cluster; None: it is told nothing."""
        self.lab = lab
        self.primary = primary
        self.takeover_rule = takeover_rule
        self.cli = cli
        self.teller = teller
        self.image_path = image_path
        self.report = {"profile": lab.config.profile, "storage": primary.label, "takeover": takeover_rule or "strict"}
        self.marks = []          # (Unix ms, what happened), for the timeline
        self.addresses = {}      # instance name: address
        self.dead = None         # the host that lost power

    def play(self):
        for step in (self.control_plane_and_hosts, self.infrastructure, self.image_and_networks, self.instances,
                     self.power_cut, self.leader_killed, self.host_returns, self.timeline):
            step()
        return self.report

    # 1

    def control_plane_and_hosts(self):
        self.teller.heading("1. Three control nodes elect a leader; three hosts dial in")
        self.primary.start(self.lab)
        self.lab.start_controls()
        self.teller.say(f"HOLDFAST_CONTROL={self.lab.config.control_list}")
        self.cli.wait("the election of a leader", self.cli.leader_id, timeout=30)
        self.cli.show("control", "status")
        self.lab.start_hosts()
        want = len(self.lab.hosts)
        self.cli.wait("the hosts' first call", lambda: len(self.cli.json("host", "pending")) == want, timeout=60)
        self.teller.say("Each host has namespaces, a libvirtd and a lease keeper of its own. They wait to be added:")
        self.cli.show("host", "pending")

    # 2

    def infrastructure(self):
        self.teller.heading(f"2. A zone, a cluster, the hosts, {self.primary.title}")
        self.cli.show("zone", "create", ZONE)
        self.cli.show("cluster", "create", CLUSTER, "--zone", ZONE, *takeover_words(self.takeover_rule))
        for host in self.lab.hosts:
            self.cli.show("host", "create", host_name(host), "--cluster", CLUSTER, "--address", host.address)
        self.cli.show(*self.primary.words(ZONE))
        self.cli.show("cluster", "attach-storage", CLUSTER, self.primary.name)
        self.cli.wait("a good word of all hosts on the storage",
                      lambda: answers_everywhere(self.cli, self.primary.name, len(self.lab.hosts)), timeout=60)
        self.cli.show("host", "list")
        self._show_heartbeats()

    def _show_heartbeats(self):
        storage = self.cli.get("storage", self.primary.name)["meta"]["uuid"]
        hosts = [h["meta"]["uuid"] for h in self.cli.json("host", "list")]

        def records():
            return [self.primary.record(self.lab, storage, h) for h in hosts]
        before = wait_until("the first heartbeats", lambda: (found := records()) and None not in found and found, timeout=60)
        self._show(*self.primary.listing(storage, self.lab.hosts[0]))
        wait_until("a new heartbeat of every host", lambda: all(now != b for now, b in zip(records(), before)), timeout=60)
        self.teller.say("Each host renews its lease there: all heartbeats moved while you read this.")

    # 3

    def image_and_networks(self):
        self.teller.heading("3. An image by URL, an offering, a flat network")
        url = self.lab.serve(os.path.dirname(self.image_path))
        with open(self.image_path + ".sha256", encoding="ascii") as f:
            checksum = f.read().strip()
        self.cli.show("image", "create", IMAGE, "--url", f"{url}/{os.path.basename(self.image_path)}", "--sha256", checksum,
                      "--format", "qcow2")
        self.cli.show("offering", "create", OFFERING, "--cpus", 1, "--memory", "128M")
        self.cli.show("l2", "create", L2, "--zone", ZONE, "--interface", "em01")
        self.cli.show("cluster", "attach-l2", CLUSTER, L2)
        self.cli.show("l3", "create", L3, "--l2", L2, "--range", "172.20.108.40-172.20.108.50", "--netmask", "255.255.0.0",
                      "--gateway", "172.20.0.1", "--dhcp-ip", "172.20.180.41")

    # 4

    def instances(self):
        self.teller.heading("4. Three instances; only vm-1 must never stop")
        common = ["--offering", OFFERING, "--image", IMAGE, "--network", L3]
        first, second = host_name(self.lab.hosts[0]), host_name(self.lab.hosts[1])
        self.cli.show("instance", "create", "vm-1", *common, "--ha", "NeverStop", "--host", first)
        self.cli.show("instance", "create", "vm-2", *common, "--host", second)
        self.cli.show("instance", "create", "vm-3", *common, "--host", first)
        self.cli.show("instance", "list")
        for name in ("vm-1", "vm-2", "vm-3"):
            self.addresses[name] = self.cli.get("instance", name)["spec"]["nics"][0]["ip"]
            status = self._guest(name).wait_status()
            if status["ip"] != self.addresses[name]:
                raise LabError(f"{name} has {status['ip']} by DHCP, not {self.addresses[name]}")
        self.teller.say("Their guests have their addresses by DHCP and reach each other:")
        self._show_ping("vm-1", "vm-2")
        self._show_ping("vm-2", "vm-3")
        for host in self.lab.hosts[:2]:
            self._show_on(host, "virsh", "list", "--all")
        self.teller.say("Each guest counts seconds on its disk:")
        for name in self.addresses:
            self._show_counter(name)

    # 5

    def power_cut(self):
        self.dead = self.lab.hosts[0]
        name = host_name(self.dead)
        self.teller.heading(f"5. {name}, the host of vm-1 and vm-3, loses power")
        before = self.cli.get("instance", "vm-1")
        status = self._guest("vm-1").wait_status()
        boots, counter = status["boots"], status["counter"]
        with Watch(self.cli, "host", "fence", "instance", "failover"):
            time.sleep(0.5)
            self.teller.prompt(f"lab/labctl power-off {self.dead.name}")
            cut_ms = self.dead.power_off()
            self.marks.append((cut_ms, f"{name} loses power"))
            probe = GuestProbe(self._guest("vm-1"), status["boot_id"])
            failover = self.cli.wait("the restart of vm-1 elsewhere", lambda: self._failover("vm-1", "runningAtMs"), timeout=240)
            wait_until("an answer of vm-1's guest", lambda: probe.up_at_ms, timeout=120)
            probe.stop()
            self.cli.wait("the end of vm-3 in the books", lambda: self._state("vm-3") == "STOPPED", timeout=120)
        after = self.cli.get("instance", "vm-1")
        self.report["failover"] = {
            "instance": "vm-1",
            "from_host": self._host_name_of(failover["fromHostUuid"]),
            "to_host": self._host_name_of(failover["toHostUuid"]),
            "run_before": int(failover["runBefore"]),
            "run_after": int(failover["runAfter"]),
            **takeover.of(self.cli, failover),
            **{f"{event}_ms": int(failover[f"{event}AtMs"]) - cut_ms for event in ("detected", "fenced", "placed", "running")},
            "recovery_ms": int(failover["runningAtMs"]) - cut_ms,
            "guest_up_ms": probe.up_at_ms - cut_ms,
            "counter_kept": probe.status["counter"] >= counter and probe.status["boots"] == boots + 1,
        }
        for event in ("detected", "fenced", "placed", "running"):
            self.marks.append((int(failover[f"{event}AtMs"]), f"vm-1: {event}"))
        self.marks.append((probe.up_at_ms, "vm-1: its guest answers on the network"))
        if after["spec"]["nics"] != before["spec"]["nics"] or not self.report["failover"]["counter_kept"]:
            raise LabError(f"vm-1 came back changed: counter {counter} → {probe.status['counter']}, boots {boots} → "
                           f"{probe.status['boots']}")
        self.cli.show("ha", "history")
        self.tell_fencing(self.report["failover"])
        self.cli.show("instance", "list")
        self.teller.say(f"vm-1 kept its address {self.addresses['vm-1']}, and its counter went on from its disk "
                        f"({counter} before the cut):")
        self._show_counter("vm-1")
        self.teller.say("vm-3 had no HA: it stopped with its host. Nothing of it is lost; started by hand elsewhere:")
        self.cli.show("instance", "start", "vm-3")
        self._guest("vm-3").wait_status()
        self._show_counter("vm-3")

    # 6

    def leader_killed(self):
        leader = self.lab.controls[self.cli.leader_id() - 1]
        self.teller.heading(f"6. The leader of the control plane, node {leader.number}, is killed")
        self.teller.say("Zones mark-1, mark-2, … are being created all the while.")
        probe = WriteProbe(self.cli, "mark")
        wait_until("the first acknowledged writes", lambda: len(probe.acknowledged) >= 5, timeout=30)
        self.teller.prompt(f"lab/labctl kill {leader.name}")
        killed_ms = leader.kill()
        wait_until("an acknowledged write after the leader's death", lambda: probe.gap_after(killed_ms) is not None, timeout=60)
        more = len(probe.acknowledged) + 5
        wait_until("more acknowledged writes", lambda: len(probe.acknowledged) >= more, timeout=60)
        probe.stop()
        self.cli.show("control", "status")
        self.report["leader"] = {"api_gap_ms": probe.gap_after(killed_ms), "acknowledged": len(probe.acknowledged)}
        self.marks.append((killed_ms, f"control node {leader.number}, the leader, is killed"))
        self.marks.append((killed_ms + probe.gap_after(killed_ms), "the API acknowledges writes again"))
        there = {z["meta"]["name"] for z in self.cli.json("zone", "list")}
        lost = [name for name, _began, _ended in probe.acknowledged if name not in there]
        self.report["leader"]["lost"] = len(lost)
        if lost:
            raise LabError(f"acknowledged writes are gone: {', '.join(lost)}")
        self.teller.say(f"The API was away for {self.report['leader']['api_gap_ms']} ms; all "
                        f"{len(probe.acknowledged)} acknowledged zones are there. The node comes back:")
        self.teller.prompt(f"lab/labctl start {leader.name}")
        leader.start()
        self.cli.wait("the node's return", self.cli.all_controls_in, timeout=60)
        self.cli.show("control", "status")
        for name in there:
            if name.startswith("mark-"):
                self.cli.run("zone", "delete", name)

    # 7

    def host_returns(self):
        name = host_name(self.dead)
        self.teller.heading(f"7. {name} gets its power back")
        epoch = int(self.cli.get("host", name)["status"]["epoch"])
        self.teller.prompt(f"lab/labctl power-on {self.dead.name}")
        self.dead.power_on()
        self.cli.wait(f"the return of {name}", lambda: self._is_back(name, epoch), timeout=120)
        self.marks.append((now_ms(), f"{name} is back, with epoch {self.cli.get('host', name)['status']['epoch']}"))
        self.cli.show("host", "list")
        self.wait_unblocked(self.dead)
        self.teller.say("It is clean: nothing of its former life runs there. And it takes work again:")
        self._show_on(self.dead, "virsh", "list", "--all")
        self.cli.show("instance", "create", "vm-4", "--offering", OFFERING, "--image", IMAGE, "--network", L3, "--host", name)
        self.addresses["vm-4"] = self.cli.get("instance", "vm-4")["spec"]["nics"][0]["ip"]
        self._guest("vm-4").wait_status()
        self._show_ping("vm-4", "vm-1")

    def _is_back(self, name, epoch_before):
        status = self.cli.get("host", name)["status"]
        return status["state"] == "CONNECTED" and int(status["epoch"]) > epoch_before

    # 8

    def timeline(self):
        self.teller.heading("8. What happened when")
        self.cli.show("ha", "fences")
        self.cli.show("ha", "history")
        self.marks.sort()
        start = self.marks[0][0]
        for at_ms, text in self.marks:
            self.teller.line(f"  {(at_ms - start) / 1000:9.3f} s  {text}")
        failover = self.report["failover"]
        self.teller.line()
        self.teller.line(f"  vm-1 ran again {failover['running_ms'] / 1000:.1f} s after the power cut (evidence: "
                         f"{failover['evidence']}), its guest answered after {failover['guest_up_ms'] / 1000:.1f} s.")
        self.teller.line(f"  The API was away for {self.report['leader']['api_gap_ms'] / 1000:.1f} s when its leader died.")

    # Fencing on Ceph

    def tell_fencing(self, told):
        """Shows that the lost host is on the cluster's blocklist, where a report of takeover.of() says so."""
        if "blocklist" not in told:
            return
        self.teller.say(f"The cluster refuses every write of the lost host since map {told['osdmap_epoch']}, "
                        f"{told['fencing_ms']} ms after the fence:")
        self._show(*self.primary.asked("ceph", "osd", "blocklist", "ls"))

    def wait_unblocked(self, host):
        """A host that is back is taken off the blocklist before it works on that storage again."""
        uuid = self.cli.get("host", host_name(host))["meta"]["uuid"]
        if not takeover.blocklists(self.cli, uuid):
            return
        self.cli.wait("the end of its blocklist entries", lambda: set(takeover.blocklists(self.cli, uuid)) == {"REMOVED"}, timeout=120)
        self.teller.say("Back in a later epoch, it is off the blocklist again:")
        self._show(*self.primary.asked("ceph", "osd", "blocklist", "ls"))

    # Small things

    def _guest(self, name):
        return self.lab.guest(self.addresses[name])

    def _state(self, instance):
        return self.cli.get("instance", instance)["status"]["state"]

    def _failover(self, instance, field):
        for f in self.cli.json("ha", "history"):
            if f["instanceName"] == instance and int(f.get(field, 0)):
                return f
        return None

    def _host_name_of(self, uuid):
        return self.cli.get("host", uuid)["meta"]["name"]

    def _show(self, command, printed):
        self.teller.prompt(command)
        self.teller.line(printed.rstrip("\n"))

    def _show_on(self, host, *argv):
        self._show(f"lab/labctl run {host.name} {' '.join(argv)}", host.run(*argv).stdout)

    def _show_ping(self, name, to):
        self.teller.prompt(f"lab/labctl guest {self.addresses[name]} '/ping?to={self.addresses[to]}'")
        answer = self._guest(name).ping(self.addresses[to])
        self.teller.line(f"{name} → {to}: {answer['summary']}")
        if not answer["ok"]:
            raise LabError(f"{name} does not reach {to} at {self.addresses[to]}")

    def _show_counter(self, name):
        self.teller.prompt(f"lab/labctl guest {self.addresses[name]} /status")
        status = self._guest(name).wait_status()
        self.teller.line(f"{name}: {status['ip']}, boot {status['boots']}, counter {status['counter']}")


def host_name(host):
    return f"host-{host.number}"
