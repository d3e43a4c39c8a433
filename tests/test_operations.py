"""Hosts that are taken out of service: drained, in maintenance, shut down; nothing is fenced, nothing runs twice."""

import signal

from holdlab.proc import wait_until
from test_failures import wait_connected


def wait_duty(cloud, name, duty, timeout=60):
    cloud.cli.wait(f"{name} {duty or 'serving'}",
                   lambda: cloud.cli.get("host", name)["status"].get("duty", "") == duty, timeout)


def epoch_of(cloud, name):
    return int(cloud.cli.get("host", name)["status"]["epoch"])


def fences_of(cloud, name):
    uuid = cloud.cli.get("host", name)["meta"]["uuid"]
    return {int(f["epoch"]): [e["kind"] for e in f.get("evidence", [])]
            for f in cloud.cli.json("ha", "fences") if f["hostUuid"] == uuid}


def failovers_of(cloud, *names):
    return [f for f in cloud.cli.json("ha", "history") if f["instanceName"] in names]


def start_operation(cloud, *words):
    """The UUID of the operation that the command starts, which is not waited for."""
    return cloud.cli.json("--no-wait", *words)["meta"]["uuid"]


def operation(cloud, uuid):
    return cloud.cli.get("operation", uuid)


def duty_in_list(cloud, name):
    lines = cloud.cli.run("host", "list").splitlines()
    column = lines[0].split().index("DUTY")
    return next(line.split()[column] for line in lines if line.split()[0] == name)


def test_drained_host_loses_its_guests_without_a_stop(cloud):
    host = cloud.lab.hosts[0]
    name = cloud.host_name(host)
    before = {"drain-1": cloud.create("drain-1", "--ha", "NeverStop", "--host", name),
              "drain-2": cloud.create("drain-2", "--host", name)}
    epoch = epoch_of(cloud, name)

    cloud.cli.run("host", "drain", name)
    assert duty_in_list(cloud, name) == "drained"
    assert host.qemu_pids() == []
    for n, status in before.items():
        cloud.wait_state(n, "RUNNING")
        assert cloud.host_of(n) is not host and cloud.copies(n) == 1
        assert cloud.guest(n).wait_status()["boot_id"] == status["boot_id"]
    refusal = cloud.refused("instance", "create", "drain-3", "--offering", "small", "--image", "guest", "--network", "flat",
                            "--host", name)
    assert "drained" in refusal, refusal

    cloud.cli.run("host", "undrain", name)
    assert duty_in_list(cloud, name) == "serving"
    assert epoch_of(cloud, name) == epoch and epoch not in fences_of(cloud, name)
    assert failovers_of(cloud, *before) == []
    cloud.delete(*before)


def test_guest_that_cannot_move_is_stopped_by_policy_only(cloud):
    host = cloud.lab.hosts[0]
    name = cloud.host_name(host)
    cloud.create("paused-1", "--host", name)
    cloud.cli.run("instance", "pause", "paused-1")
    refusal = cloud.refused("host", "drain", name)
    assert "paused-1 cannot leave running: it is paused" in refusal, refusal
    assert duty_in_list(cloud, name) == "serving" and cloud.copies("paused-1") == 1
    cloud.cli.run("host", "drain", name, "--policy", "stop")
    assert cloud.state("paused-1") == "STOPPED" and cloud.copies("paused-1") == 0
    refusal = cloud.refused("instance", "start", "paused-1", "--host", name)
    assert "drained" in refusal, refusal
    cloud.cli.run("host", "undrain", name, "--start-stopped")
    cloud.wait_state("paused-1", "RUNNING")
    cloud.delete("paused-1")


def test_drain_is_cancelled(cloud):
    """What has left stays away, what has not is left alone."""
    host = cloud.lab.hosts[1]
    name = cloud.host_name(host)
    names = ["cancel-1", "cancel-2", "cancel-3"]
    for n in names:
        cloud.create(n, "--ha", "NeverStop", "--host", name)
    runs = {n: cloud.run_of(n) for n in names}
    cloud.cli.run("setting", "set", "host.drainParallel", 1)
    try:
        op = start_operation(cloud, "host", "drain", name, "--policy", "stop")
        cloud.cli.wait("the first to leave", lambda: any(cloud.run_of(n) > runs[n] for n in names))
        cloud.cli.run("operation", "cancel", op)
        cloud.cli.wait("its end", lambda: operation(cloud, op)["state"] != "RUNNING")
        assert operation(cloud, op)["state"] == "CANCELLED"
        wait_duty(cloud, name, "")
        for n in names:
            cloud.wait_state(n, "RUNNING")
        assert any(cloud.run_of(n) == runs[n] for n in names), "one was left alone"
        wait_until("the end of what was under way", lambda: all(cloud.copies(n) == 1 for n in names), timeout=60)
    finally:
        cloud.cli.run("setting", "set", "host.drainParallel", 2)
    cloud.delete(*names)


def test_drain_goes_on_under_a_new_leader(cloud):
    host = cloud.lab.hosts[2]
    name = cloud.host_name(host)
    names = ["leader-1", "leader-2", "leader-3"]
    for n in names:
        cloud.create(n, "--ha", "NeverStop", "--host", name)
    cloud.cli.run("setting", "set", "host.drainParallel", 1)
    leader = cloud.lab.controls[cloud.cli.leader_id() - 1]
    try:
        op = start_operation(cloud, "host", "drain", name, "--policy", "stop")
        cloud.cli.wait("the drain's begin", lambda: operation(cloud, op).get("step", "") != "")
        leader.kill()
        cloud.cli.wait("its end", lambda: operation(cloud, op)["state"] == "SUCCEEDED")
        for n in names:
            cloud.wait_state(n, "RUNNING")
            assert cloud.host_of(n) is not host and cloud.copies(n) == 1
        assert host.qemu_pids() == []
    finally:
        leader.start()
        cloud.cli.wait("the node's return", cloud.cli.all_controls_in, timeout=60)
        cloud.cli.run("setting", "set", "host.drainParallel", 2)
    cloud.cli.run("host", "undrain", name)
    cloud.delete(*names)


def test_host_in_maintenance_may_lose_its_power(cloud):
    host = cloud.lab.hosts[0]
    name = cloud.host_name(host)
    cloud.create("maint-1", "--ha", "NeverStop", "--host", name)
    cloud.cli.run("host", "maintenance", "enter", name, "--policy", "stop")
    assert duty_in_list(cloud, name) == "maintenance"
    cloud.wait_state("maint-1", "RUNNING")
    epoch = epoch_of(cloud, name)

    host.power_off()
    cloud.cli.wait(f"{name} without contact", lambda: cloud.cli.get("host", name)["status"]["state"] == "DISCONNECTED", 60)
    # The other hosts' readers have long seen its record stand still when another host would have been fenced.
    cloud.create("maint-2")
    status = cloud.cli.get("host", name)["status"]
    assert status["state"] == "DISCONNECTED" and epoch not in fences_of(cloud, name)
    assert not [c for c in status.get("conditions", []) if c["type"] == "HA"]
    assert failovers_of(cloud, "maint-1", "maint-2") == []

    host.power_on()
    wait_connected(cloud, host, epoch)
    assert fences_of(cloud, name)[epoch] == ["NEXT_EPOCH"]
    assert duty_in_list(cloud, name) == "maintenance"
    cloud.cli.run("host", "maintenance", "leave", name)
    assert duty_in_list(cloud, name) == "serving"
    cloud.delete("maint-1", "maint-2")


def assert_left_by_its_own_word(cloud, host, name, epoch, *instances):
    wait_until(f"the end of hostd on {host.name}", lambda: not host.pids("hostd"), timeout=60)
    wait_duty(cloud, name, "SHUT_DOWN")
    assert host.qemu_pids() == []
    for n in instances:
        cloud.wait_state(n, "RUNNING")
        assert cloud.host_of(n) is not host and cloud.copies(n) == 1
    assert fences_of(cloud, name)[epoch] == ["CLOSED_AND_KILLED"]
    assert failovers_of(cloud, *instances) == []


def test_shut_down_host_is_not_fenced(cloud):
    host = cloud.lab.hosts[1]
    name = cloud.host_name(host)
    cloud.create("down-1", "--ha", "NeverStop", "--host", name)
    epoch = epoch_of(cloud, name)
    cloud.cli.run("host", "shutdown", name, "--policy", "stop")
    assert_left_by_its_own_word(cloud, host, name, epoch, "down-1")
    host.power_off()
    host.power_on()
    wait_connected(cloud, host, epoch)
    wait_duty(cloud, name, "MAINTENANCE")
    cloud.cli.run("host", "undrain", name)
    cloud.delete("down-1")


def test_operating_system_that_shuts_down_takes_its_host_along(cloud):
    """What the unit file runs at poweroff; then the keeper's end, which must find nothing to guard."""
    host = cloud.lab.hosts[2]
    name = cloud.host_name(host)
    cloud.create("off-1", "--ha", "NeverStop", "--host", name)
    cloud.create("off-2", "--host", name)
    epoch = epoch_of(cloud, name)
    host.run("/run/lab/bin/hostd", "--shut-down", timeout=250)
    assert_left_by_its_own_word(cloud, host, name, epoch, "off-1", "off-2")
    host.kill("hf-lease", signal.SIGTERM)
    with open(host.log("hf-lease"), encoding="utf-8", errors="replace") as f:
        assert "watchdog /dev/watchdog is disarmed" in f.read()
    host.power_off()
    host.power_on()
    wait_connected(cloud, host, epoch)
    wait_duty(cloud, name, "")  # nobody took it out of service
    cloud.delete("off-1", "off-2")


def test_host_that_shuts_down_without_a_leader_tells_it_by_its_record(cloud):
    """Cut off, it stops its guests itself; the others read in its lease record that it has."""
    host = cloud.lab.hosts[0]
    name = cloud.host_name(host)
    cloud.create("alone-1", "--ha", "NeverStop", "--host", name)
    run, epoch = cloud.run_of("alone-1"), epoch_of(cloud, name)
    host.unplug()
    try:
        host.run("/run/lab/bin/hostd", "--shut-down", timeout=250)
        assert host.qemu_pids() == []
        cloud.wait_new_run("alone-1", run)
        assert cloud.host_of("alone-1") is not host and cloud.copies("alone-1") == 1
        assert "CLOSED_AND_KILLED" in fences_of(cloud, name).get(epoch, ["CLOSED_AND_KILLED"])
    finally:
        host.power_off()
        host.plug()
        host.power_on()
    wait_connected(cloud, host, epoch)
    cloud.delete("alone-1")


def test_restart_of_hostd_stops_nothing(cloud):
    host = cloud.lab.hosts[1]
    before = cloud.create("keep-1", "--host", cloud.host_name(host))
    host.kill("hostd", signal.SIGTERM)
    host.start("hostd")
    wait_connected(cloud, host)
    assert cloud.guest("keep-1").wait_status()["boot_id"] == before["boot_id"]
    cloud.delete("keep-1")
