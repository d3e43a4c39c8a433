"""NFS primary storage on a real server (nfs-ganesha) and the kernel's own client, which runs in User Mode Linux: two hosts
with the keeper and the host daemon, one control node."""
import contextlib
import json
import os
import time

import pytest

from conftest import BUILD
from holdlab import ganesha, uml
from holdlab.cli import CommandFailed
from holdlab.nfs_cloud import CLUSTER, EXPORT, STORAGE, STORAGE_NET, NfsCloud
from holdlab.proc import wait_until

MARKER = ".holdfast-not-mounted"
QEMU_IO = ("qemu-io", "-f", "raw", "-t", "none", "-c")


@pytest.fixture(scope="module")
def cloud():
    for why in (uml.available(), ganesha.available()):
        if why:
            pytest.skip(why)
    made = NfsCloud("nfs-test", os.path.join(BUILD, "bin"))
    try:
        made.set_up()
        yield made
    finally:
        made.take_down()


@pytest.fixture
def storage(cloud):
    """Attached and mounted on every host; gone again afterwards, also from the hosts."""
    cloud.create_storage()
    cloud.cli("cluster", "attach-storage", CLUSTER, STORAGE)
    cloud.wait_ok()
    yield STORAGE
    cloud.cli("cluster", "detach-storage", CLUSTER, STORAGE)
    cloud.cli("storage", "delete", STORAGE)
    cloud.wait("the end of all mounts", lambda: not any(h.mounts() for h in cloud.hosts))


def message(cloud, host):
    view = cloud.views()[host.number - 1]
    return "" if view is None or view.get("ok") else view["message"]


def attachments(host):
    return host.log("hostd").count("attached to the leader")


@contextlib.contextmanager
def keeper_alone(host):
    """Without hostd: it would ask a libvirt that is not there about the guest. The keeper decides all the same."""
    host.run("kill", "-9", host.hostd)
    try:
        yield host
    finally:
        host.start_hostd()


def wait_leases(cloud):
    wait_until("fresh leases of all hosts", lambda: all(h.lease_is_fresh() for h in cloud.hosts), 60)


def wait_renewals(cloud):
    """A renewal of each host that began after this call and ended well."""
    began = time.monotonic()

    def renewed(host):
        lease = host.lease()
        return lease and not lease["closed"] and lease["age_ms"] < (time.monotonic() - began) * 1000 - 50

    wait_until("new renewals of all hosts", lambda: all(renewed(h) for h in cloud.hosts), 60)


def wait_well(cloud):
    cloud.wait_ok()
    wait_leases(cloud)


def test_mounted_as_it_must_be(cloud, storage):
    for host in cloud.hosts:
        (point, export, options), = host.mounts()
        assert (point, export) == (host.root, cloud.nfs.url(EXPORT))
        assert {"hard", "vers=4.2", "lookupcache=pos", f"clientaddr={host.storage_ip}"} <= set(options.split(","))
    assert [v["address"] for v in cloud.views()] == [h.storage_ip for h in cloud.hosts]
    # Hosts of one name would be one client to the server.
    names = [h.run("cat", "/sys/fs/nfs/net/nfs_client/identifier") for h in cloud.hosts]
    assert all(n.startswith("holdfast-") for n in names) and len(set(names)) == 2
    assert not os.path.exists(os.path.join(cloud.nfs.path(EXPORT), MARKER))
    records = [f for f in os.listdir(cloud.nfs.path(EXPORT)) if f.startswith("heartbeat-file-kvm-host-")]
    assert len(records) == 2
    cloud.cli("cluster", "detach-storage", CLUSTER, STORAGE)
    cloud.wait("the end of all mounts", lambda: not any(h.mounts() for h in cloud.hosts))
    for host in cloud.hosts:
        assert host.run("ls", "-A", host.root).split() == [MARKER]
    cloud.cli("cluster", "attach-storage", CLUSTER, STORAGE)
    cloud.wait_ok()


def test_mounted_again(cloud, storage):
    """Somebody unmounts it, or mounts something else there: never is anything written beside it."""
    host, other = cloud.hosts
    host.run("mount", "-t", "tmpfs", "tmpfs", host.root)
    cloud.wait("a word about the tmpfs", lambda: "'tmpfs' of type tmpfs is mounted" in message(cloud, host))
    assert host.run("ls", "-A", host.root) == ""
    # Busy while the daemon looks at it.
    wait_until("the end of the tmpfs", lambda: host.run("umount", host.root, check=False)[0] == 0, 30)
    cloud.wait_ok()
    host.run("kill", "-STOP", host.hostd)  # which would mount it again at once
    host.run("umount", "-l", host.root)  # its keeper has a file open there
    assert MARKER in host.run("ls", "-A", host.root).split()
    host.run("kill", "-CONT", host.hostd)
    wait_until("the next mount", host.mounts, 60)
    cloud.wait_ok()
    before, attached = host.mounts(), attachments(host)
    host.run("kill", "-9", host.hostd)  # the next daemon takes the mount over
    host.start_hostd()
    wait_until("the next daemon's attachment", lambda: attachments(host) > attached, 60)
    cloud.wait_ok()
    assert host.mounts() == before
    wait_until("only this mount on the other host", lambda: [m[0] for m in other.mounts()] == [other.root], 60)


def test_taken_away_while_it_is_mounted(cloud, storage):
    """A mount that ends after its storage was taken away does not stay."""
    for _ in range(3):
        cloud.cli("cluster", "detach-storage", CLUSTER, STORAGE)
        cloud.wait("the end of all mounts", lambda: not any(h.mounts() for h in cloud.hosts))
        cloud.cli("cluster", "attach-storage", CLUSTER, STORAGE)  # each host mounts it now
    cloud.cli("cluster", "detach-storage", CLUSTER, STORAGE)
    time.sleep(3)  # what was under way is over
    cloud.wait("the end of all mounts", lambda: not any(h.mounts() for h in cloud.hosts))
    cloud.cli("cluster", "attach-storage", CLUSTER, STORAGE)
    wait_well(cloud)


def test_taken_away_while_no_daemon_runs(cloud, storage):
    """The keeper goes on with its lease, and so has a file open there: the next daemon has it given up, else nothing could be
    unmounted."""
    host = cloud.hosts[0]
    wait_leases(cloud)
    with keeper_alone(host):
        cloud.cli("cluster", "detach-storage", CLUSTER, STORAGE)
        assert host.lease_is_fresh() and host.mounts()
    wait_until("the end of the mount", lambda: not host.mounts(), 60)
    assert host.lease() is None
    cloud.cli("cluster", "attach-storage", CLUSTER, STORAGE)
    wait_well(cloud)


def test_storage_network(cloud):
    """No address, the wrong way, several addresses: each has its sentence."""
    host = cloud.hosts[0]

    def condition():
        conditions = cloud.json("host", "get", host.name)["status"].get("conditions", [])
        return next((c["message"] for c in conditions if c["type"] == "StorageNetwork"), "")

    cloud.create_storage(**{"storage-network-cidr": "10.99.0.0/24"})
    cloud.cli("cluster", "attach-storage", CLUSTER, STORAGE)
    try:
        cloud.wait("the condition", lambda: f"primary storage '{STORAGE}': the host has no address in the storage network "
                                            "10.99.0.0/24" in condition())
        cloud.wait("a refusal", lambda: "which is not in the storage network 10.99.0.0/24" in message(cloud, host))
        assert not host.mounts()
        cloud.cli("storage", "update", STORAGE, "--storage-network-cidr", f"{STORAGE_NET}.0/24")
        cloud.wait_ok()
        cloud.wait("the end of the condition", lambda: condition() == "")
        host.run("ip", "address", "add", f"{STORAGE_NET}.99/24", "dev", "vec1")
        cloud.wait("the condition", lambda: "has 2 addresses in the storage network" in condition())
        cloud.wait_ok()
        host.run("ip", "address", "del", f"{STORAGE_NET}.99/24", "dev", "vec1")
        cloud.wait("the end of the condition", lambda: condition() == "")
    finally:
        cloud.cli("cluster", "detach-storage", CLUSTER, STORAGE)
        cloud.cli("storage", "delete", STORAGE)


def test_server_stops(cloud, storage):
    """A hard mount blocks: the lease ages, the guest is frozen, then killed; it is not over before its last write is."""
    host, other = cloud.hosts
    wait_leases(cloud)
    with keeper_alone(host):
        pid = host.start_guest(1, "stopped")
        cloud.nfs.stop()
        try:
            wait_until("the guest's freeze", lambda: host.run_is(1)["frozen"], 20)
            wait_until("the end of the session", lambda: host.lease()["closed"], 20)
            time.sleep(2)  # more than a kill takes, and F
            assert host.state_of(pid) == "D"
            assert host.run_is(1)["state"] == "live"
            assert not other.lease_is_fresh()
            before = int(cloud.written("stopped"))
        finally:
            cloud.nfs.go_on()
        wait_until("the end of the run", lambda: host.run_is(1)["state"] == "over", 20)
        assert host.wait(pid, 10) == -9
        assert int(cloud.written("stopped")) in (before, before + 1)  # what the server had taken, at most
    wait_well(cloud)


def test_cable_of_one_host(cloud, storage):
    """Its last write waits in its kernel for the network. While it does, the guest is not over and its image lock is held; when
    the server gives the lock to somebody else, the write is lost and does not land over newer ones."""
    host, other = cloud.hosts
    wait_leases(cloud)
    with keeper_alone(host):
        pid = host.start_guest(2, "cut")
        host.machine.cable(1, False)
        try:
            wait_until("the end of the session", lambda: host.lease()["closed"], 20)
            assert host.state_of(pid) == "D"
            assert other.lease_is_fresh()
            disk = f"{other.root}/cut"
            code, said = other.run(*QEMU_IO, "read 0 4k", disk, check=False)
            assert code != 0 and 'Failed to get "write" lock' in said
            wait_until("the lock", lambda: other.run(*QEMU_IO, "write -P 78 0 4k", disk, check=False)[0] == 0, 60)
            assert host.run_is(2)["state"] == "live"
        finally:
            host.machine.cable(1, True)
        wait_until("the end of the run", lambda: host.run_is(2)["state"] == "over", 60)
        assert host.wait(pid, 10) == -9
        assert cloud.written("cut") == "N" * 16
    wait_well(cloud)


def test_what_locks_and_native_aio_are_for(cloud, storage):
    """Without both a killed writer is gone at once, although its last write still waits for the network; and that may come over
    newer ones when it is back. Whether it does is the kernel's and the server's affair: it is printed."""
    host, other = cloud.hosts
    pid = host.start_writer("unlocked")
    host.run("kill", "-STOP", pid)
    time.sleep(1)  # the write under way is answered
    host.machine.cable(1, False)
    try:
        host.run("kill", "-CONT", pid)
        wait_until("a write without a network", lambda: host.state_of(pid) == "D", 20)
        host.run("kill", "-9", pid)
        assert host.wait(pid, 10) == -9
        other.run(*QEMU_IO, "write -P 78 0 4k", f"{other.root}/unlocked")
        assert cloud.written("unlocked") == "N" * 16
    finally:
        host.machine.cable(1, True)
    wait_well(cloud)
    print("the old write has landed" if cloud.written("unlocked").isdigit() else "the old write did not land")


def test_network_of_all_hosts(cloud, storage):
    """Nobody can read or write there: nobody is fenced, and all is well again by itself."""
    wait_leases(cloud)
    cloud.lab.cut("storage", True)
    try:
        wait_until("old leases everywhere", lambda: not any(h.lease_is_fresh() for h in cloud.hosts), 30)
        cloud.wait("the hosts' word", lambda: not any(v.get("ok") for v in cloud.views()))
        assert {h["status"]["state"] for h in cloud.json("host", "list")} == {"CONNECTED"}
    finally:
        cloud.lab.cut("storage", False)
    wait_well(cloud)


def test_server_restarts(cloud, storage):
    wait_leases(cloud)
    before = [h.mounts() for h in cloud.hosts]
    cloud.nfs.kill()
    cloud.nfs.start()
    wait_renewals(cloud)
    wait_well(cloud)
    assert [h.mounts() for h in cloud.hosts] == before


def test_export_is_gone(cloud, storage):
    wait_leases(cloud)
    cloud.nfs.kill()
    cloud.nfs.start(exports=[])
    try:
        cloud.wait("the hosts' word", lambda: all(message(cloud, h) for h in cloud.hosts))
        wait_until("the end of the leases", lambda: not any(h.lease_is_fresh() for h in cloud.hosts), 30)
    finally:
        cloud.nfs.kill()
        cloud.nfs.start()
    wait_well(cloud)


def test_mark_of_another_host(cloud, storage):
    """What one host has marked, the other one's keeper finds behind its next renewal."""
    host, other = cloud.hosts
    wait_leases(cloud)
    uuid = cloud.json("host", "get", host.name)["meta"]["uuid"]
    mark = f"fence-mark-kvm-host-{uuid}-{host.keeper_view()['epoch']}.fm"
    assert mark in other.run("ls", other.root).split()
    with keeper_alone(host):
        other.run(*QEMU_IO, "write -P 70 0 4k", f"{other.root}/{mark}")
        written = time.monotonic()
        wait_until("the end of the session", lambda: host.lease()["closed"], 20)
        assert time.monotonic() - written < 5  # a renewal takes 0.5 s; without the mark none would close it
        assert host.keeper_view()["epoch_closed"]
        epoch = host.keeper_view()["epoch"]
    wait_until("the next epoch", lambda: host.keeper_view()["epoch"] > epoch, 60)
    wait_well(cloud)


@pytest.mark.parametrize("flags, says", [
    ({"url": "10.0.0.5"}, "is no NFS export"),
    ({"url": "[fe80::1]:/x"}, "IPv6"),
    ({"mount-options": "soft"}, "a mount must be hard"),
    ({"mount-options": "vers=3"}, "only NFSv4"),
    ({"storage-network-cidr": "10.0.0.1/24"}, "10.0.0"),
    ({"path": "/mnt"}, "leave it empty"),
])
def test_refused(cloud, flags, says):
    with pytest.raises(CommandFailed) as refused:
        cloud.create_storage("bad", **flags)
    assert says in refused.value.message
    assert "bad" not in json.dumps(cloud.json("storage", "list"))


def test_softdog_is_told(cloud):
    """The kernel's own watchdog is petted and proves nothing, and whoever asks for the host hears why."""
    host = cloud.hosts[1]

    def status():
        return cloud.json("host", "get", host.name)["status"]

    assert "given no watchdog" in status()["watchdogProblem"]
    host.run("kill", "-TERM", host.keeper)
    host.machine.wait(host.keeper)
    host.run("modprobe softdog")
    host.start_keeper("--watchdog", "/dev/watchdog1")
    cloud.wait("the kind of its watchdog", lambda: status().get("watchdog") == "software")
    assert "it is a software watchdog" in status()["watchdogProblem"]
