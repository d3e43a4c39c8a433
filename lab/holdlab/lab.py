"""The whole lab: made, found again, taken down, also after a crash.

Everything that a lab leaves on the machine carries its name: its cgroups (and so its processes), its network namespaces
(and so its bridges and cables) and its directory. Taking down needs no more than the name.
"""

import concurrent.futures
import fcntl
import os
import shutil
import socket
import subprocess

from . import config as lab_config
from . import netns
from .ceph import Ceph
from .cgroup import Cgroup
from .config import Config, IMAGE_PORT, TENANT_CIDR
from .control import ControlNode
from .guest import Guest
from .host import Host
from .proc import ENVIRONMENT, LabError, run, wait_until

# Mount points that every host needs; a machine where libvirtd has never run, or a container, lacks some.
MOUNT_POINT_DIRS = ("/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt", "/mnt")
MOUNT_POINT_FILES = ("/etc/machine-id",)


class Lab:
    def __init__(self, config):
        self.config = config
        self.controls = [ControlNode(config, n) for n in range(1, config.controls + 1)]
        self.hosts = [Host(config, n) for n in range(1, config.hosts + 1)]
        self.outside = Cgroup(f"holdfast-{config.name}", "outside")
        self.ceph = None         # of a lab with Ceph, for the process that made it
        self._children = []

    # Life

    @classmethod
    def create(cls, config):
        """Racks everything, powered off: fabric, control nodes, hosts. Whatever a lab of this name left is removed first."""
        if os.geteuid() != 0:
            raise LabError("the lab makes namespaces, bridges and cgroups: run it as root")
        take_down(config.name)
        config.netns_was_mounted = netns.is_mounted()
        os.makedirs(config.dir, mode=0o700)
        config.made = [p for p in (*MOUNT_POINT_DIRS, *MOUNT_POINT_FILES) if not os.path.exists(p)]
        config.save()
        for p in config.made:
            if p in MOUNT_POINT_FILES:
                open(p, "x", encoding="ascii").close()
            else:
                os.makedirs(p)
        for d in (config.log_dir, config.shared_dir):
            os.makedirs(d)
        lab = cls(config)
        lab._build_fabric()
        for machine in (*lab.controls, *lab.hosts):
            machine.rack()
        return lab

    @classmethod
    def attach(cls, name):
        """A lab that another process made and left running."""
        config = lab_config.load(name)
        if not config or not netns.exists(config.fabric):
            raise LabError(f"no lab named '{name}' is running")
        return cls(config)

    def take_down(self):
        take_down(self.config.name)

    def _build_fabric(self):
        c = self.config
        netns.create(c.fabric)
        netns.bridge(c.fabric, "mgmt", f"{c.fabric_address}/24")
        netns.bridge(c.fabric, "tenant", TENANT_CIDR)
        if c.ceph:
            netns.bridge(c.fabric, "storage", f"{c.ceph_address}/24")
        try:
            netns.cable(c.fabric, "machine", "mgmt", None, c.machine_link, f"10.{c.octet}.0.1/24")
        except LabError as e:
            raise LabError(f"connect this machine to the lab's network 10.{c.octet}.0.0/24: {e}") from e
        self.outside.create()

    def start_controls(self):
        for node in self.controls:
            node.start()

    def start_hosts(self):
        """All at once."""
        with concurrent.futures.ThreadPoolExecutor(len(self.hosts)) as pool:
            for done in [pool.submit(h.power_on) for h in self.hosts]:
                done.result()

    # What stands in the fabric

    def spawn(self, argv, log_name, environment=None):
        """Starts something that stands outside of all hosts and ends with the lab."""
        with open(os.path.join(self.config.log_dir, f"{log_name}.log"), "ab") as log:
            child = subprocess.Popen(self.outside.joining(argv), env=environment or ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log, start_new_session=True)
        self._children.append(child)
        return child

    def start_ceph(self):
        """A Ceph cluster on the storage network of a lab with Ceph; returns it when it is up."""
        self.ceph = Ceph(self.config.dir, self.config.fabric, self.spawn, self.config.ceph_address, osds=2, copies=2).create()
        return self.ceph

    def serve(self, directory):
        """Serves a directory by HTTP on the management network; returns its URL."""
        c = self.config
        self.spawn(["ip", "netns", "exec", c.fabric, "/usr/bin/python3", "-m", "http.server", IMAGE_PORT, "--bind",
                    c.fabric_address, "--directory", directory], "images")
        wait_until("an answer of the image server", lambda: netns.call_in(c.fabric, is_listening, c.fabric_address, IMAGE_PORT),
                   timeout=10)
        return f"http://{c.fabric_address}:{IMAGE_PORT}"

    def start_power_devices(self):
        """A BMC for every host, for the fence agent lab/agents/fence_lab; until the lab is taken down."""
        argv = ["/usr/bin/python3", "-B", "-m", "holdlab.bmc", self.config.name]
        environment = dict(ENVIRONMENT, PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.spawn(argv, "bmc", environment)
        wait_until("the hosts' power devices", lambda: os.path.exists(os.path.join(self.config.dir, "bmc.socket")), timeout=10)

    def guest(self, address):
        return Guest(self.config.fabric, address)

    def host(self, name):
        for h in self.hosts:
            if name in (h.name, h.address):
                return h
        raise LabError(f"there is no host {name}: the lab has {', '.join(h.name for h in self.hosts)}")

    def control(self, name):
        for c in self.controls:
            if name in (c.name, c.address, str(c.number)):
                return c
        raise LabError(f"there is no control node {name}: the lab has {', '.join(c.name for c in self.controls)}")

    def logs(self):
        try:
            return sorted(os.path.join(self.config.log_dir, f) for f in os.listdir(self.config.log_dir))
        except OSError:
            return []


def remove_empty(path):
    """A mount point of ours; somebody else's by now if there is something in it."""
    try:
        if os.path.isdir(path):
            os.rmdir(path)
        elif os.path.getsize(path) == 0:
            os.unlink(path)
    except OSError:
        pass


def is_listening(address, port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((address, port)) == 0


def take_down(name):
    """Ends the lab of this name and removes every trace of it; fine when there is none."""
    config = lab_config.load(name)
    prefix = Config(bin_dir="", name=name).netns_prefix
    top = Cgroup(f"holdfast-{name}")
    groups = [Cgroup(f"holdfast-{name}", child) for child in top.children()]
    # The watchdogs first: one that sees its host die would count it as a hang. Then the storages: who waits for one cannot end.
    for group in sorted(groups, key=lambda g: (not g.path.endswith("outside"), not g.path.endswith("-storage"))):
        group.kill_all()
    for group in groups:
        group.remove()
    top.remove()
    for namespace in netns.with_prefix(prefix):
        netns.delete(namespace)
    run("ip", "link", "delete", Config(bin_dir="", name=name).machine_link, check=False)
    shutil.rmtree(lab_config.directory(name), ignore_errors=True)
    if config:
        for p in reversed(config.made):
            remove_empty(p)
        if not config.netns_was_mounted:
            netns.unmount_if_unused()


class Lock:
    """At most one process makes or ends the lab of a name at a time."""

    def __init__(self, name):
        self.name = name
        self.file = None

    def __enter__(self):
        self.file = open(f"/run/lock/holdfast-{self.name}.lock", "w", encoding="ascii")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(f"another process is working with the lab '{self.name}' right now") from None
        return self

    def __exit__(self, *_exc):
        try:
            os.unlink(self.file.name)
        finally:
            self.file.close()
