"""The keeper and the kernel's own watchdog (softdog), in a machine with a kernel of its own: whatever becomes of the keeper, the
machine is reset in time, and nothing of it is written after that. Its lease and its guest's disk lie on NFS, so that what they
write is seen from outside."""
import json
import os
import struct
import time

import pytest

from conftest import BUILD
from holdlab import ganesha, keeper as tool
from holdlab.proc import wait_until
from holdlab.uml import SOFTDOG_RESETS, UmlLab, available

TOOL = tool.__file__
KEEPER = os.path.join(BUILD, "bin", "hf-lease")
# Profile fast: the device is set to TIMEOUT_S and petted every PET_S.
TIMEOUT_S, PET_S = 2.0, 0.4
SLACK_S = 8  # a slow machine is late; what must not happen early does not depend on its speed
RECORD = "heartbeat-file-kvm-host-" + "11" * 16 + ".hb"


class Storage:
    """What the machine writes, as the server has it."""

    def __init__(self, folder):
        self.folder = folder

    def _read(self, name, n):
        try:
            with open(os.path.join(self.folder, name), "rb") as f:
                return f.read(n)
        except OSError:
            return b""

    def guest(self):
        data = self._read("guest", 8)
        return struct.unpack("<Q", data)[0] if len(data) == 8 else 0

    def guest_rests(self, seconds):
        before = self.guest()
        time.sleep(seconds)
        return self.guest() == before

    def written(self):
        return self.guest(), self._read(RECORD, 1 << 16)

    def last_write(self, seconds):
        """Watches for so long; when the last change was seen, on the monotonic clock."""
        seen, at = self.written(), None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.written()
            if now != seen:
                seen, at = now, time.monotonic()
            time.sleep(0.01)
        return at


@pytest.fixture
def nowayout():
    return 1


@pytest.fixture
def machine(nowayout):
    """A machine with the storage and softdog, which is not to be stopped by closing it."""
    missing = available() or ganesha.available()
    if missing:
        pytest.skip(missing)
    lab = UmlLab("uml-dog", os.path.join(BUILD, "bin"))
    try:
        lab.create().bridge("net", "10.79.11.1/24")
        server = ganesha.Ganesha(lab, "10.79.11.1", ["s1"]).start()
        made = lab.machine("h1", [("net", "10.79.11.21/24")]).power_on()
        made.run(f"modprobe softdog nowayout={nowayout}")
        made.run(f"mkdir -p /mnt/s1 && mount -t nfs -o vers=4.1,hard {server.url('s1')} /mnt/s1")
        made.storage = Storage(server.path("s1"))
        yield made
    finally:
        lab.take_down()


@pytest.fixture
def host(machine):
    """With a keeper, a lease and a guest that writes: the watchdog is armed."""
    start_keeper(machine)
    start_guest(machine)
    return machine


def start_keeper(machine):
    machine.keeper = machine.start(KEEPER, "--profile", "fast", "--watchdog", "/dev/watchdog1", log="/run/keeper.log")


def start_guest(machine, *more):
    machine.guest = int(machine.run(TOOL, "prepare", "/mnt/s1", *more, timeout=60))
    wait_until("the guest to write", lambda: machine.storage.guest() > 5, 30)


def view(machine):
    return json.loads(machine.run(TOOL, "view"))


def says(machine, words):
    """Waits inside: its log is gone with the next reset."""
    machine.run(f"until grep -qF '{words}' /run/keeper.log; do sleep 0.05; done", timeout=30)


def resets(machine):
    with open(machine.console, "rb") as f:
        return f.read().count(SOFTDOG_RESETS)


def is_reset_in_time(machine, at, after=0.0):
    """By its watchdog, not long after its time-out and `after` have passed since `at`; and no write comes later."""
    last = machine.storage.last_write(after + TIMEOUT_S + SLACK_S)
    machine.wait_boots(2)
    return resets(machine) == 1 and last is not None and last - at <= after + TIMEOUT_S + SLACK_S - 1


def lives_on(machine):
    time.sleep(2 * TIMEOUT_S)
    return len(machine.boots) == 1 and resets(machine) == 0


def test_it_is_petted_and_proves_nothing(host):
    told = view(host)
    assert told["watchdog"] == "software" and "it is a software watchdog" in told["problem"]
    assert lives_on(host)


def test_armed_before_the_first_guest(machine):
    """With nothing on the host yet: a keeper that dies now is followed by a reset."""
    start_keeper(machine)
    wait_until("the first pet", lambda: view(machine)["watchdog"] == "software", 30)
    machine.run("kill", "-9", machine.keeper)
    machine.wait_boots(2)
    assert resets(machine) == 1


def test_a_killed_keeper(host):
    at = time.monotonic()
    host.run("kill", "-9", host.keeper)
    assert is_reset_in_time(host, at)


def test_a_stopped_keeper(host):
    at = time.monotonic()
    host.run("kill", "-STOP", host.keeper)
    assert is_reset_in_time(host, at)


def test_the_holder_killed_with_it(host):
    """Then the kernel closes the device, and pets: once."""
    at = time.monotonic()
    host.run(f"kill -9 {host.keeper} $(pgrep -x hf-lease-holder)")
    assert is_reset_in_time(host, at)


def test_the_next_keeper_takes_over(host):
    """The device is open, so nobody else could open it; the guest goes on."""
    host.run("kill", "-9", host.keeper)
    start_keeper(host)
    host.run(TOOL, "adopt", timeout=60)
    before = host.storage.guest()
    assert lives_on(host)
    assert host.storage.guest() > before
    assert view(host)["watchdog"] == "software"


def test_a_machine_that_stood_still(host):
    """Past W as a whole: it is reset before it renews its lease or its guest writes once more."""
    host.freeze()
    time.sleep(0.5)  # what was on its way to the server has landed
    before = host.storage.written()
    time.sleep(2 * TIMEOUT_S)
    host.thaw()
    host.wait_boots(2)
    assert host.storage.written() == before and resets(host) == 1


def test_a_lost_storage_is_no_reset(host):
    """Its guests are killed in time, and the petting goes on."""
    host.lab.cut("net", True)
    wait_until("the end of the guest", lambda: host.run("kill", "-0", host.guest, check=False)[0] != 0, 30)
    says(host, "the watchdog is petted again")
    assert lives_on(host)


def test_a_guest_that_cannot_be_killed(machine):
    """It hangs in the kernel, where SIGKILL does not reach it: with its storage lost the machine has to go."""
    machine.run("modprobe loop; truncate -s 16M /run/disk && mkfs.ext4 -q /run/disk && mkdir /mnt/local && "
                "mount -o loop /run/disk /mnt/local")
    start_keeper(machine)
    start_guest(machine, "/mnt/local/file")
    machine.run("fsfreeze", "-f", "/mnt/local")
    wait_until("the guest to hang", lambda: machine.storage.guest_rests(1), 30)
    machine.lab.cut("net", True)
    says(machine, "its runs are killed")
    machine.wait_boots(2)
    assert resets(machine) == 1


@pytest.mark.parametrize("nowayout", [0])
def test_a_clean_end_disarms(machine):
    start_keeper(machine)
    says(machine, "software watchdog")
    machine.run("kill", "-TERM", machine.keeper)
    says(machine, "is disarmed")
    assert machine.wait(machine.keeper) == 0
    assert lives_on(machine)
    start_keeper(machine)  # and the next one arms it again
    start_guest(machine)
    at = time.monotonic()
    machine.run("kill", "-9", machine.keeper)
    assert is_reset_in_time(machine, at)


@pytest.mark.parametrize("nowayout", [0])
def test_an_end_beside_guests_does_not(host):
    at = time.monotonic()
    host.run("kill", "-TERM", host.keeper)
    assert is_reset_in_time(host, at)


def test_nowayout_cannot_be_disarmed(machine):
    """The keeper knows, and says so."""
    start_keeper(machine)
    says(machine, "software watchdog")
    machine.run("kill", "-TERM", machine.keeper)
    says(machine, "cannot be disarmed (nowayout): this machine is reset unless it is off within 2 s")
    machine.wait_boots(2)
    assert resets(machine) == 1
