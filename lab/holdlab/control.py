"""A control node of the lab: holdfastd in a network namespace of its own."""

import os
import shutil
import subprocess
import time

from . import netns
from .cgroup import Cgroup
from .config import CONTROL_PORT, RAFT_PORT
from .proc import ENVIRONMENT, LabError, wait_until


LAB_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class ControlNode:
    def __init__(self, config, number):
        self.config = config
        self.number = number
        self.name = f"c{number}"
        self.address = config.control_address(number)
        self.netns = config.netns_prefix + self.name
        self.dir = os.path.join(config.dir, self.name)
        self.log = os.path.join(config.log_dir, f"{self.name}.holdfastd.log")
        self.cgroup = Cgroup(f"holdfast-{config.name}", self.name)
        self._child = None

    def rack(self):
        os.makedirs(self.dir, exist_ok=True)
        netns.create(self.netns)
        netns.cable(self.config.fabric, f"{self.name}-m", "mgmt", self.netns, "eth0", f"{self.address}/24")
        if self.config.ceph:
            netns.route(self.netns, self.config.storage_network, self.config.fabric_address)
        self.cgroup.create()

    def unrack(self):
        self.cgroup.kill_all()
        self.cgroup.remove()
        netns.delete(self.netns)

    def start(self):
        if self.cgroup.pids():
            raise LabError(f"control node {self.name} runs already")
        argv = ["ip", "netns", "exec", self.netns, os.path.join(self.config.bin_dir, "holdfastd"),
                "--id", self.number, "--data-dir", self.dir, "--profile", self.config.profile,
                "--fence-agent-dir", os.path.join(LAB_DIR, "agents"),
                "--raft-address", f"{self.address}:{RAFT_PORT}", "--api-address", f"{self.address}:{CONTROL_PORT}",
                "--peers", ",".join(f"{n}={a}:{RAFT_PORT}={a}:{CONTROL_PORT}"
                                    for n, a in ((n, self.config.control_address(n))
                                                 for n in range(1, self.config.controls + 1)))]
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(self.cgroup.joining(argv), env=ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log, start_new_session=True)
        wait_until(f"the start of control node {self.name}",
                   lambda: self.cgroup.pids() or self._child.poll() is not None, timeout=10)

    def kill(self):
        """SIGKILL; returns the Unix time in ms at which it was sent."""
        at_ms = int(time.time() * 1000)
        self.cgroup.kill_all()
        if self._child:
            self._child.poll()
        return at_ms

    def stop(self):
        """SIGTERM: it hands its leadership over and ends."""
        self.cgroup.end_all()

    def is_running(self):
        return bool(self.cgroup.pids())

    def wipe(self):
        """An empty data directory, as on a machine that was replaced."""
        shutil.rmtree(self.dir)
        os.makedirs(self.dir)

    def unplug(self):
        netns.run("ip", "-n", self.config.fabric, "link", "set", f"{self.name}-m", "down")

    def plug(self):
        netns.run("ip", "-n", self.config.fabric, "link", "set", f"{self.name}-m", "up")
