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
WAIT_S = 90


class NfsHost:
    """A machine with an address in both networks, vec0 for management and vec1 for storage."""

    def __init__(self, cloud, number, memory_mib):
        self.cloud, self.number, self.name = cloud, number, f"h{number}"
        self.mgmt_ip, self.storage_ip = f"{MGMT}.{20 + number}", f"{STORAGE_NET}.{20 + number}"
        self.machine = cloud.lab.machine(self.name, [("mgmt", f"{self.mgmt_ip}/24"), ("storage", f"{self.storage_ip}/24")],
                                         memory_mib)
        self.run, self.start = self.machine.run, self.machine.start
        self.hostd = self.keeper = None

    def bin(self, name):
        return os.path.join(self.cloud.lab.bin_dir, name)

    def power_on(self):
        self.machine.power_on()
        self.run("mkdir -p /run/holdfast /var/lib/holdfast")
        self.start_keeper()
        self.start_hostd()

    def start_keeper(self):
        self.keeper = self.start(self.bin("hf-lease"), "--profile", self.cloud.profile, log="/run/hf-lease.log")

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

    @property
    def root(self):
        return f"{MOUNT_BASE}/{self.cloud.storage_uuid}"


class NfsCloud:
    def __init__(self, name, bin_dir, hosts=2, profile="fast", memory_mib=160):
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

    def wait_ok(self, name=STORAGE):
        self.wait("a good word of all hosts on the storage",
                  lambda: all(v and v.get("ok") for v in self.views(name)))
