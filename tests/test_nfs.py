"""NFS primary storage on a real server (nfs-ganesha) and the kernel's own client, which runs in User Mode Linux: two hosts
with the keeper and the host daemon, one control node."""
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
    return "" if view is None or view.get("ok") else view.get("message", "")


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
    host.run("umount", host.root)
    cloud.wait_ok()
    host.run("umount", "-l", host.root)  # its keeper has a file open there
    assert MARKER in host.run("ls", "-A", host.root).split()
    wait_until("the next mount", host.mounts, 60)
    cloud.wait_ok()
    host.run("kill", "-9", host.hostd)  # the next daemon takes the mount over
    before = host.mounts()
    host.start_hostd()
    time.sleep(2)
    cloud.wait_ok()
    assert host.mounts() == before
    assert len(other.mounts()) == 1


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
