"""The lab itself: that its failures are what they claim, and that nothing of it stays on the machine."""

import os
import signal
import subprocess
import sys

import pytest

from conftest import BUILD, ROOT
from holdlab import netns
from holdlab.cgroup import Cgroup
from holdlab.config import Config
from holdlab.lab import Lab, take_down
from holdlab.proc import LabError, run, wait_until

NAME = "check-lab"


def traces():
    links = run("ip", "-brief", "link").stdout
    return [t for t in (
        *netns.with_prefix(f"hf-{NAME}-"),
        *([Cgroup(f"holdfast-{NAME}").path] if os.path.isdir(Cgroup(f"holdfast-{NAME}").path) else []),
        *([Config(bin_dir="", name=NAME).dir] if os.path.exists(Config(bin_dir="", name=NAME).dir) else []),
        *(line for line in links.splitlines() if line.startswith(Config(bin_dir="", name=NAME).machine_link)),
    )]


def config():
    return Config(bin_dir=os.path.join(BUILD, "bin"), name=NAME, octet=79, hosts=1, controls=1, watchdog=False)


@pytest.fixture
def lab():
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    try:
        yield Lab.create(config())
    finally:
        take_down(NAME)
        assert traces() == []


def test_power_cut_ends_everything_and_a_new_boot_is_a_new_boot(lab):
    host = lab.hosts[0]
    host.power_on(services=("libvirtd",))
    boot_id = host.run("cat", "/proc/sys/kernel/random/boot_id").stdout
    host.run("touch", "/run/volatile", "/mnt/state/durable", "/mnt/shared/common")
    host.power_off()
    assert not host.is_on() and host.cgroup.pids() == []
    with pytest.raises(LabError, match="is off"):
        host.run("true")
    host.power_on(services=())
    assert host.run("cat", "/proc/sys/kernel/random/boot_id").stdout != boot_id
    assert host.run("test", "-e", "/run/volatile", check=False).returncode != 0
    host.run("test", "-e", "/mnt/state/durable")
    assert os.path.exists(os.path.join(lab.config.shared_dir, "common"))


def test_frozen_host_stands_still_and_loses_power_all_the_same(lab):
    host = lab.hosts[0]
    host.power_on(services=())
    host.run("sh", "-c", "while :; do date +%s%N >/mnt/state/beat; sleep 0.01; done >/dev/null 2>&1 &")
    beat = os.path.join(host.dir, "state", "beat")

    def read():
        with open(beat, encoding="ascii") as f:
            return f.read()
    wait_until("the first beat", lambda: os.path.exists(beat), timeout=10)
    host.freeze()
    still = read()
    wait_until("a thaw", lambda: host.thaw() or read() not in ("", still), timeout=10)
    host.freeze()
    host.power_off()
    assert not host.is_on()


def test_pulled_cable(lab):
    host = lab.hosts[0]
    host.power_on(services=())
    ping = ("ping", "-c", "1", "-W", "1", lab.config.fabric_address)
    assert host.run(*ping, check=False).returncode == 0
    host.unplug()
    assert host.run(*ping, check=False).returncode != 0
    host.plug()
    wait_until("the network's return", lambda: host.run(*ping, check=False).returncode == 0, timeout=20)


def test_what_a_killed_run_left_is_removed():
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    program = ("import sys, time\nsys.path.insert(0, sys.argv[1])\n"
               "from holdlab.config import Config\nfrom holdlab.lab import Lab\n"
               f"lab = Lab.create(Config(bin_dir=sys.argv[2], name={NAME!r}, octet=79, hosts=1, controls=1, watchdog=False))\n"
               "lab.hosts[0].power_on(services=('libvirtd',))\nprint('up', flush=True)\ntime.sleep(600)\n")
    child = subprocess.Popen([sys.executable, "-B", "-c", program, os.path.join(ROOT, "lab"), os.path.join(BUILD, "bin")],
                             stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert traces(), "the killed run left its lab"
    finally:
        child.kill()
        take_down(NAME)
    assert traces() == []
