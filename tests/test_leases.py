"""The keeper on real guests: a storage in doubt freezes, one that is lost kills, and the gate lets nobody else in."""

import os
import time

import pytest
from test_failures import wait_connected

from holdlab.host import SHARED_MOUNT
from holdlab.proc import LabError, wait_until

TRIES = 4  # a machine that stands still for longer than K kills where it should thaw: then again


def process_state(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "gone"


class Uncovered:
    """The host's storage is covered by another file system: its keeper renews nothing there any more."""

    def __init__(self, host):
        self.host = host

    def __enter__(self):
        self.host.run("mount", "-t", "tmpfs", "cover", SHARED_MOUNT)
        return self

    def __exit__(self, *_):
        self.host.run("umount", SHARED_MOUNT)


def freezes_and_goes_on(cloud, name, host, pid):
    """The storage is away from L until the guest stands still. False: it was killed before the storage was back."""
    with Uncovered(host):
        wait_until("a frozen or killed guest", lambda: process_state(pid) in ("T", "gone"), timeout=30, interval=0.01)
    wait_until("a guest that goes on or is gone", lambda: process_state(pid) in ("S", "R", "D", "gone"), timeout=30)
    time.sleep(3)  # past L+K
    return process_state(pid) != "gone"


def test_storage_in_doubt_freezes_and_thaws(cloud):
    """The same process in the same run goes on; one that its user has paused stays paused."""
    host = cloud.lab.hosts[1]
    cloud.create("cold-1", "--ha", "NeverStop", "--host", cloud.host_name(host))
    for _ in range(TRIES):
        host = cloud.host_of("cold-1")
        before, run = cloud.guest("cold-1").wait_status(), cloud.run_of("cold-1")
        pid, = host.qemu_pids(cloud.uuid("cold-1"))
        if freezes_and_goes_on(cloud, "cold-1", host, pid):
            break
        cloud.wait_new_run("cold-1", run)
        wait_connected(cloud, host)
    else:
        raise AssertionError("the machine was too slow each time")
    after = cloud.guest("cold-1").wait_status()
    assert after["boot_id"] == before["boot_id"] and after["counter"] >= before["counter"]
    assert cloud.run_of("cold-1") == run and host.qemu_pids(cloud.uuid("cold-1")) == [pid]
    assert cloud.state("cold-1") == "RUNNING" and cloud.copies("cold-1") == 1

    cloud.cli.run("instance", "pause", "cold-1")
    cloud.wait_state("cold-1", "PAUSED")
    if freezes_and_goes_on(cloud, "cold-1", host, pid):
        assert host.virsh("domstate", cloud.uuid("cold-1")).strip() == "paused"
        assert cloud.state("cold-1") == "PAUSED"
    cloud.delete("cold-1")


def failover(cloud, name):
    return next((f for f in cloud.cli.json("ha", "history") if f["instanceName"] == name), {"outcome": "none"})


def test_lost_storage_kills_and_restarts_elsewhere(cloud):
    host = cloud.lab.hosts[1]
    before = cloud.create("lost-1", "--ha", "NeverStop", "--host", cloud.host_name(host))
    run, epoch = cloud.run_of("lost-1"), int(cloud.cli.get("host", cloud.host_name(host))["status"]["epoch"])
    pid, = host.qemu_pids(cloud.uuid("lost-1"))
    with Uncovered(host):
        wait_until("the end of the guest", lambda: process_state(pid) == "gone", timeout=30)
        cloud.wait_new_run("lost-1", run)
        assert cloud.host_of("lost-1") is not host
        after = cloud.wait_new_boot("lost-1", before)
        assert after["counter"] >= before["counter"] and cloud.copies("lost-1") == 1
    assert host.is_on(), "a good kill never ends in a reset"
    cloud.cli.wait("the record of the failover", lambda: failover(cloud, "lost-1")["outcome"] == "restarted")
    record = failover(cloud, "lost-1")
    assert record["evidence"] == "storage lost" and int(record["runBefore"]) == run
    assert 2000 < int(record["runningAtMs"]) - int(record["lostAtMs"]) < 60000  # from the last good renewal on
    story = [e["what"] for e in cloud.cli.json("ha", "timeline", "--instance", "lost-1")]
    assert "began its last good renewal" in story[0] and "runs" in story[-1]
    assert any(row["evidence"] == "storage lost" for row in cloud.cli.json("ha", "times"))
    wait_connected(cloud, host, epoch)
    cloud.delete("lost-1")


def write_state(host, name, text):
    """A file that the host sees below /mnt/state; returns where."""
    with open(os.path.join(host.dir, "state", name), "w", encoding="utf-8") as f:
        f.write(text)
    return f"/mnt/state/{name}"


def test_gate_refuses_what_has_no_permit(cloud):
    """Somebody takes the XML of a running instance and starts it on another host, and once more on its own."""
    home, other = cloud.lab.hosts[0], cloud.lab.hosts[1]
    cloud.create("only-1", "--host", cloud.host_name(home))
    cloud.create("only-2", "--host", cloud.host_name(other))  # so that its network is there
    domain = cloud.uuid("only-1")
    xml = home.virsh("dumpxml", "--migratable", domain)
    stolen = write_state(other, "stolen.xml", xml)
    with pytest.raises(LabError, match="holdfast: start of run .*it has no permit"):
        other.virsh("create", stolen)
    assert cloud.copies("only-1") == 1
    cloud.delete("only-1")
    cloud.delete("only-2")


def test_gate_stands_before_births_only(cloud):
    """A disk plugged in, snapshots and another libvirtd: the process that was let in goes on."""
    host = cloud.lab.hosts[0]
    before = cloud.create("busy-1", "--ha", "NeverStop", "--host", cloud.host_name(host))
    domain, run = cloud.uuid("busy-1"), cloud.run_of("busy-1")
    pids = host.qemu_pids(domain)
    host.run("truncate", "-s", "1M", "/mnt/state/hot.img")
    disk = write_state(host, "disk.xml", "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
                       "<source file='/mnt/state/hot.img'/><target dev='vdz' bus='virtio'/></disk>")
    host.virsh("attach-device", domain, disk, "--live")
    assert "vdz" in host.virsh("domblklist", domain)
    host.virsh("snapshot-create-as", domain, "outside", "--disk-only", "--no-metadata", "--diskspec", "vda,snapshot=no",
               "--diskspec", "vdz,snapshot=external,file=/mnt/state/hot.over")
    assert "hot.over" in host.virsh("domblklist", domain)
    host.kill("libvirtd")
    host.start("libvirtd")
    wait_until("libvirt's answer", lambda: "running" in host.virsh("domstate", domain, check=False), timeout=60)
    after = cloud.guest("busy-1").wait_status()
    assert after["boot_id"] == before["boot_id"] and host.qemu_pids(domain) == pids
    assert cloud.run_of("busy-1") == run and cloud.copies("busy-1") == 1
    cloud.delete("busy-1")
