"""The life of instances on real libvirt, QEMU and dnsmasq."""

import os
import signal

from holdlab.host import SHARED_MOUNT
from holdlab.proc import wait_until


def test_instance_is_a_domain_named_by_uuid_with_its_dhcp_address(cloud):
    status = cloud.create("life-1")
    instance, host = cloud.instance("life-1"), cloud.host_of("life-1")
    uuid = instance["meta"]["uuid"]
    assert host.virsh("list", "--name").split() == [uuid]
    assert status["ip"] == instance["spec"]["nics"][0]["ip"]
    xml = host.virsh("dumpxml", uuid)
    assert instance["placement"]["hostUuid"] in xml, "the placement stands in the domain's metadata"
    assert "rootVolumes/acct-" in xml and "cache='none'" in xml
    cached = os.path.join(cloud.lab.config.shared_dir, "imagecache", "template", instance["spec"]["imageUuid"])
    assert os.listdir(cached), "the template lies in the image cache"
    assert SHARED_MOUNT in xml
    cloud.delete("life-1")
    assert uuid not in host.virsh("list", "--all", "--name")


def test_guests_on_two_hosts_ping_each_other(cloud):
    hosts = cloud.lab.hosts
    cloud.create("ping-1", "--host", cloud.host_name(hosts[0]))
    cloud.create("ping-2", "--host", cloud.host_name(hosts[1]))
    assert cloud.guest("ping-1").ping(cloud.address("ping-2"))["ok"]
    assert cloud.guest("ping-2").ping(cloud.address("ping-1"))["ok"]
    cloud.delete("ping-1", "ping-2")


def disk_bytes(cloud, name):
    """As QEMU shows it to the guest."""
    lines = cloud.host_of(name).virsh("domblkinfo", cloud.uuid(name), "vda").splitlines()
    return int(next(line for line in lines if line.startswith("Capacity:")).split()[1])


def test_stop_and_start_keep_address_and_disk(cloud):
    before = cloud.create("stop-1")
    address, run = cloud.address("stop-1"), cloud.run_of("stop-1")
    size, volume = disk_bytes(cloud, "stop-1"), cloud.instance("stop-1")["spec"]["rootVolumeUuid"]
    cloud.cli.run("volume", "resize", volume, "--size", str(2 * size))
    assert disk_bytes(cloud, "stop-1") == 2 * size
    cloud.cli.run("instance", "stop", "stop-1")
    assert cloud.state("stop-1") == "STOPPED"
    assert cloud.copies("stop-1") == 0
    cloud.cli.run("volume", "resize", volume, "--size", str(3 * size))
    cloud.cli.run("instance", "start", "stop-1")
    after = cloud.guest("stop-1").wait_status()
    assert disk_bytes(cloud, "stop-1") == 3 * size
    assert "not of type Ceph" in cloud.refused("volume", "snapshot", "create", volume, "none")
    assert after["boots"] == before["boots"] + 1
    assert after["counter"] >= before["counter"]
    assert cloud.address("stop-1") == address
    assert cloud.run_of("stop-1") > run
    cloud.delete("stop-1")


def test_forced_stop_does_not_ask_the_guest(cloud):
    cloud.create("force-1")
    cloud.cli.run("instance", "stop", "force-1", "--force")
    assert cloud.copies("force-1") == 0
    cloud.delete("force-1")


def test_reboot_restarts_the_guest(cloud):
    before = cloud.create("reboot-1")
    cloud.cli.run("instance", "reboot", "reboot-1")
    after = cloud.wait_new_boot("reboot-1", before)
    assert after["boots"] == before["boots"] + 1
    assert cloud.state("reboot-1") == "RUNNING"
    cloud.delete("reboot-1")


def test_pause_and_resume(cloud):
    before = cloud.create("pause-1")
    cloud.cli.run("instance", "pause", "pause-1")
    assert cloud.state("pause-1") == "PAUSED"
    assert cloud.guest("pause-1").status(timeout=1) is None
    cloud.cli.run("instance", "resume", "pause-1")
    assert cloud.state("pause-1") == "RUNNING"
    assert cloud.guest("pause-1").wait_status()["boot_id"] == before["boot_id"]
    cloud.delete("pause-1")


def test_host_daemon_killed_and_restarted_loses_nothing(cloud):
    before = cloud.create("adopt-1")
    host, run = cloud.host_of("adopt-1"), cloud.run_of("adopt-1")
    pids = host.qemu_pids(cloud.uuid("adopt-1"))
    host.kill("hostd")
    assert host.qemu_pids(cloud.uuid("adopt-1")) == pids
    host.start("hostd")
    name = cloud.host_name(host)
    cloud.cli.wait(f"{name} connected", lambda: cloud.cli.get("host", name)["status"]["state"] == "CONNECTED", 60)
    cloud.wait_state("adopt-1", "RUNNING")
    assert host.qemu_pids(cloud.uuid("adopt-1")) == pids, "the same QEMU goes on"
    assert cloud.run_of("adopt-1") == run
    assert cloud.guest("adopt-1").wait_status()["boot_id"] == before["boot_id"]
    cloud.cli.run("instance", "stop", "adopt-1")
    assert cloud.copies("adopt-1") == 0, "the restarted daemon still commands it"
    cloud.delete("adopt-1")


def test_libvirtd_killed_and_restarted_loses_nothing(cloud):
    before = cloud.create("libvirt-1")
    host = cloud.host_of("libvirt-1")
    host.kill("libvirtd")
    host.start("libvirtd")
    assert cloud.guest("libvirt-1").wait_status()["boot_id"] == before["boot_id"]
    cloud.cli.run("instance", "stop", "libvirt-1")
    assert cloud.copies("libvirt-1") == 0
    cloud.delete("libvirt-1")


def test_never_stop_restarts_when_its_guest_powers_itself_off(cloud):
    before = cloud.create("never-1", "--ha", "NeverStop")
    run = cloud.run_of("never-1")
    cloud.guest("never-1").power_off()
    cloud.wait_new_run("never-1", run)
    after = cloud.wait_new_boot("never-1", before)
    assert after["counter"] >= before["counter"]
    assert cloud.copies("never-1") == 1
    cloud.delete("never-1")


def test_never_stop_restarts_when_its_qemu_is_killed(cloud):
    before = cloud.create("never-2", "--ha", "NeverStop")
    run, host = cloud.run_of("never-2"), cloud.host_of("never-2")
    os.kill(host.qemu_pids(cloud.uuid("never-2"))[0], signal.SIGKILL)
    cloud.wait_new_run("never-2", run)
    cloud.wait_new_boot("never-2", before)
    assert cloud.copies("never-2") == 1
    cloud.delete("never-2")


def test_without_ha_a_guest_that_powers_itself_off_stays_stopped(cloud):
    cloud.create("none-1")
    cloud.guest("none-1").power_off()
    cloud.wait_state("none-1", "STOPPED")
    wait_until("the end of its QEMU", lambda: cloud.copies("none-1") == 0, timeout=20)
    assert cloud.run_of("none-1") == int(cloud.instance("none-1")["status"]["seenRun"])
    cloud.delete("none-1")


def test_an_admins_stop_ends_never_stop(cloud):
    cloud.create("never-3", "--ha", "NeverStop")
    run = cloud.run_of("never-3")
    cloud.cli.run("instance", "stop", "never-3")
    assert cloud.state("never-3") == "STOPPED"
    assert cloud.run_of("never-3") == run
    assert cloud.copies("never-3") == 0
    cloud.delete("never-3")


def test_starting_what_runs_is_refused(cloud):
    cloud.create("twice-1")
    assert "twice-1" in cloud.refused("instance", "start", "twice-1")
    assert cloud.copies("twice-1") == 1
    cloud.delete("twice-1")
