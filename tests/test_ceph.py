"""Ceph primary storage on a real cluster in the lab's fabric: pools, keys, images as protected snapshots, volumes as clones,
guests on them, and what is said when something is wrong with the cluster."""
import json
import os
import time

import pytest

from holdlab import ceph as ceph_lab, netns
from holdlab.cli import CommandFailed
from holdlab.cloud import CLUSTER, IMAGE, L3, OFFERING, STORAGE as SHARED, ZONE

STORAGE = "ceph-1"


@pytest.fixture(scope="module")
def ceph(cloud):
    why = ceph_lab.available()
    if why:
        pytest.skip(why)
    config = cloud.lab.config
    cluster = ceph_lab.Ceph(config.dir, config.fabric, cloud.lab.spawn, config.fabric_address)
    try:
        yield cluster.create()
    finally:
        cluster.stop()


def create(cloud, cluster, name, **flags):
    flags = {"monitor": cluster.monitors, "user": "admin", "key": cluster.key(), **flags}
    cloud.cli.run("storage", "create", name, "--zone", ZONE, "--type", "Ceph",
                  *(word for flag, value in flags.items() if value is not None for word in (f"--{flag.replace('_', '-')}", value)))


def condition(cloud, name):
    conditions = cloud.cli.get("storage", name).get("status", {}).get("conditions", [])
    return next((c["message"] for c in conditions if c["type"] == "Ceph"), "")


@pytest.fixture(scope="module")
def storage(cloud, ceph):
    create(cloud, ceph, STORAGE)
    cloud.cli.run("cluster", "attach-storage", CLUSTER, STORAGE)

    cloud.cli.wait("a good word of all hosts on the storage", lambda: all_good(cloud, STORAGE), 60)
    yield STORAGE
    left = [i["meta"]["name"] for i in cloud.cli.json("instance", "list")
            if i["spec"]["primaryStorageUuid"] == cloud.cli.get("storage", STORAGE)["meta"]["uuid"]]
    cloud.delete(*left)  # of a test that failed
    cloud.cli.run("cluster", "detach-storage", CLUSTER, STORAGE)
    cloud.cli.wait("the end of the hosts' keys", lambda: not any(e.startswith("client.holdfast-") for e in ceph.entities()), 60)
    cloud.cli.run("storage", "delete", STORAGE)


def pool(cloud, prefix):
    return f"{prefix}{cloud.cli.get('storage', STORAGE)['meta']['uuid']}"


def test_pools_keys_and_health(cloud, ceph, storage):
    shown = cloud.cli.get("storage", storage)
    assert {pool(cloud, p) for p in ("pri-c-", "pri-v-r-", "pri-v-d-")} <= set(ceph.pools())
    cloud.cli.wait("the cluster's own word on its health", lambda: cloud.cli.get("storage", storage)["status"]["ceph"]["health"]
                   == ceph.command({"prefix": "health"})["status"], 60)
    assert shown["status"]["ceph"]["fsid"] == ceph.fsid
    assert int(shown["status"]["totalBytes"]) > int(shown["status"]["availableBytes"]) // 2 > 0
    users = {e: caps for e, caps in ceph.entities().items() if e.startswith("client.holdfast-")}
    assert len(users) == len(cloud.lab.hosts)
    for caps in users.values():
        assert caps["mon"] == "profile rbd" and all(f"profile rbd pool={p}" in caps["osd"]
                                                    for p in (pool(cloud, "pri-c-"), pool(cloud, "pri-v-r-")))
    # No key is shown to anybody who may read.
    text = json.dumps(shown) + cloud.cli.run("-o", "yaml", "storage", "list")
    assert ceph.key() not in text
    assert not any(ceph.key(u) in text for u in users)
    assert {k["key"] for k in shown["status"]["ceph"]["hostKeys"]} == {"set"}


def grow_and_snapshot(cloud, ceph, root, instance):
    """A larger disk and a snapshot under a running guest. Returns the new size."""
    volume, host = instance["spec"]["rootVolumeUuid"], cloud.host_of(instance["meta"]["name"])
    size = 2 * ceph.image(root, volume)["size"]
    cloud.cli.run("volume", "resize", volume, "--size", str(size))
    assert ceph.image(root, volume)["size"] == size
    assert f"Capacity:       {size}" in host.virsh("domblkinfo", instance["meta"]["uuid"], "vda")
    cloud.cli.run("volume", "snapshot", "create", volume, "before")
    snapshots = cloud.cli.json("volume", "snapshot", "list", volume)
    assert [(s["name"], s["state"], s["ofRunningGuest"]) for s in snapshots] == [("before", "READY", True)]
    assert ceph.image(root, volume)["snapshots"] == [snapshots[0]["uuid"]]
    assert cloud.cli.run("__complete", "volume", "snapshot", "revert", volume, "b").split() == ["before"]
    assert "stop it first" in cloud.refused("volume", "snapshot", "revert", volume, "before")
    return size


def start_from_the_snapshot(cloud, ceph, root, instance, size):
    """A stopped instance goes back to it, and starts only when that has ended."""
    volume = instance["spec"]["rootVolumeUuid"]
    ceph.poke(root, volume, size - 512, b"later" + bytes(507))
    cloud.cli.run("--no-wait", "volume", "snapshot", "revert", volume, "before")
    cloud.cli.run("instance", "start", instance["meta"]["name"])
    assert ceph.peek(root, volume, size - 512, 5) == bytes(5)


def test_an_instance_lives_on_it(cloud, ceph, storage):
    root, templates, data = pool(cloud, "pri-v-r-"), pool(cloud, "pri-c-"), pool(cloud, "pri-v-d-")
    cloud.cli.run("volume", "create", "ceph-data", "--size", "64M", "--storage", storage)
    status = cloud.create("on-ceph", "--storage", storage, "--ha", "NeverStop")
    assert status["boot_id"]
    instance = cloud.instance("on-ceph")
    volume = instance["spec"]["rootVolumeUuid"]
    image = cloud.cli.get("image", IMAGE)["meta"]["uuid"]
    assert cloud.cli.get("volume", volume)["status"]["installPath"] == f"ceph://{root}/{volume}"
    assert volume in ceph.images(root) and ceph.images(templates) == [image]
    info = ceph.image(root, volume)
    assert info["parent"] == (templates, image, "holdfast") and "exclusive-lock" in info["features"]
    assert ceph.image(templates, image)["protected"] == ["holdfast"]
    # libvirt has the key, its XML has not, and nobody can read it back.
    host = cloud.host_of("on-ceph")
    xml = host.virsh("dumpxml", instance["meta"]["uuid"])
    key = ceph.key(f"client.holdfast-{instance['placement']['hostUuid']}-{cloud.cli.get('storage', storage)['meta']['uuid']}")
    assert "protocol='rbd'" in xml and "error_policy='stop'" in xml and "<auth username='holdfast-" in xml and key not in xml
    secrets = [line.split()[0] for line in host.virsh("secret-list").splitlines() if "ceph" in line]
    assert len(secrets) == 1 and host.run("virsh", "-q", "secret-get-value", secrets[0], check=False).returncode != 0
    for pid in host.qemu_pids():
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
            assert key not in f.read()
    size = grow_and_snapshot(cloud, ceph, root, instance)
    # A data volume is an image of its own; both go with their owners, the root volume with its snapshot.
    cloud.cli.run("instance", "stop", "on-ceph")
    cloud.wait_state("on-ceph", "STOPPED")
    cloud.cli.run("volume", "attach", "ceph-data", "on-ceph")
    start_from_the_snapshot(cloud, ceph, root, instance, size)
    cloud.guest("on-ceph").wait_status()
    assert len(ceph.images(data)) == 1
    cloud.cli.run("volume", "flatten", volume)
    assert ceph.image(root, volume)["parent"] is None
    assert cloud.guest("on-ceph").wait_status()
    cloud.delete("on-ceph")
    cloud.cli.wait("the end of its root volume", lambda: ceph.images(root) == [], 60)
    cloud.cli.run("volume", "delete", "ceph-data")
    assert ceph.images(data) == [] and ceph.trash(root) == [] and ceph.trash(data) == []


def test_migrates(cloud, ceph, storage):
    before = cloud.create("mover", "--storage", storage)
    source = cloud.host_of("mover")
    cloud.cli.run("instance", "migrate", "mover")
    assert cloud.host_of("mover") != source
    assert cloud.guest("mover").wait_status()["boot_id"] == before["boot_id"]
    cloud.delete("mover")


def create_server(cloud, cluster, name, **flags):
    flags = {"monitor": cluster.monitors, "user": "admin", "key": cluster.key(), **flags}
    cloud.cli.run("image-server", "create", name, "--zone", ZONE, "--type", "Ceph",
                  *(word for flag, value in flags.items() for word in (f"--{flag}", value)))


def said(cloud, kind, name):
    return " ".join(c["message"] for c in cloud.cli.get(kind, name).get("status", {}).get("conditions", []))


def upload_an_image(cloud, ceph, bak, served):
    """The same file from this machine becomes the same image, and no control node keeps it afterwards."""
    words = ("--upload", cloud.image, "--format", "qcow2")
    assert "Name an image server" in cloud.refused("image", "create", "uploaded", *words)
    cloud.cli.run("image", "create", "uploaded", "--image-server", "templates", *words)
    shown = cloud.cli.get("image", "uploaded")
    image = shown["meta"]["uuid"]
    assert shown["spec"]["sha256"] == cloud.checksum and "upload" not in shown["status"]
    assert ceph.image(bak, image)["protected"] == ["holdfast"]
    assert ceph.peek(bak, image, 0, 1 << 20) == ceph.peek(bak, served, 0, 1 << 20)
    kept = [os.path.join(control.dir, "uploads", image) for control in cloud.lab.controls]
    cloud.cli.wait("the end of the file at the control nodes", lambda: not any(map(os.path.exists, kept)), 60)
    assert "it is there already" in cloud.refused("image", "upload", "uploaded", cloud.image)
    cloud.cli.run("image", "delete", "uploaded")


def test_an_image_server(cloud, ceph, storage):
    """An image is brought into the server's pool once; a storage of the same cluster clones it, and an instance lives on that."""
    create_server(cloud, ceph, "templates")
    server = cloud.cli.get("image-server", "templates")["meta"]["uuid"]
    bak, cache = f"bak-t-{server}", pool(cloud, "pri-c-")
    cloud.create_image("served", words=("--image-server", "templates"))
    image = cloud.cli.get("image", "served")["meta"]["uuid"]
    assert ceph.images(bak) == [image] and ceph.image(bak, image)["protected"] == ["holdfast"]
    shown = cloud.cli.get("image-server", "templates")
    assert shown["status"]["ceph"]["fsid"] == ceph.fsid and ceph.key() not in json.dumps(shown)
    cloud.cli.wait("the end of the key that brought it in", lambda: f"client.holdfast-{server}" not in ceph.entities(), 60)
    cloud.cli.wait("the storage's hosts to be let into its pool", lambda: all(
        f"profile rbd-read-only pool={bak}" in caps["osd"] for e, caps in ceph.entities().items()
        if e.startswith("client.holdfast-")), 60)

    words = ("instance", "create", "of-served", "--image", "served", "--offering", OFFERING, "--network", L3)
    assert "'templates', which serves Ceph primary storages only" in cloud.refused(*words, "--storage", SHARED)
    cloud.cli.run(*words, "--storage", storage)
    cloud.guest("of-served").wait_status()
    assert ceph.image(cache, image)["parent"] == (bak, image, "holdfast")
    assert ceph.image(cache, image)["protected"] == ["holdfast"]
    volume = cloud.instance("of-served")["spec"]["rootVolumeUuid"]
    assert ceph.image(pool(cloud, "pri-v-r-"), volume)["parent"] == (cache, image, "holdfast")

    upload_an_image(cloud, ceph, bak, image)
    for words in (("image", "delete", "served"), ("image-server", "delete", "templates")):
        assert "in use by" in cloud.refused(*words)
    cloud.delete("of-served")
    cloud.cli.run("image", "delete", "served")
    cloud.cli.wait("the image's end in both pools", lambda: ceph.images(bak) == [] and image not in ceph.images(cache), 60)
    cloud.cli.wait("the server's word on that", lambda: not cloud.cli.get("image-server", "templates")["status"].get(
        "removingImageUuids"), 60)
    cloud.cli.run("image-server", "delete", "templates")


@pytest.fixture
def far(cloud, ceph):
    """Another cluster, on a machine of its own in the management network."""
    config, address = cloud.lab.config, f"10.{cloud.lab.config.octet}.0.253"
    name = f"{config.fabric}-far"
    netns.create(name)
    try:
        netns.cable(config.fabric, "far", "mgmt", name, "eth0", f"{address}/24")
        cluster = ceph_lab.Ceph(os.path.join(config.dir, "far"), name, cloud.lab.spawn, address)
        try:
            yield cluster.create()
        finally:
            cluster.stop()
    finally:
        netns.delete(name)


def test_an_image_server_of_another_cluster(cloud, ceph, far, storage):
    """An image of the server is copied when it is first needed; who copies it has a key for that alone."""
    create_server(cloud, far, "elsewhere")
    server = cloud.cli.get("image-server", "elsewhere")["meta"]["uuid"]
    bak, cache, mine = f"bak-t-{server}", pool(cloud, "pri-c-"), set(ceph.images(pool(cloud, "pri-c-")))
    cloud.create_image("from-afar", words=("--image-server", "elsewhere"))
    image = cloud.cli.get("image", "from-afar")["meta"]["uuid"]
    assert far.images(bak) == [image] and image not in ceph.images(cache)
    cloud.cli.run("instance", "create", "far-1", "--image", "from-afar", "--offering", OFFERING, "--network", L3, "--storage", storage)
    cloud.guest("far-1").wait_status()
    copy = ceph.image(cache, image)
    assert (copy["parent"], copy["protected"], copy["size"]) == (None, ["holdfast"], far.image(bak, image)["size"])
    assert set(ceph.images(cache)) - mine == {image}
    volume = cloud.instance("far-1")["spec"]["rootVolumeUuid"]
    assert ceph.image(pool(cloud, "pri-v-r-"), volume)["parent"] == (cache, image, "holdfast")
    cloud.cli.wait("the end of the keys at the server's cluster", lambda: not any(
        e.startswith("client.holdfast-") for e in far.entities()), 60)

    cloud.delete("far-1")
    cloud.cli.run("image", "delete", "from-afar")
    cloud.cli.wait("the end of the image and its copy", lambda: far.images(bak) == [] and image not in ceph.images(cache), 60)
    cloud.cli.wait("the end of the server", lambda: gone(cloud, "image-server", "elsewhere"), 60)


def gone(cloud, kind, name):
    """It can be deleted now, and is."""
    try:
        cloud.cli.run(kind, "delete", name)
    except CommandFailed:
        return False
    return True


@pytest.mark.parametrize("flags, says", [
    ({"key": "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="}, "refuses the user 'client.admin'"),
    ({"fsid": "e1beaa76-80a0-4a2b-8986-0117f450b32f"}, "not e1beaa76"),
    ({"pool": "foreign"}, "belongs to the application 'radosgw'"),
])
def test_an_image_server_that_is_wrong(cloud, ceph, flags, says):
    if "pool" in flags and "foreign" not in ceph.pools():
        foreign_pool(ceph)
    create_server(cloud, ceph, "wrong", **flags)
    try:
        cloud.cli.wait(f"a word about {flags}", lambda: says in said(cloud, "image-server", "wrong"), 40)
    finally:
        cloud.cli.run("image-server", "delete", "wrong")


def foreign_pool(ceph):
    ceph.command({"prefix": "osd pool create", "pool": "foreign", "pg_num": 1})
    ceph.command({"prefix": "osd pool application enable", "pool": "foreign", "app": "radosgw"})


@pytest.mark.parametrize("flags, says", [
    ({"key": "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="}, "refuses the user 'client.admin'"),
    ({"user": "nobody"}, "refuses the user 'client.nobody'"),
    ({"fsid": "e1beaa76-80a0-4a2b-8986-0117f450b32f"}, "not e1beaa76"),
    ({"root_pool": "nowhere"}, "no pool 'nowhere'"),
    ({"image_pool": "foreign"}, "belongs to the application 'radosgw'"),
])
def test_wrong_about_the_cluster(cloud, ceph, storage, flags, says):
    if "image_pool" in flags and "foreign" not in ceph.pools():
        foreign_pool(ceph)
    create(cloud, ceph, "wrong", **flags)
    try:
        cloud.cli.wait(f"a word about {flags}", lambda: says in condition(cloud, "wrong"), 40)
    finally:
        cloud.cli.run("storage", "delete", "wrong")


def test_monitors_that_are_none(cloud, ceph, storage):
    """An address that answers, but is not Ceph: the lab's image server; then one that is."""
    config = cloud.lab.config
    create(cloud, ceph, "moved", monitor=f"{config.fabric_address}:8000")
    try:
        cloud.cli.wait("a word about the monitor", lambda: "answers as Ceph" in condition(cloud, "moved"), 60)
        cloud.cli.run("storage", "update", "moved", "--monitor", ceph.monitors)
        cloud.cli.wait("the end of the complaint", lambda: condition(cloud, "moved") == "" and
                       cloud.cli.get("storage", "moved")["status"].get("ceph", {}).get("prepared"), 60)
    finally:
        cloud.cli.run("storage", "delete", "moved")


@pytest.mark.parametrize("flags, says", [
    ({"monitor": "mon-a"}, "is no monitor"),
    ({"monitor": None}, "no monitor is named"),
    ({"key": None}, "asks for a user and a key"),
    ({"key": "secret"}, "no Ceph key"),
    ({"user": "client.admin"}, "leave 'client.' away"),
    ({"fsid": "1"}, "no fsid"),
    ({"root_pool": "a/b"}, "no name of a pool"),
    ({"root_pool": "a", "data_pool": "a"}, "named as two pools"),
])
def test_refused(cloud, ceph, flags, says):
    with pytest.raises(CommandFailed) as refused:
        create(cloud, ceph, "bad", **flags)
    assert says in refused.value.message
    assert "secret" not in refused.value.message


def test_a_client_left_over(cloud, ceph, storage):
    """A client of an earlier run that still has the volume open is refused by the cluster before the next run starts, also one
    that was stopped and goes on later; the next run is not."""
    cloud.create("twice", "--storage", storage)
    volume = cloud.instance("twice")["spec"]["rootVolumeUuid"]
    cloud.cli.run("instance", "stop", "twice")
    cloud.wait_state("twice", "STOPPED")
    with ceph.writer(pool(cloud, "pri-v-r-"), volume) as writer:
        assert writer.write() == "ok"
        writer.stop()
        cloud.cli.run("instance", "start", "twice")
        cloud.guest("twice").wait_status()
        writer.go_on()
        assert writer.write() == "refused"
        assert writer.write() == "refused"
    assert cloud.guest("twice").wait_status()
    cloud.delete("twice")


def leases(cloud):
    """Of every host: (epoch, how it stands)."""
    return [(h["status"]["epoch"], h["status"]["state"]) for h in cloud.cli.json("host", "list")]


def test_an_outage_of_the_cluster(cloud, ceph, storage):
    """Longer than the leases: what needs the cluster is killed by its own keeper, no host is given up by others, and it starts
    again when the cluster is back."""
    before = cloud.create("sturdy", "--storage", storage, "--ha", "NeverStop")
    run = cloud.run_of("sturdy")
    ceph.freeze("osd.0")
    try:
        cloud.cli.wait("a word about the cluster", lambda: all(
            not v.get("ok") for v in cloud.cli.get("storage", storage)["status"]["hosts"]), 90)
    finally:
        ceph.thaw("osd.0")
    cloud.wait_new_boot("sturdy", before)
    cloud.wait_new_run("sturdy", run)
    assert cloud.copies("sturdy") == 1
    assert {state for _epoch, state in leases(cloud)} == {"CONNECTED"}
    kinds = {e["kind"] for f in cloud.cli.json("ha", "fences") for e in f.get("evidence", [])}
    assert kinds <= {"CLOSED_AND_KILLED", "NEXT_EPOCH"}
    cloud.delete("sturdy")


def all_good(cloud, storage):
    views = cloud.cli.get("storage", storage).get("status", {}).get("hosts", [])
    return len(views) == len(cloud.lab.hosts) and all(v.get("ok") for v in views)


def test_a_full_cluster(cloud, ceph, storage):
    """Writes wait for room, for longer than a lease lasts; no host loses its lease for that, and no guest its life."""
    before, good = cloud.create("patient", "--storage", storage, "--ha", "NeverStop"), leases(cloud)
    run = cloud.run_of("patient")
    ceph.fill()
    try:
        cloud.cli.wait("a full cluster", ceph.is_full, 60)
        time.sleep(5)  # longer than the lease
    finally:
        ceph.fill(False)
    assert cloud.guest("patient").wait_status()["boot_id"] == before["boot_id"]
    assert (cloud.run_of("patient"), leases(cloud)) == (run, good)
    cloud.cli.wait("room again", lambda: not ceph.is_full() and
                   int(cloud.cli.get("storage", storage)["status"].get("availableBytes", 0)) > 0, 60)
    cloud.delete("patient")


def test_a_host_on_the_blocklist(cloud, ceph, storage):
    """Put there by hand: its guest can write no more, its keeper closes its lease and kills, it says why, and its instance runs
    elsewhere. Taken off by hand, it works again by itself."""
    cloud.create("banned", "--storage", storage, "--ha", "NeverStop")
    host, run = cloud.host_of("banned"), cloud.run_of("banned")
    uuid = cloud.instance("banned")["placement"]["hostUuid"]
    views = cloud.cli.get("storage", storage)["status"]["hosts"]
    assert all(v.get("ok") for v in views)
    ceph.block(host.address)
    try:
        cloud.wait_new_run("banned", run)
        assert cloud.host_of("banned") != host and cloud.copies("banned") == 1
        cloud.cli.wait("the host's own word", lambda: any(
            v["hostUuid"] == uuid and "on its blocklist" in v.get("message", "")
            for v in cloud.cli.get("storage", storage)["status"]["hosts"]), 60)
    finally:
        ceph.unblock(host.address)
    cloud.cli.wait("a good word of all hosts", lambda: all_good(cloud, storage), 60)
    cloud.cli.run("instance", "migrate", "banned", "--host", uuid)
    assert cloud.host_of("banned") == host
    cloud.delete("banned")


def test_a_guest_that_the_cluster_refuses(cloud, ceph, storage):
    """Its client alone: QEMU stops it at its next write, and it is not let go on, as it could not write again."""
    cloud.create("refused", "--storage", storage)
    volume = cloud.instance("refused")["spec"]["rootVolumeUuid"]
    for client in ceph.watchers(pool(cloud, "pri-v-r-"), volume):
        ceph.block_client(client)
    cloud.wait_state("refused", "PAUSED")
    cloud.cli.wait("the reason", lambda: any("the cluster refuses it" in c.get("message", "")
                                             for c in cloud.instance("refused")["status"].get("conditions", [])), 60)
    assert cloud.state("refused") == "PAUSED"
    cloud.cli.run("instance", "stop", "refused", "--force")
    cloud.wait_state("refused", "STOPPED")
    cloud.cli.run("instance", "start", "refused")
    cloud.guest("refused").wait_status()
    cloud.delete("refused")


def test_a_refused_guest_that_never_stops(cloud, ceph, storage):
    """It starts again by itself: its host ends the run that can write no more, and its timeline says why."""
    before = cloud.create("mistaken", "--storage", storage, "--ha", "NeverStop")
    run, volume = cloud.run_of("mistaken"), cloud.instance("mistaken")["spec"]["rootVolumeUuid"]
    for client in ceph.watchers(pool(cloud, "pri-v-r-"), volume):
        ceph.block_client(client)
    cloud.wait_new_run("mistaken", run)
    cloud.wait_new_boot("mistaken", before)
    assert cloud.copies("mistaken") == 1
    cloud.cli.wait("its record", lambda: any(
        f["instanceName"] == "mistaken" and (f["evidence"], f["outcome"]) == ("client refused", "restarted")
        for f in cloud.cli.json("ha", "history")), 60)
    assert "the cluster refuses it" in cloud.cli.json("ha", "timeline", "--instance", "mistaken")[0]["what"]
    cloud.delete("mistaken")


def fence_of(cloud, uuid, epoch):
    return next(f for f in cloud.cli.json("ha", "fences") if f["hostUuid"] == uuid and int(f["epoch"]) == epoch)


@pytest.mark.parametrize("takeover, proof", [("strict", "silence"), ("write-fenced", "blocklist")])
def test_a_lost_host(cloud, ceph, storage, takeover, proof):
    """A power cut: its record on RADOS stands still, its epoch is marked there, the cluster refuses its addresses, and its
    instance runs elsewhere. When it is back the cluster serves it again."""
    cloud.create("phoenix", "--storage", storage, "--ha", "NeverStop", "--takeover", takeover)
    host, run, instance = cloud.host_of("phoenix"), cloud.run_of("phoenix"), cloud.uuid("phoenix")
    uuid = cloud.instance("phoenix")["placement"]["hostUuid"]
    epoch = int(cloud.cli.get("host", uuid)["status"]["epoch"])
    record = f"heartbeat-file-kvm-host-{uuid}.hb"
    assert ceph.attribute(pool(cloud, "pri-v-r-"), record, "holdfast.epoch") == f"{epoch:016x}"
    host.power_off()
    try:
        cloud.wait_new_run("phoenix", run)
        assert cloud.host_of("phoenix") != host
        assert [f["evidence"] for f in cloud.cli.json("ha", "history") if f["instanceUuid"] == instance] == [proof]
        (listed,) = [b["entries"] for b in fence_of(cloud, uuid, epoch)["blocklists"] if b["state"] == "ADDED"]
        assert listed and set(listed) <= set(ceph.blocklist())
        assert int(ceph.attribute(pool(cloud, "pri-v-r-"), record, "holdfast.fenced"), 16) >= epoch
        cloud.guest("phoenix").wait_status()
    finally:
        host.power_on()
    cloud.cli.wait("the host's next epoch", lambda: int(cloud.cli.get("host", uuid)["status"]["epoch"]) > epoch and
                   cloud.cli.get("host", uuid)["status"]["state"] == "CONNECTED", 120)
    cloud.cli.wait("its record in the new epoch", lambda: int(ceph.attribute(
        pool(cloud, "pri-v-r-"), record, "holdfast.epoch"), 16) > epoch, 60)
    cloud.cli.wait("the removal in the log", lambda: [b["state"] for b in fence_of(cloud, uuid, epoch)["blocklists"]] == ["REMOVED"], 60)
    assert not set(listed) & set(ceph.blocklist())
    assert cloud.copies("phoenix") == 1
    cloud.delete("phoenix")


def wait_next_epoch(cloud, uuid, epoch):
    """The host is back in a later epoch; returns that."""
    def back():
        status = cloud.cli.get("host", uuid)["status"]
        return int(status["epoch"]) if int(status["epoch"]) > epoch and status["state"] == "CONNECTED" else None
    return cloud.cli.wait("the host's next epoch", back, 120)


def power_cycle(cloud, host, uuid, watchdog):
    epoch = int(cloud.cli.get("host", uuid)["status"]["epoch"])
    host.power_off()
    host.watchdog = watchdog
    host.power_on()
    return wait_next_epoch(cloud, uuid, epoch)


def test_a_frozen_host_that_goes_on(cloud, ceph, storage):
    """A host hangs as a whole and has no watchdog, so that all its processes go on later. Its instance is write-fenced and runs
    elsewhere meanwhile; what goes on writes nothing more and is killed by its own keeper. Then the host is taken off the blocklist
    and runs instances again."""
    host = cloud.lab.hosts[-1]
    uuid = next(h["meta"]["uuid"] for h in cloud.cli.json("host", "list") if h["spec"]["managementIp"] == host.address)
    whole = f"{host.address}:0/0"
    epoch = power_cycle(cloud, host, uuid, watchdog=False)
    try:
        cloud.cli.wait("a good word of all hosts", lambda: all_good(cloud, storage), 60)
        cloud.create("icy", "--storage", storage, "--ha", "NeverStop", "--takeover", "write-fenced")
        if cloud.host_of("icy") != host:
            cloud.cli.run("instance", "migrate", "icy", "--host", uuid)
        run = cloud.run_of("icy")
        host.freeze()
        try:
            cloud.wait_new_run("icy", run)
            fence = fence_of(cloud, uuid, epoch)
            assert "BLOCKLIST" in {e["kind"] for e in fence["evidence"]}
            assert [whole in b["entries"] for b in fence["blocklists"]] == [True] and whole in ceph.blocklist()
            after = cloud.guest("icy").wait_status()
            assert cloud.copies("icy") == 2  # the old one stands still
        finally:
            host.thaw()
        cloud.cli.wait("the end of the old run", lambda: cloud.copies("icy") == 1, 60)
        wait_next_epoch(cloud, uuid, epoch)
        cloud.cli.wait("the host off the blocklist", lambda: whole not in ceph.blocklist(), 120)
        cloud.cli.wait("a good word of all hosts", lambda: all_good(cloud, storage), 60)
        cloud.cli.run("instance", "migrate", "icy", "--host", uuid)
        assert cloud.host_of("icy") == host and cloud.guest("icy").wait_status()["boot_id"] == after["boot_id"]
        cloud.delete("icy")
    finally:
        power_cycle(cloud, host, uuid, watchdog=True)
