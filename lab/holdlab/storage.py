"""A host's own way to the shared storage: hf-lab-storage (lab/storage_fs.c), and the faults on that way.

Each power-on mounts anew, by a daemon of its own that runs outside of the host. Daemons of earlier boots stay as long as
they hold writes: a storage may land what it has taken long after its sender's end.
"""

import json
import os
import socket

from .cgroup import Cgroup
from .proc import LabError, wait_until

OPERATIONS = "rwsm"  # read, write, sync, metadata
FAULTS = ("ok", "hang", "eio", "enospc", "erofs", "delay")


def order(path, text, timeout=10):
    """Sends an order to a daemon's socket and returns its answer, decoded; OSError when nobody is there."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(path)
        s.sendall(text.encode() + b"\n")
        s.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := s.recv(4096):
            answer += chunk
    return json.loads(answer)


class HostStorage:
    def __init__(self, host):
        self.host = host
        self.dir = os.path.join(host.dir, "storage")
        self.current = os.path.join(self.dir, "current")  # a link to the present boot's socket
        self.writes_log = os.path.join(self.dir, "canary-writes")
        self.cgroup = Cgroup(f"holdfast-{host.config.name}", f"{host.name}-storage")

    def rack(self):
        os.makedirs(self.dir, exist_ok=True)
        self.cgroup.create()

    def unrack(self):
        self.cgroup.kill_all()
        self.cgroup.remove()

    # Mounting

    def mount(self, init_pid, mount_point):
        """Mounts the shared directory in a host that has just booted; returns when it answers."""
        name = f"{max(map(int, self._boots()), default=0) + 1}"
        socket_path = os.path.join(self.dir, name)
        config = self.host.config
        argv = ["nsenter", "-t", init_pid, "-m", "--", "/run/lab/bin/hf-lab-storage", config.shared_dir, socket_path,
                self.writes_log, mount_point]
        self.host.spawn(self.cgroup.joining(argv), "storage")
        wait_until(f"the mount of the shared storage on {self.host.name}", lambda: _is_mounted(init_pid, mount_point), timeout=20)
        os.symlink(name, self.current + ".new")
        os.replace(self.current + ".new", self.current)

    def _boots(self):
        return [n for n in os.listdir(self.dir) if n.isdigit()]

    def cut(self):
        """The host's power is cut: nobody waits in the mount any more. What is held is held further."""
        try:
            order(self.current, "cut")
        except OSError:
            pass  # not mounted, or through with it

    # Faults

    def fault(self, action, operations=OPERATIONS, ms=None):
        """From now on these operations of the host do that: ok, hang, eio, enospc, erofs, or delay by ms."""
        if action not in FAULTS or not operations or set(operations) - set(OPERATIONS):
            raise LabError(f"the storage has operations of '{OPERATIONS}' and the faults {', '.join(FAULTS)}")
        return self._order(f"{operations} {action}" + (f" {ms}" if action == "delay" else ""))

    def killable(self, yes):
        """Whether a process that waits for a storage that hangs can be killed (NFS) or not (a stuck kernel)."""
        return self._order(f"killable {'yes' if yes else 'no'}")

    def status(self):
        return self._order("stat")

    def _order(self, text):
        try:
            answer = order(self.current, text)
        except OSError as e:
            raise LabError(f"the storage of {self.host.name} does not take orders ({e}): is the host on, and was the lab made "
                           "with a storage per host?") from e
        if "error" in answer:
            raise LabError(f"the storage of {self.host.name}: {answer['error']}")
        return answer

    def held_writes(self):
        """Writes that the storage has taken and not landed, of this boot and of earlier ones."""
        return sum(status["held_writes"] for status in self._ask_all("stat"))

    def land(self):
        """Lets everything land that is held, also of earlier boots, and ends every fault."""
        self._ask_all("ok")

    def _ask_all(self, text):
        answers = []
        for name in self._boots():
            path = os.path.join(self.dir, name)
            try:
                answers.append(order(path, text))
            except OSError:
                if os.readlink(self.current) != name:
                    os.unlink(path)  # its daemon has ended
        return answers


def _is_mounted(pid, mount_point):
    try:
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as f:
            return any(line.split()[4] == mount_point and " - fuse." in line for line in f)
    except OSError:
        return False
