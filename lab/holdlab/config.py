"""What one lab consists of, and the names and addresses that follow from it."""

import dataclasses
import json
import os

STATE_FILE = "lab.json"
TENANT_CIDR = "172.20.0.1/16"  # the fabric plays the tenant network's gateway
IMAGE_PORT = 8000
CONTROL_PORT = 7480
RAFT_PORT = 7481


@dataclasses.dataclass
class Config:
    bin_dir: str                     # hf-lab-init, hf-lease, hostd, holdfastd, holdfast
    name: str = "demo"
    octet: int = 77                  # management network 10.<octet>.0.0/24, storage network 10.<octet>.1.0/24
    hosts: int = 3
    controls: int = 3
    profile: str = "default"         # timing profile of ha/ha_timing.h
    host_cpus: int = 4               # a lab host would see the whole machine: told instead of found
    host_memory_mib: int = 4096
    watchdog: bool = True
    own_storage: bool = False        # each host has its own mount of the shared directory, with faults (storage.py)
    ceph: bool = False               # a Ceph cluster in the fabric, on a storage network that every host has a cable to
    kvm: bool = False                # give hosts /dev/kvm
    made: list = dataclasses.field(default_factory=list)   # mount points outside of the lab's directory
    netns_was_mounted: bool = True

    @property
    def dir(self):
        return directory(self.name)

    @property
    def log_dir(self):
        return os.path.join(self.dir, "logs")

    @property
    def shared_dir(self):
        return os.path.join(self.dir, "shared")

    @property
    def netns_prefix(self):
        return f"hf-{self.name}-"

    @property
    def fabric(self):
        return self.netns_prefix + "fabric"

    @property
    def machine_link(self):
        """The machine's own interface on the management network."""
        return f"hf-{self.name}"[:15]

    @property
    def fabric_address(self):
        return f"10.{self.octet}.0.254"

    def control_address(self, n):
        return f"10.{self.octet}.0.{10 + n}"

    def host_address(self, n):
        return f"10.{self.octet}.0.{20 + n}"

    @property
    def storage_network(self):
        return f"10.{self.octet}.1.0/24"

    @property
    def ceph_address(self):
        return f"10.{self.octet}.1.254"

    def storage_address(self, n):
        return f"10.{self.octet}.1.{20 + n}"

    @property
    def control_list(self):
        return ",".join(f"{self.control_address(n)}:{CONTROL_PORT}" for n in range(1, self.controls + 1))

    def save(self):
        path = os.path.join(self.dir, STATE_FILE)
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump(dataclasses.asdict(self), f, indent=2)
        os.replace(path + ".new", path)


def directory(name):
    """On a real disk, not below /run: guests' disks and the Raft log are written with O_DIRECT."""
    return f"/var/tmp/holdfast-{name}"


def load(name):
    """The configuration that a running or crashed lab left; None when there is none."""
    try:
        with open(os.path.join(directory(name), STATE_FILE), encoding="utf-8") as f:
            return Config(**json.load(f))
    except (OSError, ValueError, TypeError):
        return None
