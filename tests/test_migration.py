"""Live migration on real libvirt and QEMU: the guest goes on counting, and what fails leaves one copy."""

import time

from holdlab.proc import wait_until


def migrate(cloud, name, target):
    cloud.cli.run("instance", "migrate", name, "--host", cloud.host_name(target))


def other_host(cloud, name):
    return next(h for h in cloud.lab.hosts if h is not cloud.host_of(name))


def test_a_guest_goes_on_at_the_other_host(cloud):
    before = cloud.create("move-1", "--ha", "NeverStop")
    source, target = cloud.host_of("move-1"), other_host(cloud, "move-1")
    run, address = cloud.run_of("move-1"), cloud.address("move-1")
    began = time.monotonic()
    migrate(cloud, "move-1", target)
    took = time.monotonic() - began
    after = cloud.guest("move-1").wait_status()
    assert cloud.host_of("move-1") is target
    assert cloud.copies("move-1") == 1 and source.qemu_pids(cloud.uuid("move-1")) == []
    assert after["boot_id"] == before["boot_id"] and after["counter"] >= before["counter"]
    assert cloud.address("move-1") == address
    assert cloud.run_of("move-1") == run + 1
    assert cloud.state("move-1") == "RUNNING"
    print(f"migrated in {took:.1f} s")
    # And back: the source's tombstone of the first copy does not stand in the way of the third.
    migrate(cloud, "move-1", source)
    again = cloud.guest("move-1").wait_status()
    assert again["boot_id"] == before["boot_id"] and cloud.host_of("move-1") is source
    cloud.delete("move-1")
