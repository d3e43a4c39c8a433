"""One cgroup per lab process group: what freezes, is killed and is found together.

It is also the lab's memory: whatever a crashed run left behind is in its cgroups.
"""

import os
import signal
import time

from .proc import LabError

V1_FREEZER = "/sys/fs/cgroup/freezer"


def _root():
    if os.path.exists(os.path.join(V1_FREEZER, "cgroup.procs")):
        return V1_FREEZER, 1
    with open("/proc/mounts", encoding="utf-8") as f:
        for line in f:
            fields = line.split()
            if fields[2] == "cgroup2":
                return fields[1], 2
    raise LabError("this machine has neither a freezer cgroup nor cgroup v2 mounted; the lab needs one of them")


def is_gone(pid):
    """No thread of the process runs any more; a zombie is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            state = f.read().rpartition(")")[2].split()[0]
        return state in "ZX" and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except OSError:
        return True


class Cgroup:
    def __init__(self, *names):
        root, self.version = _root()
        self.path = os.path.join(root, *names)

    def create(self):
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as e:
            raise LabError(f"create cgroup {self.path}: {e.strerror}; the lab must run as root with writable cgroups") from e

    def joining(self, argv):
        """The command that runs argv inside this group."""
        return ["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"', os.path.join(self.path, "cgroup.procs"), *map(str, argv)]

    def pids(self):
        try:
            with open(os.path.join(self.path, "cgroup.procs"), encoding="ascii") as f:
                return [int(p) for p in f.read().split()]
        except OSError:
            return []

    def _write(self, name, value):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as f:
            f.write(value)

    def _read(self, name):
        with open(os.path.join(self.path, name), encoding="ascii") as f:
            return f.read()

    def freeze(self):
        """Returns when all tasks stand still, or after a second: a task in an uninterruptible wait never freezes."""
        if self.version == 1:
            self._write("freezer.state", "FROZEN")
        else:
            self._write("cgroup.freeze", "1")
        end = time.monotonic() + 1
        while time.monotonic() < end and not self._frozen():
            time.sleep(0.001)

    def _frozen(self):
        if self.version == 1:
            return self._read("freezer.state").strip() == "FROZEN"
        return "frozen 1" in self._read("cgroup.events")

    def thaw(self):
        if self.version == 1:
            self._write("freezer.state", "THAWED")
        else:
            self._write("cgroup.freeze", "0")

    def kill_all(self, timeout=20, once_signalled=None):
        """Ends every task at once, none running a moment longer than the others; returns when they are gone.
        once_signalled: what then lets go those that wait in the kernel."""
        if not os.path.isdir(self.path):
            return
        self.freeze()
        killed = self._signal_all(signal.SIGKILL)
        self.thaw()  # a frozen task cannot die
        if once_signalled:
            once_signalled()
        self._wait_gone(killed, timeout, signal.SIGKILL)

    def end_all(self, timeout=20):
        """SIGTERM; LabError when a task has not ended by then."""
        self._wait_gone(self._signal_all(signal.SIGTERM), timeout, None)

    def _signal_all(self, signum):
        pids = set(self.pids())
        for pid in pids:
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                pass
        return pids

    def _wait_gone(self, pids, timeout, again):
        """Until those processes, and whatever else is in the group, are gone. A dying process leaves cgroup.procs before it
        has closed its files: the group alone does not tell."""
        end = time.monotonic() + timeout
        while True:
            pids = {p for p in pids if not is_gone(p)} | set(self.pids())
            if not pids:
                return
            if time.monotonic() > end:
                raise LabError(f"processes {sorted(pids)} of {self.path} do not end within {timeout} s")
            time.sleep(0.002)
            if again:
                self._signal_all(again)

    def children(self):
        try:
            return [e.name for e in os.scandir(self.path) if e.is_dir()]
        except OSError:
            return []

    def remove(self):
        """Removes the empty group; the kernel may need a moment after the last task died."""
        end = time.monotonic() + 5
        while os.path.isdir(self.path):
            try:
                os.rmdir(self.path)
            except OSError as e:
                if time.monotonic() > end:
                    raise LabError(f"remove cgroup {self.path}: {e.strerror}") from e
                time.sleep(0.01)
