"""Live migration on real libvirt and QEMU: the guest goes on counting, and what fails leaves one copy."""

import threading
import time

import pytest

from holdlab.proc import wait_until

SLOW_MIB_S = "1"  # so that a failure strikes while the guest is under way


@pytest.fixture
def moving(cloud, request):
    """A NeverStop guest whose migrations take their time; what a test has broken is mended behind it."""
    name = request.node.name.replace("test_", "").replace("_", "-")[:24]
    guest = Moving(cloud, name)
    yield guest
    for host in cloud.lab.hosts:
        if not host.is_on():
            host.power_on()
        for service in ("libvirtd", "hostd"):
            if not host.pids(service):
                host.start(service)
        cloud.cli.wait(f"{host.name} connected",
                       lambda h=host: cloud.cli.get("host", cloud.host_name(h))["status"]["state"] == "CONNECTED", 120)
    cloud.delete(name)


class Moving:
    def __init__(self, cloud, name):
        self.cloud, self.name = cloud, name
        self.before = cloud.create(name, "--ha", "NeverStop")
        self.uuid, self.run = cloud.uuid(name), cloud.run_of(name)
        self.source = cloud.host_of(name)
        self.target = next(h for h in cloud.lab.hosts if h is not self.source)

    def start(self, slow=True):
        """Sets out, and returns when the state is under way; the operation's UUID comes back."""
        if slow:
            self.source.virsh("migrate-setspeed", self.uuid, SLOW_MIB_S)
        out = self.cloud.cli.run("instance", "migrate", self.name, "--host", self.cloud.host_name(self.target), "--no-wait",
                                 "-o", "json")
        wait_until("the copy at the target", lambda: self.target.qemu_pids(self.uuid), timeout=60)
        return out

    def phase(self):
        return self.cloud.instance(self.name)["placement"].get("migration", {}).get("phase")

    def wait_phase(self, phase, timeout=90):
        self.cloud.cli.wait(f"{self.name}: {phase}", lambda: self.phase() == phase, timeout)

    def goes_on_at(self, host):
        status = self.cloud.guest(self.name).wait_status()
        assert status["boot_id"] == self.before["boot_id"] and status["counter"] >= self.before["counter"]
        assert self.cloud.host_of(self.name) is host
        wait_until(f"one copy of {self.name}", lambda: self.cloud.copies(self.name) == 1, timeout=30)
        assert len(host.qemu_pids(self.uuid)) == 1
        assert self.cloud.state(self.name) == "RUNNING"


class Pings:
    """Asks the guest all the time; the longest silence is what its users see of a migration."""

    def __init__(self, guest):
        self.guest, self.longest, self.stop = guest, 0.0, False
        self.thread = threading.Thread(target=self._ask)

    def _ask(self):
        last = time.monotonic()
        while not self.stop:
            if self.guest.status(timeout=0.3):
                now = time.monotonic()
                self.longest, last = max(self.longest, now - last), now

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()


def test_a_guest_moves_and_goes_on(cloud, moving):
    address = cloud.address(moving.name)
    with Pings(cloud.guest(moving.name)) as pings:
        began = time.monotonic()
        cloud.cli.run("instance", "migrate", moving.name, "--host", cloud.host_name(moving.target))
        took = time.monotonic() - began
        time.sleep(1)
    moving.goes_on_at(moving.target)
    print(f"migrated in {took:.1f} s, longest silence {pings.longest:.2f} s")
    assert cloud.address(moving.name) == address and cloud.run_of(moving.name) == moving.run + 1
    # And back, by the scheduler's choice among what is left: the tombstone of the first copy is not in the way.
    cloud.cli.run("instance", "migrate", moving.name, "--host", cloud.host_name(moving.source))
    moving.goes_on_at(moving.source)


def test_what_cannot_move_is_refused(cloud, moving):
    assert "already" in cloud.refused("instance", "migrate", moving.name, "--host", cloud.host_name(moving.source))
    cloud.cli.run("instance", "pause", moving.name)
    assert "paused" in cloud.refused("instance", "migrate", moving.name)
    cloud.cli.run("instance", "resume", moving.name)


def test_cancel_leaves_it_where_it_is(cloud, moving):
    moving.start()
    operation = next(o for o in cloud.cli.json("operation", "list")
                     if o["verb"] == "MigrateInstance" and o["state"] == "RUNNING")
    cloud.cli.run("operation", "cancel", operation["meta"]["uuid"])
    moving.wait_phase("CANCELLED")
    moving.goes_on_at(moving.source)
    assert cloud.cli.get("operation", operation["meta"]["uuid"])["state"] == "CANCELLED"


def test_the_source_loses_power_under_way(cloud, moving):
    moving.start()
    moving.source.power_off()
    cloud.wait_new_run(moving.name, moving.run + 1, timeout=120)
    after = cloud.wait_new_boot(moving.name, moving.before)
    assert after["boots"] == moving.before["boots"] + 1
    assert cloud.host_of(moving.name) is not moving.source
    assert cloud.copies(moving.name) == 1


def test_the_target_loses_power_under_way(cloud, moving):
    moving.start()
    moving.target.power_off()
    moving.wait_phase("CANCELLED", timeout=120)
    moving.goes_on_at(moving.source)


def test_libvirtd_of_the_target_dies_under_way(cloud, moving):
    moving.start()
    moving.target.kill("libvirtd")
    moving.wait_phase("CANCELLED", timeout=120)
    moving.goes_on_at(moving.source)


def test_libvirtd_of_the_source_dies_under_way(cloud, moving):
    moving.start()
    moving.source.kill("libvirtd")
    moving.source.start("libvirtd")
    moving.wait_phase("CANCELLED", timeout=120)
    moving.goes_on_at(moving.source)


def test_the_host_daemon_of_the_source_dies_under_way(cloud, moving):
    moving.start()
    moving.source.kill("hostd")
    moving.source.start("hostd")
    moving.wait_phase("CANCELLED", timeout=120)
    moving.goes_on_at(moving.source)


def test_the_host_daemon_of_the_target_dies_under_way(cloud, moving):
    moving.source.virsh("migrate-setspeed", moving.uuid, "4")
    moving.start(slow=False)
    moving.target.kill("hostd")
    moving.target.start("hostd")
    moving.wait_phase("COMPLETED", timeout=120)
    moving.goes_on_at(moving.target)
