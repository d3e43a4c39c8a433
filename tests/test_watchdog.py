"""The stand-in for a hardware watchdog (lab/wdog.c), with real processes in a cgroup of their own."""
import os
import signal
import subprocess
import time

import pytest

from conftest import BUILD

WDOG = os.path.join(BUILD, "bin", "hf-lab-wdog")
ROOTS = ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"]  # version 1, version 2 beside it, version 2
WAIT_S = 20


def wait_for(what, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


class Host:
    """A group with victims in it, its FIFO, and the watchdog outside."""

    def __init__(self, tmp, timeout_ms):
        root = next((r for r in ROOTS if os.path.exists(os.path.join(r, "cgroup.procs"))), None)
        if root is None or os.geteuid() != 0:
            pytest.skip("needs root and a cgroup that can be frozen")
        self.group = os.path.join(root, f"holdfast-wdog-test-{os.getpid()}")
        os.mkdir(self.group)
        self.fifo = os.path.join(tmp, "watchdog")
        os.mkfifo(self.fifo)
        self.victims = [self.victim() for _ in range(3)]
        self.log = open(os.path.join(tmp, "log"), "w+")
        self.wdog = subprocess.Popen([WDOG, self.fifo, self.group, str(timeout_ms)], stderr=self.log)
        wait_for(lambda: "waits for the first byte" in self.told())

    def victim(self):
        p = subprocess.Popen(["sleep", "1000"])
        with open(os.path.join(self.group, "cgroup.procs"), "w") as f:
            f.write(str(p.pid))
        return p

    def told(self):
        self.log.seek(0)
        return self.log.read()

    def lives(self):
        return [p.poll() is None for p in self.victims]

    def writer(self):
        return os.open(self.fifo, os.O_WRONLY | os.O_CLOEXEC)

    def freeze(self, frozen):
        v1 = os.path.join(self.group, "freezer.state")
        if os.path.exists(v1):
            name, text = v1, "FROZEN" if frozen else "THAWED"
        else:
            name, text = os.path.join(self.group, "cgroup.freeze"), "1" if frozen else "0"
        with open(name, "w") as f:
            f.write(text)

    def end(self):
        self.wdog.send_signal(signal.SIGTERM)
        assert self.wdog.wait(WAIT_S) == 0
        self.freeze(False)
        for p in self.victims:
            p.kill()
            p.wait()
        self.log.close()
        wait_for(lambda: self.rmdir())

    def rmdir(self):
        try:
            os.rmdir(self.group)
        except OSError:
            return False
        return True


@pytest.fixture
def host(tmp_path):
    h = Host(str(tmp_path), 1500)
    yield h
    h.end()


def test_not_armed_before_the_first_byte(host):
    time.sleep(2.5)
    assert host.lives() == [True, True, True]


def test_resets_all_when_the_pets_end(host):
    fd = host.writer()
    for _ in range(12):  # longer than its time-out
        os.write(fd, b"\0")
        time.sleep(0.2)
    assert host.lives() == [True, True, True]
    os.close(fd)  # whoever pets it dies: it goes on counting
    wait_for(lambda: host.lives() == [False, False, False])
    assert "3 processes killed" in host.told()
    assert ", empty after" in host.told()


def test_resets_a_frozen_host(host):
    """The case that fencing must beat: no process of the host runs one more instruction."""
    fd = host.writer()
    os.write(fd, b"\0")
    host.freeze(True)
    wait_for(lambda: host.lives() == [False, False, False])
    os.close(fd)


def test_disarmed_by_v(host):
    fd = host.writer()
    os.write(fd, b"\0")
    os.write(fd, b"V")
    os.close(fd)
    time.sleep(2.5)
    assert host.lives() == [True, True, True]
    fd = host.writer()  # and armed again by the next byte
    os.write(fd, b"\0")
    wait_for(lambda: host.lives() == [False, False, False])
    os.close(fd)


@pytest.mark.parametrize("words, code", [([], 2), (["/no/fifo", "/no/group", "0"], 2), (["/no/fifo", "/no/group", "1000"], 1)])
def test_wrong_arguments(words, code):
    assert subprocess.run([WDOG, *words], stderr=subprocess.DEVNULL, timeout=WAIT_S).returncode == code
