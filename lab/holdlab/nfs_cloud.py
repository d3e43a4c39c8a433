"""A cloud whose hosts have an NFS client: one control node and an NFS server in the fabric of a UML lab, and machines that run
the keeper and the host daemon (and no libvirtd: what starts there plays a guest)."""

import json
import os

from .cli import CommandFailed
from .config import CONTROL_PORT, RAFT_PORT
from .ganesha import Ganesha
from .proc import run, wait_until
from .uml import UmlLab

ZONE, CLUSTER, STORAGE, EXPORT = "zone-1", "cluster-1", "nfs-1", "data"
MGMT, STORAGE_NET = "10.79.2", "10.79.1"
MOUNT_BASE = "/var/lib/holdfast/nfsprimarystorage"
GUEST = "a" * 32
FRESH_MS = 2000
WAIT_S = 90
LAB = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class NfsHost:
    """A machine with an address in both networks, vec0 for management and vec1 for storage."""

    def __init__(self, cloud, number, memory_mib):
        self.cloud, self.number, self.name = cloud, number, f"h{number}"
        self.mgmt_ip, self.storage_ip = f"{MGMT}.{20 + number}", f"{STORAGE_NET}.{20 + number}"
        self.machine = cloud.lab.machine(self.name, [("mgmt", f"{self.mgmt_ip}/24"), ("storage", f"{self.storage_ip}/24")],
                                         memory_mib)
        self.run, self.start, self.wait = self.machine.run, self.machine.start, self.machine.wait
        self.hostd = self.keeper = None

    def bin(self, name):
        return os.path.join(self.cloud.lab.bin_dir, name)

    def power_on(self):
        self.machine.power_on()
        self.run("mkdir -p /run/holdfast /var/lib/holdfast")
        self.start_keeper()
        self.start_hostd()

    def start_keeper(self, *more):
        self.keeper = self.start(self.bin("hf-lease"), "--profile", self.cloud.profile, *more, log="/run/hf-lease.log")

    def start_hostd(self):
        self.hostd = self.start(self.bin("hostd"), "--control", f"{MGMT}.1:{CONTROL_PORT}", "--management-ip", self.mgmt_ip,
                                "--cpus", 2, "--memory", "1GiB", "--accel", "tcg", log="/run/hostd.log")

    def log(self, name):
        return self.run("cat", f"/run/{name}.log")

    def mounts(self):
        """Of NFS: (mount point, export, options)."""
        found = []
        for line in self.run("cat", "/proc/self/mountinfo").splitlines():
            words = line.split()
            at = words.index("-")
            if words[at + 1] == "nfs4":
                found.append((words[4], words[at + 2], words[at + 3]))
        return found

    def keeper_view(self):
        return json.loads(self.run(self.bin("hf-lab-keeper"), "view"))

    def lease(self):
        """Of the only storage; None while the keeper has none."""
        return next(iter(self.keeper_view()["storages"]), None)

    def lease_is_fresh(self):
        lease = self.lease()
        return lease and not lease["closed"] and not lease["suspended"] and lease["age_ms"] < FRESH_MS

    def run_is(self, run):
        """What the keeper says of a run of GUEST; None: nothing."""
        return next((r for r in self.keeper_view()["runs"] if r["run"] == run), None)

    def start_writer(self, disk, *how):
        """Something that writes like a QEMU; returns its process number once it does. how: see lab/uml/guest.py."""
        with open(os.path.join(self.cloud.nfs.path(EXPORT), disk), "wb") as f:
            f.truncate(1 << 20)
        pid = self.start("/usr/bin/python3", os.path.join(LAB, "uml", "guest.py"), f"{self.root}/{disk}", 20, *how,
                         log="/run/guest.log")
        wait_until("the first write", lambda: self.cloud.written(disk), WAIT_S)
        return pid

    def start_guest(self, run, disk):
        """A writer that counts as a guest."""
        permit = [self.bin("hf-lab-keeper"), "begin", GUEST, self.keeper_view()["epoch"], run, self.cloud.storage_uuid]
        wait_until("a permit", lambda: self.run(*permit, check=False)[0] == 0, WAIT_S)
        pid = self.start_writer(disk, "locked", "native", "-name", f"guest={GUEST}", "-uuid", GUEST)
        self.run(self.bin("hf-lab-keeper"), "register", GUEST, run, pid)
        return pid

    def state_of(self, pid):
        """"D": in the kernel, "Z" or "": gone."""
        return self.run(f"cut -d' ' -f3 /proc/{pid}/stat", check=False)[1].strip()[:1]

    @property
    def root(self):
        return f"{MOUNT_BASE}/{self.cloud.storage_uuid}"


class NfsCloud:
    def __init__(self, name, bin_dir, hosts=2, profile="fast", memory_mib=256):
        self.profile = profile
        self.lab = UmlLab(name, bin_dir)
        self.size, self.memory_mib = hosts, memory_mib
        self.hosts, self.nfs, self.storage_uuid = [], None, None

    def set_up(self):
        lab = self.lab.create()
        lab.bridge("mgmt", f"{MGMT}.1/24")
        lab.bridge("storage", f"{STORAGE_NET}.1/24")
        self.nfs = Ganesha(lab, f"{STORAGE_NET}.1", [EXPORT]).start()
        data = os.path.join(lab.dir, "c1")
        os.makedirs(data)
        lab.serve([os.path.join(lab.bin_dir, "holdfastd"), "--id", "1", "--data-dir", data, "--profile", self.profile,
                   "--raft-address", f"{MGMT}.1:{RAFT_PORT}", "--api-address", f"{MGMT}.1:{CONTROL_PORT}", "--peers",
                   f"1={MGMT}.1:{RAFT_PORT}={MGMT}.1:{CONTROL_PORT}"], "holdfastd.log")
        self.hosts = [NfsHost(self, n + 1, self.memory_mib) for n in range(self.size)]
        for host in self.hosts:
            host.power_on()
        self.wait("the hosts' first call", lambda: len(self.json("host", "pending")) == self.size)
        self.cli("zone", "create", ZONE)
        self.cli("cluster", "create", CLUSTER, "--zone", ZONE)
        for host in self.hosts:
            self.cli("host", "create", host.name, "--cluster", CLUSTER, "--address", host.mgmt_ip)
        return self

    def take_down(self):
        self.lab.take_down()

    # The API

    def cli(self, *words, timeout=60):
        words = [str(w) for w in words]
        done = run("ip", "netns", "exec", self.lab.fabric, "env", f"HOLDFAST_CONTROL={MGMT}.1:{CONTROL_PORT}",
                   os.path.join(self.lab.bin_dir, "holdfast"), *words, check=False, timeout=timeout)
        if done.returncode != 0:
            raise CommandFailed(words, done.returncode, done.stderr.strip())
        return done.stdout

    def json(self, *words):
        return json.loads(self.cli("-o", "json", *words))

    def wait(self, what, condition, timeout=WAIT_S):
        def asked():
            try:
                return condition()
            except CommandFailed:
                return None
        return wait_until(what, asked, timeout, 0.2)

    def create_storage(self, name=STORAGE, **flags):
        flags = {"url": self.nfs.url(EXPORT), "storage-network-cidr": f"{STORAGE_NET}.0/24", **flags}
        self.cli("storage", "create", name, "--zone", ZONE, "--type", "NFS",
                 *(word for flag, value in flags.items() for word in (f"--{flag}", value)))
        self.storage_uuid = self.storage(name)["meta"]["uuid"]

    def storage(self, name=STORAGE):
        return self.json("storage", "get", name)

    def views(self, name=STORAGE):
        """What each host says of the storage, in the order of the hosts; None for one that has said nothing."""
        status = self.storage(name).get("status", {})
        told = {v["hostUuid"]: v for v in status.get("hosts", [])}
        return [told.get(self.json("host", "get", h.name)["meta"]["uuid"]) for h in self.hosts]

    def written(self, disk):
        """The number that stands in a guest's disk on the server."""
        with open(os.path.join(self.nfs.path(EXPORT), disk), "rb") as f:
            return f.read(16).split(b"\n")[0].strip(b"\0 ").decode()

    def wait_ok(self, name=STORAGE):
        self.wait("a good word of all hosts on the storage",
                  lambda: all(v and v.get("ok") for v in self.views(name)))
