"""Hosts and control nodes that fail: what must not stop goes on, once; what was acknowledged stays."""

import os
import shutil
import time

from holdlab.probe import WriteProbe
from holdlab.proc import tail, wait_until


def wait_connected(cloud, host, epoch_above=0):
    name = cloud.host_name(host)

    def connected():
        status = cloud.cli.get("host", name)["status"]
        return status["state"] == "CONNECTED" and int(status["epoch"]) > epoch_above
    cloud.cli.wait(f"{name} connected in a new epoch", connected, timeout=120)


def test_power_cut_restarts_never_stop_elsewhere_and_leaves_the_rest_stopped(cloud):
    victim = cloud.lab.hosts[0]
    name = cloud.host_name(victim)
    epoch = int(cloud.cli.get("host", name)["status"]["epoch"])
    before = cloud.create("cut-1", "--ha", "NeverStop", "--host", name)
    cloud.create("cut-2", "--host", name)
    run, address = cloud.run_of("cut-1"), cloud.address("cut-1")

    victim.power_off()
    cloud.wait_new_run("cut-1", run, timeout=120)
    after = cloud.wait_new_boot("cut-1", before)
    assert cloud.host_of("cut-1") is not victim
    assert after["counter"] >= before["counter"] and after["boots"] == before["boots"] + 1
    assert after["ip"] == address == cloud.address("cut-1")
    cloud.wait_state("cut-2", "STOPPED")
    fences = [f for f in cloud.cli.json("ha", "fences") if int(f["epoch"]) == epoch and f.get("evidence")]
    assert fences, "the fence has its evidence in the books"
    failovers = {f["instanceName"]: f for f in cloud.cli.json("ha", "history")}
    assert int(failovers["cut-1"]["runAfter"]) == cloud.run_of("cut-1")

    victim.power_on()
    wait_connected(cloud, victim, epoch)
    assert victim.virsh("list", "--all", "--name").split() == []
    cloud.cli.run("instance", "start", "cut-2", "--host", name)
    assert cloud.guest("cut-2").wait_status()["boots"] == 2
    assert cloud.copies("cut-1") == 1
    cloud.delete("cut-1", "cut-2")


def test_cut_management_network_does_not_start_a_second_copy(cloud):
    """The host lives and renews its lease: its runs are left alone (rule 18)."""
    victim = cloud.lab.hosts[1]
    name = cloud.host_name(victim)
    before = cloud.create("part-1", "--ha", "NeverStop", "--host", name)
    run = cloud.run_of("part-1")
    victim.unplug()
    try:
        cloud.cli.wait(f"{name} without contact", lambda: cloud.cli.get("host", name)["status"]["state"] == "DISCONNECTED", 60)
        end = time.monotonic() + 15  # well past the profile's take-over time
        while time.monotonic() < end:
            assert cloud.copies("part-1") == 1
            time.sleep(0.2)
        assert cloud.guest("part-1").wait_status()["boot_id"] == before["boot_id"]
        assert cloud.run_of("part-1") == run
    finally:
        victim.plug()
    wait_connected(cloud, victim)
    cloud.wait_state("part-1", "RUNNING")
    assert cloud.guest("part-1").wait_status()["boot_id"] == before["boot_id"]
    cloud.delete("part-1")


def test_leader_killed_loses_no_acknowledged_write(cloud):
    leader = cloud.lab.controls[cloud.cli.leader_id() - 1]
    probe = WriteProbe(cloud.cli, "kept")
    wait_until("acknowledged writes", lambda: len(probe.acknowledged) >= 5, timeout=30)
    killed_ms = leader.kill()
    try:
        wait_until("an acknowledged write afterwards", lambda: probe.gap_after(killed_ms) is not None, timeout=60)
        more = len(probe.acknowledged) + 3
        wait_until("more acknowledged writes", lambda: len(probe.acknowledged) >= more, timeout=60)
    finally:
        probe.stop()
        leader.start()
    there = {z["meta"]["name"] for z in cloud.cli.json("zone", "list")}
    assert [n for n, _began, _ended in probe.acknowledged if n not in there] == []
    cloud.cli.wait("the node's return", cloud.cli.all_controls_in, timeout=60)
    for name in there:
        if name.startswith("kept-"):
            cloud.cli.run("zone", "delete", name)


def follower(cloud):
    leader = cloud.cli.leader_id()
    return next(c for c in cloud.lab.controls if c.number != leader)


def test_control_node_with_a_damaged_data_directory_refuses_to_start(cloud):
    node = follower(cloud)
    node.stop()
    spare = node.dir + ".spare"
    shutil.copytree(node.dir, spare)
    try:
        damaged = [os.path.join(d, f) for d, _dirs, files in os.walk(node.dir) for f in files
                   if f.startswith(("open-", "0", "snapshot"))]
        assert damaged, os.listdir(node.dir)
        for path in damaged:
            with open(path, "r+b") as f:
                f.seek(16)
                f.write(b"\xa5" * 4096)
        node.start()
        wait_until("its refusal", lambda: not node.is_running(), timeout=30)
        said = tail(node.log, 3)
        assert node.dir in said and "is damaged" in said and "Replace it" in said, said
    finally:
        node.kill()
        shutil.rmtree(node.dir)
        os.rename(spare, node.dir)
        node.start()
    cloud.cli.wait("the node's return", cloud.cli.all_controls_in, timeout=60)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_host_with_anothers_identity_is_not_let_in(cloud):
    """A machine that boots with the UUID of host-2, well formed, but without its secret."""
    thief, owner = cloud.lab.hosts[2], cloud.lab.hosts[1]
    identity = os.path.join(thief.dir, "state", "identity")
    owner_before, thief_before = (cloud.cli.get("host", cloud.host_name(h)) for h in (owner, thief))
    with open(identity, "rb") as f:
        own = f.read()
    stolen = own.replace(thief_before["meta"]["uuid"].encode(), owner_before["meta"]["uuid"].encode())
    body = stolen[:stolen.index(b"check ")]
    thief.power_off()
    try:
        with open(identity, "wb") as f:
            f.write(body + b"check %08x\n" % crc32c(body))
        thief.power_on()
        wait_until("its refusal", lambda: "another key" in tail(thief.log("hostd"), 50), timeout=30)
        after = cloud.cli.get("host", cloud.host_name(owner))["status"]
        assert (after["state"], after["epoch"]) == ("CONNECTED", owner_before["status"]["epoch"])
    finally:
        thief.power_off()
        with open(identity, "wb") as f:
            f.write(own)
        thief.power_on()
    wait_connected(cloud, thief, int(thief_before["status"]["epoch"]))
