"""Machines with a Linux kernel of their own, in User Mode Linux: for what this machine's kernel lacks (NFS client, softdog,
VLANs). lab/uml/README.md tells how they are made.

All that they leave on the machine carries the lab's name, as with the lab of namespaces: cgroups `holdfast-<name>/…`, network
namespace `hf-<name>-fabric`, directory `/var/tmp/holdfast-<name>`.
"""

import itertools
import json
import os
import queue
import shutil
import subprocess
import threading

from . import config as lab_config
from . import netns
from .cgroup import Cgroup
from .proc import ENVIRONMENT, LabError, run, tail, wait_until

HERE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "uml")
KERNEL = "/usr/bin/linux.uml"
BOOT_S = 60
POWER_OFF_S = 20
ANSWER_SLACK_S = 30   # for the agent to tell that an order ran out of time
SOFTDOG_RESETS = b"softdog: Initiating system reboot"
FAULTS_FOR_EVER = b"Received SIGSEGV in SIGSEGV handler"


def available():
    """None, or a sentence why no such machine can be started here."""
    if os.geteuid() != 0:
        return "machines in User Mode Linux need root, for their network"
    if not os.path.exists(KERNEL):
        return f"{KERNEL} is missing: install Debian's user-mode-linux"
    return None


class UmlLab:
    """A fabric (bridges in a network namespace, where servers run too) and the machines on it."""

    def __init__(self, name, bin_dir):
        self.name, self.bin_dir = name, bin_dir
        self.dir = lab_config.directory(name)
        self.fabric = f"hf-{name}-fabric"
        self.outside = Cgroup(f"holdfast-{name}", "outside")
        self.machines = []
        self._children = []

    def create(self):
        self.take_down()
        os.makedirs(self.dir, mode=0o700)
        self.outside.create()
        netns.create(self.fabric)
        return self

    def bridge(self, name, address):
        netns.bridge(self.fabric, name, address)

    def machine(self, name, nics, memory_mib=128):
        """nics: (bridge, "address/length" or None) each; they are vec0, vec1, … inside."""
        made = UmlMachine(self, len(self.machines) + 1, name, nics, memory_mib)
        self.machines.append(made)
        return made

    def serve(self, argv, log):
        """Starts a server in the fabric's namespace; it ends with the lab at the latest."""
        with open(os.path.join(self.dir, log), "ab") as f:
            child = subprocess.Popen(self.outside.joining(["ip", "netns", "exec", self.fabric, *argv]), env=ENVIRONMENT,
                                     stdin=subprocess.DEVNULL, stdout=f, stderr=f, start_new_session=True)
        self._children.append(child)
        return child

    def in_fabric(self, *argv, **how):
        return run("ip", "netns", "exec", self.fabric, *argv, **how)

    def cut(self, bridge, is_cut):
        """All cables of a bridge at once."""
        run("ip", "-n", self.fabric, "link", "set", bridge, "down" if is_cut else "up")

    def take_down(self):
        root = Cgroup(f"holdfast-{self.name}")
        for child in root.children():
            group = Cgroup(f"holdfast-{self.name}", child)
            group.kill_all()
            group.remove()
        for child in self._children:
            child.wait(POWER_OFF_S)
        root.remove()
        netns.delete(self.fabric)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.machines, self._children = [], []


class UmlMachine:
    """One machine. run() and start() inside it; power_off() is a power cut."""

    def __init__(self, lab, number, name, nics, memory_mib):
        self.lab, self.number, self.name, self.nics, self.memory_mib = lab, number, name, nics, memory_mib
        self.window = os.path.join(lab.dir, name)  # /window inside
        self.console = os.path.join(lab.dir, f"{name}.console")
        self.ports = [f"{name}-{i}" for i in range(len(nics))]
        self.boots = []  # boot ids: one more after each reset
        self._cgroup = Cgroup(f"holdfast-{lab.name}", name)
        self._ids = itertools.count(1)
        self._answers = {}
        self._child = self._line = None
        self._power_on_at = 0, 0  # length of the console, boots so far
        os.makedirs(self.window)
        for port, (bridge_name, _) in zip(self.ports, nics):
            run("ip", "netns", "exec", lab.fabric, "ip", "tuntap", "add", port, "mode", "tap")
            run("ip", "-n", lab.fabric, "link", "set", port, "master", bridge_name, "up")

    # Power

    def power_on(self):
        """Boots; returns when the agent inside answers."""
        to_machine, orders = os.pipe()
        answers, from_machine = os.pipe()
        self._cgroup.create()
        with open(self.console, "ab") as log:
            self._power_on_at = log.tell(), len(self.boots)
            self._child = subprocess.Popen(
                self._cgroup.joining(["ip", "netns", "exec", self.lab.fabric, *self._command(to_machine, from_machine)]),
                env=dict(ENVIRONMENT, LD_PRELOAD=os.path.join(self.lab.bin_dir, "hf-lab-uml-xstate.so"), TMPDIR="/dev/shm"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(to_machine, from_machine), start_new_session=True)
        os.close(to_machine)
        os.close(from_machine)
        self._line = os.fdopen(orders, "wb", buffering=0)
        boots = len(self.boots)
        threading.Thread(target=self._read, args=(answers,), daemon=True).start()
        self.wait_boots(boots + 1)
        return self

    def wait_boots(self, count, timeout=BOOT_S):
        """Until it has booted so many times in all: after a reset by its own watchdog, one more."""
        def booted():
            if self._failed_to_reset():
                self.power_off()
                self.power_on()
            if self._child.poll() is not None:
                raise LabError(f"machine {self.name} ended: {tail(self.console)}")
            return len(self.boots) >= count

        wait_until(f"boot {count} of machine {self.name} (its console: {self.console})", booted, timeout)

    def _failed_to_reset(self):
        """UML at times crashes while softdog resets it: nothing inside runs any more, but it does not boot either."""
        start, boots = self._power_on_at
        with open(self.console, "rb") as f:
            f.seek(start)
            text = f.read()
        is_resetting = text.count(SOFTDOG_RESETS) >= max(1, len(self.boots) - boots)
        return is_resetting and (self._child.poll() is not None or FAULTS_FOR_EVER in text)

    def _command(self, to_machine, from_machine):
        words = [KERNEL, f"mem={self.memory_mib}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
                 f"init={HERE}/uml-init", "con=null", "con0=null,fd:1", f"ssl0=fd:{to_machine},fd:{from_machine}", "quiet",
                 "panic=1", f"umid={self.name}", f"uml_dir={self.lab.dir}/umid", f"lab_name={self.name}",
                 f"lab_window={self.window}", f"lab_agent={HERE}/agent.py",
                 "lab_addresses=" + ",".join(address or "-" for _, address in self.nics)]
        for i, port in enumerate(self.ports):
            words.append(f"vec{i}:transport=tap,ifname={port},depth=128,gro=1,mac=02:78:{self.number:02x}:00:00:{i:02x}")
        return words

    def power_off(self):
        """As if the plug was pulled: returns when no process of it is left."""
        self._cgroup.kill_all()
        if self._child:
            self._child.wait(POWER_OFF_S)
            self._line.close()
            self._child = None

    def shut_down(self):
        """Powers off from within, with a sync of nothing."""
        self._order({"end": True})
        self._child.wait(POWER_OFF_S)

    def freeze(self):
        """The whole machine stands still, its clocks too."""
        self._cgroup.freeze()

    def thaw(self):
        self._cgroup.thaw()

    def cable(self, number, up):
        """The cable of vec<number>. Its port stays up: UML's driver gives up one that is down for good."""
        master = ["master", self.nics[number][0]] if up else ["nomaster"]
        run("ip", "-n", self.lab.fabric, "link", "set", self.ports[number], *master)

    # Orders

    def run(self, *argv, timeout=30, check=True):
        """Runs a program inside and returns what it printed; with check, LabError when it fails. A single word with blanks
        is a shell's line. check=False: returns (exit code, or None when it did not end; output)."""
        words = ["/bin/sh", "-c", argv[0]] if len(argv) == 1 else [str(a) for a in argv]
        answer = self._ask({"argv": words, "timeout": timeout}, timeout)
        if check and answer["rc"] != 0:
            how = "did not end" if answer["rc"] is None else f"failed ({answer['rc']})"
            raise LabError(f"{self.name}: '{' '.join(map(str, argv))}' {how}: {answer['out'].strip()}")
        return answer["out"] if check else (answer["rc"], answer["out"])

    def start(self, *argv, log="/dev/null"):
        """Starts a program that goes on; returns its process number inside. log: a file inside, best below /window."""
        answer = self._ask({"argv": [str(a) for a in argv], "log": log}, 10)
        if "pid" not in answer:
            raise LabError(f"{self.name}: start {argv[0]}: {answer['out']}")
        return answer["pid"]

    def wait(self, pid, timeout=30):
        """The exit code of a started program (negative: the signal), None when it has not ended."""
        return self._ask({"wait": pid, "timeout": timeout}, timeout)["rc"]

    def _ask(self, order, timeout):
        number = next(self._ids)
        self._answers[number] = queue.Queue()
        self._order({"id": number, **order})
        try:
            return self._answers[number].get(timeout=timeout + ANSWER_SLACK_S)
        except queue.Empty:
            raise LabError(f"machine {self.name} does not answer (console: {tail(self.console, 5)!r})") from None
        finally:
            del self._answers[number]

    def _order(self, order):
        self._line.write((json.dumps(order) + "\n").encode())

    def _read(self, fd):
        with os.fdopen(fd, encoding="utf-8", errors="replace") as line_source:
            for line in line_source:
                try:
                    answer = json.loads(line)
                except ValueError:
                    continue  # what a kernel that resets left half said
                if "boot" in answer:
                    self.boots.append(answer["boot"])
                elif answer.get("id") in self._answers:
                    self._answers[answer["id"]].put(answer)
