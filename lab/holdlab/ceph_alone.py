"""A Ceph cluster without a lab around it, for tests that need no more: in a network namespace of its own, with others beside it
for machines that have an address each."""
import contextlib
import os
import subprocess
import tempfile

from . import ceph, netns
from .cgroup import Cgroup

NETWORK = "10.79.9"
POOL = "unit"


class Alone:
    def __init__(self, name, directory, mons):
        self.fabric, self.group, self.directory = f"hf-{name}", Cgroup(f"holdfast-{name}"), directory
        self.address = f"{NETWORK}.254"
        self.mons, self.ceph, self.machines = mons, None, []

    def machine(self, number):
        """The name of a namespace and its address; made at first use."""
        name, address = f"{self.fabric}-{number}", f"{NETWORK}.{number}"
        if name not in self.machines:
            self.machines.append(name)
            netns.create(name)
            netns.cable(self.fabric, f"m{number}", "mgmt", name, "eth0", f"{address}/24")
        return name, address

    def far(self, number):
        """Another cluster, on the machine of that number, with a pool of the same name."""
        name, address = self.machine(number)
        far = ceph.Ceph(os.path.join(self.directory, f"far-{number}"), name, self._spawn, address).create()
        far.command({"prefix": "osd pool create", "pool": POOL, "pg_num": 8})
        return far

    def _spawn(self, argv, log):
        with open(os.path.join(self.directory, f"{log}.log"), "ab") as out:
            return subprocess.Popen(self.group.joining(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def start(self):
        self.group.create()
        netns.create(self.fabric)
        netns.bridge(self.fabric, "mgmt", f"{self.address}/24")
        self.ceph = ceph.Ceph(self.directory, self.fabric, self._spawn, self.address, mons=self.mons).create()
        self.ceph.command({"prefix": "osd pool create", "pool": POOL, "pg_num": 8})

    def end(self):
        self.group.kill_all()
        self.group.remove()
        for name in self.machines:
            netns.delete(name)
        netns.delete(self.fabric)


def unavailable():
    """None, or a sentence why not."""
    return "it needs root, for a network namespace" if os.geteuid() != 0 else ceph.available()


@contextlib.contextmanager
def cluster(name, mons=1):
    """A cluster that is up, with one pool; all of it ends with the block."""
    name = f"{name}-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix=f"holdfast-{name}-", dir="/var/tmp") as directory:
        was_mounted = netns.is_mounted()
        alone = Alone(name, directory, mons)
        try:
            alone.start()
            yield alone
        finally:
            alone.end()
            if not was_mounted:
                netns.unmount_if_unused()
