"""The primary storage that a lab's cloud stands on: what the lab needs for it, how it is created, what lies on it."""

import os

from . import ceph
from .host import SHARED_MOUNT
from .proc import LabError, run

TAKEOVERS = ("strict", "write-fenced")
RECORD = "heartbeat-file-kvm-host-{}.hb"   # a host's lease record, by its UUID


class SharedDirectory:
    """The directory that every host finds at the same path."""
    name, label, title = "shared-1", "file", "a shared primary storage"

    def config(self):
        """Members of the lab's Config."""
        return {}

    def start(self, lab):
        """Starts what the storage itself consists of."""

    def words(self, zone):
        """The words that create it."""
        return ["storage", "create", self.name, "--zone", zone, "--type", "SharedMountPoint", "--path", SHARED_MOUNT]

    def record(self, lab, _storage_uuid, host_uuid):
        """A host's lease record as it is now; None while there is none."""
        try:
            with open(os.path.join(lab.config.shared_dir, RECORD.format(host_uuid)), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def listing(self, _storage_uuid, host):
        """What a person at the lab types to see what lies on it, and what that prints."""
        argv = ["ls", "-l", SHARED_MOUNT]
        return f"lab/labctl run {host.name} {' '.join(argv)}", host.run(*argv).stdout


class CephPools:
    """A Ceph cluster in the fabric, reached by a storage network of its own."""
    name, label, title = "ceph-1", "ceph", "a Ceph cluster as primary storage"

    def __init__(self):
        why = ceph.available()
        if why:
            raise LabError(why)
        self.cluster = None
        self._key = ""

    def config(self):
        return {"ceph": True}

    def start(self, lab):
        self.cluster = lab.start_ceph()
        self._key = os.path.join(self.cluster.dir, "admin.key")
        with open(self._key, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write(self.cluster.key())

    def words(self, zone):
        return ["storage", "create", self.name, "--zone", zone, "--type", "Ceph", "--monitor", self.cluster.monitors, "--user",
                "admin", "--key", f"@{self._key}"]

    def record(self, _lab, storage_uuid, host_uuid):
        return self.cluster.read(_root_pool(storage_uuid), RECORD.format(host_uuid))

    def listing(self, storage_uuid, _host):
        return self.asked("rados", "-p", _root_pool(storage_uuid), "ls")

    def asked(self, *words):
        """What the cluster's administrator types to ask it, and what that prints."""
        argv = ["ip", "netns", "exec", self.cluster.fabric, words[0], "-c", self.cluster.config, *words[1:]]
        return " ".join(argv), run(*argv).stdout


STORAGES = {kind.label: kind for kind in (SharedDirectory, CephPools)}


def _root_pool(storage_uuid):
    return f"pri-v-r-{storage_uuid}"


def answers_everywhere(cli, name, hosts):
    """Whether so many hosts have said that the storage is well."""
    views = cli.get("storage", name).get("status", {}).get("hosts", [])
    return sum(bool(v.get("ok")) for v in views) == hosts
