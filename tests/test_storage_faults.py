"""A host's own way to the shared storage (lab/storage_fs.c): its faults are what they claim. Needs no lab."""

import os
import signal
import subprocess
import threading
import time

import pytest

from conftest import BUILD
from holdlab.proc import run, wait_until
from holdlab.storage import order

PROGRAM = os.path.join(BUILD, "bin", "hf-lab-storage")


class Mounted:
    def __init__(self, tmp):
        self.base, self.point, self.socket, self.log = (str(tmp / n) for n in ("base", "point", "socket", "log"))
        os.mkdir(self.base)
        os.mkdir(self.point)
        self.daemon = subprocess.Popen([PROGRAM, self.base, self.socket, self.log, self.point])
        wait_until("the mount", lambda: os.path.ismount(self.point), timeout=10)

    def order(self, text):
        return order(self.socket, text)

    def path(self, name):
        return os.path.join(self.point, name)

    def end(self):
        if self.daemon.poll() is None:
            self.order("ok")
        run("umount", "-l", self.point, check=False)
        self.daemon.kill()
        self.daemon.wait(10)


@pytest.fixture
def mounted(tmp_path):
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("needs root and FUSE")
    made = Mounted(tmp_path)
    try:
        yield made
    finally:
        made.end()


def write(path, data=b"x" * 4096):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DSYNC)
    try:
        return os.pwrite(fd, data, 0)
    finally:
        os.close(fd)


def writer(path):
    """A process that writes a block of b's through the mount."""
    return subprocess.Popen(["dd", "if=/dev/stdin", f"of={path}", "bs=4096", "count=1", "conv=notrunc"], stdin=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)


def held(mounted):
    return mounted.order("stat")["held_writes"]


def hung_writer(mounted, name):
    write(mounted.path(name), b"a" * 4096)
    mounted.order("w hang")
    child = writer(mounted.path(name))
    child.stdin.write(b"b" * 4096)
    child.stdin.close()
    wait_until("the held write", lambda: held(mounted) == 1, timeout=10)
    return child


def content(mounted, name):
    with open(os.path.join(mounted.base, name), "rb") as f:
        return f.read(1)


def test_passes_everything_on(mounted):
    write(mounted.path("a"))
    os.mkdir(mounted.path("d"))
    os.rename(mounted.path("a"), mounted.path("d/b"))
    os.symlink("d/b", mounted.path("link"))
    assert os.listdir(mounted.point) == os.listdir(mounted.base) and os.listdir(mounted.path("d")) == ["b"]
    with open(mounted.path("link"), "rb") as f:
        assert f.read() == b"x" * 4096
    os.truncate(mounted.path("d/b"), 10)
    assert os.stat(os.path.join(mounted.base, "d/b")).st_size == 10
    run("qemu-img", "create", "-f", "qcow2", mounted.path("disk"), "10M")
    assert "qcow2" in run("qemu-img", "info", mounted.path("disk")).stdout


@pytest.mark.parametrize("fault, says", [("eio", "Input/output error"), ("enospc", "No space left"), ("erofs", "Read-only")])
def test_errors_by_class(mounted, fault, says):
    write(mounted.path("a"))
    mounted.order(f"w {fault}")
    with pytest.raises(OSError, match=says):
        write(mounted.path("a"))
    with open(mounted.path("a"), "rb") as f:
        assert f.read(1) == b"x"
    mounted.order("ok")
    write(mounted.path("a"))


def test_delay(mounted):
    mounted.order("w delay 300")
    began = time.monotonic()
    write(mounted.path("a"))
    assert time.monotonic() - began >= 0.3


def test_reads_go_on_past_many_held_writes(mounted):
    write(mounted.path("a"))
    mounted.order("w hang")
    threads = [threading.Thread(target=write, args=(mounted.path("a"),), daemon=True) for _ in range(40)]
    for t in threads:
        t.start()
    wait_until("the held writes", lambda: held(mounted) >= 1, timeout=10)
    with open(mounted.path("a"), "rb") as f:
        assert f.read(1) == b"x"
    mounted.order("ok")
    for t in threads:
        t.join(10)


def test_a_stuck_writer_does_not_die_until_it_is_released(mounted):
    child = hung_writer(mounted, "a")
    child.send_signal(signal.SIGKILL)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.5)
    mounted.order("ok")
    child.wait(10)
    assert content(mounted, "a") == b"b"


def test_a_killed_writer_goes_and_its_write_lands_later(mounted):
    child = hung_writer(mounted, "a")
    mounted.order("killable yes")
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    assert content(mounted, "a") == b"a" and held(mounted) == 1
    mounted.order("ok")
    wait_until("the late write", lambda: content(mounted, "a") == b"b", timeout=10)


def test_what_is_held_lands_after_the_power_cut(mounted):
    child = hung_writer(mounted, "a")
    child.send_signal(signal.SIGKILL)
    mounted.order("cut")
    child.wait(10)
    assert content(mounted, "a") == b"a" and held(mounted) == 1
    mounted.order("ok")
    wait_until("the late write", lambda: content(mounted, "a") == b"b", timeout=10)
    assert mounted.daemon.wait(10) is not None


def test_what_is_held_can_be_lost_instead(mounted):
    child = hung_writer(mounted, "a")
    child.send_signal(signal.SIGKILL)
    mounted.order("cut")
    mounted.order("w eio")
    mounted.daemon.wait(10)
    assert content(mounted, "a") == b"a"


def test_locks_stay_within_a_mount(mounted):
    """Why a double run shows: the same file can be locked here and below."""
    write(mounted.path("a"))
    hold = subprocess.Popen(["flock", mounted.path("a"), "sleep", "60"])
    try:
        wait_until("the lock", lambda: run("flock", "-n", mounted.path("a"), "true", check=False).returncode == 1, timeout=10)
        assert run("flock", "-n", os.path.join(mounted.base, "a"), "true", check=False).returncode == 0
    finally:
        hold.kill()
        hold.wait()
