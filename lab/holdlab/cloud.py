"""A small cloud on the lab, for system tests and drills, and what they ask of it."""

import os

from .cli import Cli, CommandFailed
from .primary import SharedDirectory, answers_everywhere
from .proc import wait_until

ZONE, CLUSTER, IMAGE, OFFERING, L2, L3 = "zone-1", "cluster-1", "guest", "small", "em01", "flat"
STORAGE = SharedDirectory.name


def takeover_words(takeover):
    """For cluster create; None: what a cluster does that was told nothing."""
    return ["--takeover", takeover] if takeover else []


class Cloud:
    def __init__(self, lab, image, primary=None, takeover=None):
        """primary: what holdlab.primary has, shared files if not given. takeover: of the cluster."""
        self.lab = lab
        self.primary = primary or SharedDirectory()
        self.takeover = takeover
        self.cli = Cli(lab.config)
        self.image = image
        self.url = None
        with open(image + ".sha256", encoding="ascii") as f:
            self.checksum = f.read().strip()

    def set_up(self):
        cli, lab = self.cli, self.lab
        self.primary.start(lab)
        lab.start_controls()
        lab.start_hosts()
        cli.wait("the election of a leader", cli.leader_id, timeout=30)
        cli.wait("the hosts' first call", lambda: len(cli.json("host", "pending")) == len(lab.hosts), timeout=60)
        cli.run("zone", "create", ZONE)
        cli.run("cluster", "create", CLUSTER, "--zone", ZONE, *takeover_words(self.takeover))
        for host in lab.hosts:
            cli.run("host", "create", self.host_name(host), "--cluster", CLUSTER, "--address", host.address)
        cli.run(*self.primary.words(ZONE))
        cli.run("cluster", "attach-storage", CLUSTER, self.primary.name)
        cli.wait("a good word of all hosts on the storage",
                 lambda: answers_everywhere(cli, self.primary.name, len(lab.hosts)), timeout=60)
        self.url = lab.serve(os.path.dirname(self.image))
        self.create_image(IMAGE)
        cli.run("offering", "create", OFFERING, "--cpus", 1, "--memory", "96M")
        cli.run("l2", "create", L2, "--zone", ZONE, "--interface", "em01")
        cli.run("cluster", "attach-l2", CLUSTER, L2)
        cli.run("l3", "create", L3, "--l2", L2, "--range", "172.20.108.40-172.20.108.60", "--netmask", "255.255.0.0",
                "--gateway", "172.20.0.1", "--dhcp-ip", "172.20.180.41")

    def create_image(self, name, checksum=None, fmt="qcow2", path=None, words=()):
        self.cli.run("image", "create", name, "--url", f"{self.url}/{path or os.path.basename(self.image)}", "--sha256",
                     checksum or self.checksum, "--format", fmt, *words)

    @staticmethod
    def host_name(host):
        return f"host-{host.number}"

    # Instances

    def create(self, name, *words):
        """Creates and starts an instance and waits until its guest answers; its status comes back."""
        self.cli.run("instance", "create", name, "--offering", OFFERING, "--image", IMAGE, "--network", L3, *words)
        return self.guest(name).wait_status()

    def delete(self, *names):
        for name in names:
            self.cli.run("instance", "delete", name)

    def instance(self, name):
        return self.cli.get("instance", name)

    def uuid(self, name):
        return self.instance(name)["meta"]["uuid"]

    def run_of(self, name):
        return int(self.instance(name)["placement"]["run"])

    def state(self, name):
        return self.instance(name)["status"]["state"]

    def wait_state(self, name, state, timeout=120):
        self.cli.wait(f"{name} {state}", lambda: self.state(name) == state, timeout)

    def wait_new_run(self, name, run_before, timeout=120):
        """The instance runs again, in a later run."""
        self.cli.wait(f"a new run of {name}",
                      lambda: self.run_of(name) > run_before and self.state(name) == "RUNNING", timeout)

    def address(self, name):
        return self.instance(name)["spec"]["nics"][0]["ip"]

    def guest(self, name):
        return self.lab.guest(self.address(name))

    def wait_new_boot(self, name, status_before, timeout=120):
        """The guest answers again in a boot other than that one."""
        guest = self.guest(name)

        def answer():
            status = guest.status(timeout=1)
            return status if status and status["boot_id"] != status_before["boot_id"] else None
        return wait_until(f"a new boot of {name}", answer, timeout, interval=0.2)

    def host_of(self, name):
        """The lab host on which the instance is placed."""
        uuid = self.instance(name)["placement"]["hostUuid"]
        return self.host_by_uuid(uuid)

    def host_by_uuid(self, uuid):
        return self.lab.host(self.cli.get("host", uuid)["spec"]["managementIp"])

    def copies(self, name):
        """How many QEMUs of the instance exist in the whole lab."""
        uuid = self.uuid(name)
        return sum(len(host.qemu_pids(uuid)) for host in self.lab.hosts)

    # Refusals

    def refused(self, *words):
        """Runs a command that must fail and returns what it said."""
        try:
            out = self.cli.run(*words)
        except CommandFailed as e:
            return e.message
        raise AssertionError(f"'holdfast {' '.join(map(str, words))}' was not refused: {out}")
