"""A lab host: namespaces with an init, its own libvirtd, keeper and host daemon, and the ways in which it fails."""

import os
import signal
import subprocess
import time
import uuid

from . import netns
from .cgroup import Cgroup, is_gone
from .config import CONTROL_PORT
from .proc import ENVIRONMENT, LabError, exe_name, namespace_pid, run, tail, wait_until
from .storage import HostStorage

LAB_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED_MOUNT = "/mnt/shared"
NETWORKS = ("management", "tenant", "storage")
SERVICES = ("libvirtd", "hf-lease", "hostd")  # in the order in which a host starts them

LIBVIRTD_CONF = """\
listen_tls = 0
listen_tcp = 1
listen_addr = "{address}"
auth_tcp = "none"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "{uuid}"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
"""

QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
security_default_confined = 0
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
seccomp_sandbox = 0
set_process_name = 1
"""


def with_user(path, line):
    """The machine's own file with this line, if it lacks it: libvirtd does not start without its user."""
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        text = f.read()
    name = line.split(":")[0] + ":"
    return text if any(at.startswith(name) for at in text.splitlines()) else text + line + "\n"


class Host:
    def __init__(self, config, number):
        self.config = config
        self.number = number
        self.name = f"h{number}"
        self.address = config.host_address(number)
        self.netns = config.netns_prefix + self.name
        self.dir = os.path.join(config.dir, self.name)
        self.cgroup = Cgroup(f"holdfast-{config.name}", self.name)
        self.outside = Cgroup(f"holdfast-{config.name}", f"{self.name}-outside")  # what keeps running when the host hangs
        self.storage = HostStorage(self)  # used when the lab has a storage per host
        self.watchdog = config.watchdog  # what its next power_on() finds
        self._children = []

    # The machine in its rack

    def rack(self):
        """Makes what survives power cuts: the disk and the cables."""
        for sub in ("etc-libvirt/qemu", "lib-libvirt/qemu", "lib-libvirt/images", "lib-libvirt/boot", "cache-libvirt",
                    "log-libvirt/qemu", "state"):
            os.makedirs(os.path.join(self.dir, sub), exist_ok=True)
        self._file("machine-id", uuid.uuid4().hex + "\n")
        self._file("etc-libvirt/libvirtd.conf", LIBVIRTD_CONF.format(uuid=uuid.uuid4(), address=self.address))
        self._file("etc-libvirt/qemu.conf", QEMU_CONF)
        self._file("passwd", with_user("/etc/passwd", "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin"))
        self._file("group", with_user("/etc/group", "libvirt-qemu:x:64055:"))
        if self.config.watchdog:
            os.mkfifo(os.path.join(self.dir, "watchdog"), 0o600)
        netns.create(self.netns)
        netns.cable(self.config.fabric, f"{self.name}-m", "mgmt", self.netns, "eth0", f"{self.address}/24")
        netns.cable(self.config.fabric, f"{self.name}-t", "tenant", self.netns, "em01")
        if self.config.ceph:
            netns.cable(self.config.fabric, self._port("storage"), "storage", self.netns, "eth1",
                        f"{self.config.storage_address(self.number)}/24")
        self.cgroup.create()
        self.outside.create()
        if self.config.own_storage:
            self.storage.rack()

    def _file(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(text)

    def unrack(self):
        if self.config.own_storage:
            self.storage.unrack()
        for group in (self.outside, self.cgroup):
            group.kill_all()
            group.remove()
        netns.delete(self.netns)

    # Power

    def power_on(self, services=SERVICES):
        """Boots the host and starts its daemons."""
        if self.init_pid():
            raise LabError(f"host {self.name} is on already")
        if self.watchdog:
            self._start_watchdog()
        argv = ["ip", "netns", "exec", self.netns, "unshare", "--pid", "--mount", "--uts", "--ipc", "--fork",
                "--propagation", "private", os.path.join(self.config.bin_dir, "hf-lab-init"),
                os.path.join(LAB_DIR, "host-boot"), self.name, self.dir,
                "" if self.config.own_storage else self.config.shared_dir, self.config.bin_dir, "yes" if self.config.kvm else "no"]
        self.spawn(self.cgroup.joining(argv), "boot")
        try:
            wait_until(f"the boot of {self.name}", self._is_booted, timeout=30)
        except LabError as e:
            raise LabError(f"{e}: {tail(self.log('boot'))}") from None
        if self.config.own_storage:
            self.storage.mount(self.init_pid(), SHARED_MOUNT)
        for service in services:
            self.start(service)

    def _is_booted(self):
        pid = self.init_pid()
        return pid and os.path.exists(f"/proc/{pid}/root/run/lab/ready")

    def power_off(self):
        """Cuts the power: everything that runs on the host ends at the same instant. Returns the Unix time in ms at which
        that was; when it returns, nothing is left of the host's processes."""
        at_ms = int(time.time() * 1000)
        self.cgroup.kill_all(once_signalled=self.storage.cut if self.config.own_storage else None)
        self.outside.kill_all()  # a board without power resets nobody
        self._reap()
        if self.init_pid():
            raise LabError(f"host {self.name} is still there after its power was cut")
        return at_ms

    def is_on(self):
        return bool(self.init_pid())

    def init_pid(self):
        for pid in self.cgroup.pids():
            if exe_name(pid) == "hf-lab-init" and namespace_pid(pid) == 1:
                return pid
        return 0

    # Failures short of a power cut

    def freeze(self):
        """The whole host hangs, its guests with it; the watchdog outside goes on counting."""
        self.cgroup.freeze()

    def thaw(self):
        self.cgroup.thaw()

    def unplug(self, network="management"):
        """Pulls a cable: "management", "tenant", or "storage" in a lab with Ceph."""
        run("ip", "-n", self.config.fabric, "link", "set", self._port(network), "down")

    def plug(self, network="management"):
        run("ip", "-n", self.config.fabric, "link", "set", self._port(network), "up")

    def _port(self, network):
        return f"{self.name}-{network[0]}"

    # Processes

    def start(self, service):
        """Starts a daemon of the host: libvirtd, hf-lease or hostd."""
        if self.pids(service):
            raise LabError(f"{service} runs on {self.name} already")
        command = {"libvirtd": self._libvirtd, "hf-lease": self._hf_lease, "hostd": self._hostd}[service]()
        child = self.spawn(self._inside(command), service)
        if service == "libvirtd":  # it leaves for the background once it answers
            try:
                code = child.wait(timeout=30)
            except subprocess.TimeoutExpired:
                code = "no end"
            if code != 0:
                raise LabError(f"start libvirtd on {self.name}: {code}: {tail(self.log('libvirtd'))}")
            wait_until(f"an answer of libvirtd on {self.name}",
                       lambda: self.run("virsh", "-c", "qemu:///system", "version", check=False).returncode == 0,
                       timeout=30)
        else:
            wait_until(f"the start of {service} on {self.name}", lambda: self.pids(service), timeout=10)

    def _libvirtd(self):
        return ["/usr/sbin/libvirtd", "-d", "--listen"]

    def _hf_lease(self):
        watchdog = ["--watchdog-stand-in", "/dev/watchdog", "--lab"] if self.watchdog else []
        return ["/run/lab/bin/hf-lease", "--profile", self.config.profile, *watchdog]

    def _hostd(self):
        controls = ",".join(f"{self.config.control_address(n)}:{CONTROL_PORT}"
                            for n in range(1, self.config.controls + 1))
        return ["/run/lab/bin/hostd", "--control", controls, "--management-ip", self.address, "--migration", "tcp",
                "--state-dir", "/mnt/state",
                "--cpus", self.config.host_cpus, "--memory", f"{self.config.host_memory_mib}MiB"]

    def kill(self, service, sig=signal.SIGKILL):
        """Ends one daemon; returns when it is gone."""
        pids = self.pids(service)
        if not pids:
            raise LabError(f"{service} does not run on {self.name}")
        for pid in pids:
            os.kill(pid, sig)
        wait_until(f"the end of {service} on {self.name}", lambda: all(map(is_gone, pids)), timeout=20)
        self._reap()

    def pids(self, program):
        """Processes of the host that run this program, as the machine numbers them."""
        return [p for p in self.cgroup.pids() if exe_name(p) == program]

    def qemu_instances(self):
        """(process, instance UUID without dashes) of every QEMU that is a guest."""
        found = []
        for pid in self.pids("qemu-system-x86_64"):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    argv = f.read().decode(errors="replace").split("\0")
            except OSError:
                continue
            if "-uuid" in argv:
                found.append((pid, argv[argv.index("-uuid") + 1].replace("-", "")))
        return found

    def qemu_pids(self, instance_uuid=None):
        return [pid for pid, uuid in self.qemu_instances() if instance_uuid in (None, uuid)]

    def run(self, *argv, check=True, timeout=60):
        """Runs a command on the host to its end and returns what it printed."""
        return run(*self._inside(argv), check=check, timeout=timeout,
                   shown=f"{' '.join(map(str, argv))}' on '{self.name}")

    def _inside(self, argv):
        pid = self.init_pid()
        if not pid:
            raise LabError(f"host {self.name} is off")
        return self.cgroup.joining(["nsenter", "-t", pid, "-m", "-u", "-i", "-n", "-p", "--", *argv])

    def virsh(self, *argv, check=True):
        return self.run("virsh", "-q", "-c", "qemu:///system", *argv, check=check).stdout

    # Logs

    def log(self, service):
        return os.path.join(self.config.log_dir, f"{self.name}.{service}.log")

    def _start_watchdog(self):
        """The stand-in for a hardware watchdog: outside the host, so that it counts while the host hangs."""
        argv = [os.path.join(self.config.bin_dir, "hf-lab-wdog"), os.path.join(self.dir, "watchdog"), self.cgroup.path,
                self.config.profile, *([self.storage.current] if self.config.own_storage else [])]
        self.spawn(self.outside.joining(argv), "watchdog")

    def spawn(self, argv, log_name):
        with open(self.log(log_name), "ab") as log:
            child = subprocess.Popen(argv, env=ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        self._reap()
        self._children.append(child)
        return child

    def _reap(self):
        self._children = [c for c in self._children if c.poll() is None]
