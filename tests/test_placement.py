"""Where instances go: affinity groups over the loss of a host, the plan that says so beforehand, admission, crash loops."""

import os
import signal

import pytest

from holdlab.cloud import IMAGE, L3
from holdlab.proc import wait_until


def wait_connected(cloud, host, epoch_above):
    name = cloud.host_name(host)

    def connected():
        status = cloud.cli.get("host", name)["status"]
        return status["state"] == "CONNECTED" and int(status["epoch"]) > epoch_above
    cloud.cli.wait(f"{name} connected in a new epoch", connected, timeout=120)


@pytest.fixture
def setting(cloud):
    """Sets a setting for the length of a test."""
    changed = {}

    def put(name, value):
        changed.setdefault(name, cloud.cli.get("setting", name)["defaultValue"])
        cloud.cli.run("setting", "set", name, value)
    yield put
    for name, value in changed.items():
        cloud.cli.run("setting", "set", name, value)


def start(cloud, name, *words, offering="small"):
    """Creates an instance and waits until it runs, not for its guest."""
    cloud.cli.run("instance", "create", name, "--offering", offering, "--image", IMAGE, "--network", L3, *words)


def test_the_plan_of_a_loss_is_what_happens(cloud):
    """A pair that must not share a host, and one without HA: planned, then lost with their host."""
    victim, other, third = cloud.lab.hosts
    lost, kept = cloud.host_name(victim), cloud.host_name(other)
    epoch = int(cloud.cli.get("host", lost)["status"]["epoch"])
    cloud.cli.run("affinity-group", "create", "pair", "--policy", "anti-affinity", "--hard")
    start(cloud, "pair-1", "--ha", "NeverStop", "--group", "pair", "--priority", "high", "--host", lost)
    start(cloud, "pair-2", "--ha", "NeverStop", "--group", "pair", "--host", kept)
    start(cloud, "alone", "--ha", "NeverStop", "--priority", "low", "--host", lost)
    start(cloud, "plain", "--host", lost)
    assert "pair-1" in cloud.refused("affinity-group", "delete", "pair")

    plan = cloud.cli.json("ha", "plan", lost)
    planned = {i["name"]: i for i in plan["instances"]}
    assert [i["name"] for i in plan["instances"]] == ["pair-1", "alone", "plain"]
    assert planned["pair-1"]["toHostName"] == cloud.host_name(third)
    assert planned["plain"]["outcome"] == "STAYS_DOWN" and "not NeverStop" in planned["plain"]["reason"]
    table = cloud.cli.run("ha", "plan", lost)
    assert "2 would restart, 0 would wait, 1 would stay down" in table and "pair-1" in table
    runs = {name: cloud.run_of(name) for name in planned}

    victim.power_off()
    for name, i in planned.items():
        if i["outcome"] == "RESTARTS":
            cloud.wait_new_run(name, runs[name])
            assert cloud.host_name(cloud.host_of(name)) == i["toHostName"]
        else:
            cloud.wait_state(name, "STOPPED")
    assert cloud.host_of("pair-2") is other

    # With one of the pair on each host that is left, a third has no place until the host is back.
    cloud.cli.run("instance", "create", "pair-3", "--offering", "small", "--image", IMAGE, "--network", L3, "--ha", "NeverStop",
                  "--group", "pair", "--power", "stopped")
    cloud.cli.run("--no-wait", "instance", "start", "pair-3")

    def says():
        text = " ".join(c["message"] for c in cloud.instance("pair-3")["status"].get("conditions", []))
        return text if "anti-affinity group 'pair': 'pair-2' is there" in text and "'pair-1' is there" in text else None
    wait_until("the reason for which pair-3 waits", says, timeout=60)
    victim.power_on()
    wait_connected(cloud, victim, epoch)
    cloud.wait_state("pair-3", "RUNNING")
    assert cloud.host_of("pair-3") is victim
    cloud.delete("pair-1", "pair-2", "pair-3", "alone", "plain")
    cloud.cli.run("affinity-group", "delete", "pair")


def test_a_loss_that_could_not_be_absorbed_is_told_and_refused(cloud, setting):
    def capacity():
        return [c["message"] for c in cloud.cli.get("cluster", "cluster-1").get("status", {}).get("conditions", [])
                if c["type"] == "HACapacity"]
    cloud.cli.run("offering", "create", "large", "--cpus", 1, "--memory", "2G")
    cloud.cli.wait("that all can be absorbed", lambda: capacity() == ["the loss of any one host can be absorbed"], timeout=60)
    for n in (1, 2):
        start(cloud, f"large-{n}", "--ha", "NeverStop", offering="large")
    setting("ha.admission.policy", "refuse")
    words = cloud.refused("instance", "create", "large-3", "--offering", "large", "--image", IMAGE, "--network", L3, "--ha",
                          "NeverStop")
    assert "cannot be absorbed" in words and "ha.admission.policy is 'refuse'" in words
    setting("ha.admission.policy", "warn")
    start(cloud, "large-3", "--ha", "NeverStop", offering="large")
    cloud.cli.wait("the warning", lambda: any("cannot be absorbed" in m for m in capacity()), timeout=60)
    assert "cannot be absorbed" in cloud.cli.run("cluster", "list")
    cloud.delete("large-1", "large-2", "large-3")
    cloud.cli.run("offering", "delete", "large")


def test_one_that_keeps_crashing_is_held_until_it_is_started(cloud, setting):
    setting("ha.crashLoop.tries", 3)
    start(cloud, "loop", "--ha", "NeverStop")
    uuid = cloud.uuid("loop")
    for _ in range(3):
        cloud.wait_state("loop", "RUNNING")
        run, host = cloud.run_of("loop"), cloud.host_of("loop")
        for pid in host.qemu_pids(uuid):
            os.kill(pid, signal.SIGKILL)
        cloud.cli.wait("the end of its run", lambda run=run: cloud.run_of("loop") > run or cloud.state("loop") == "STOPPED", 60)

    def held():
        return int(cloud.instance("loop")["status"].get("crashLoop", {}).get("heldSinceMs", 0))
    cloud.cli.wait("that it is held", held, timeout=60)
    status = cloud.instance("loop")["status"]
    assert status["state"] == "STOPPED"
    assert any("held: it ended 3 times" in c["message"] for c in status["conditions"])
    run = cloud.run_of("loop")
    cloud.cli.run("instance", "start", "loop")
    assert cloud.run_of("loop") == run + 1 and held() == 0
    cloud.delete("loop")
