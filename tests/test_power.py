"""Power fencing on the lab: each host has a power device, lab/agents/fence_lab, which the control nodes drive as a fence agent."""

import contextlib

import pytest

from conftest import LAB_NAME
from test_failures import wait_connected


@contextlib.contextmanager
def without_watchdog(cloud, host):
    """The host boots without its watchdog: its silence proves nothing (rule 14). Given back as it was."""
    name = cloud.host_name(host)

    def reboot(watchdog):
        epoch = int(cloud.cli.get("host", name)["status"]["epoch"])
        if host.is_on():
            host.power_off()
        host.watchdog = watchdog
        host.power_on()
        wait_connected(cloud, host, epoch)
        cloud.cli.wait(f"the watchdog of {name}",
                       lambda: (cloud.cli.get("host", name)["status"]["watchdog"] != "none") == watchdog, timeout=60)
    reboot(False)
    try:
        yield name
    finally:
        host.thaw()
        reboot(True)


@contextlib.contextmanager
def device(cloud, host, name, level=1, password="lab", **options):
    options = {"lab": LAB_NAME, "plug": host.name, "username": "lab", **options}
    words = [w for k, v in options.items() for w in ("--option", f"{k}={v}")]
    cloud.cli.run("host", "power-fencing", "add", cloud.host_name(host), name, "--agent", "fence_lab", "--level", level, "--agent-timeout", 60,
                  "--secret", f"password={password}", *words)
    try:
        yield
    finally:
        cloud.cli.run("host", "power-fencing", "remove", cloud.host_name(host), name)


@pytest.fixture(scope="module", autouse=True)
def power_devices(cloud):
    cloud.lab.start_power_devices()


def condition(cloud, name):
    return " ".join(c["message"] for c in cloud.cli.get("host", name)["status"].get("conditions", []))


def power_evidence(cloud, host_name, epoch):
    uuid = cloud.cli.get("host", host_name)["meta"]["uuid"]
    fence = next(f for f in cloud.cli.json("ha", "fences") if f["hostUuid"] == uuid and int(f["epoch"]) == epoch)
    return next(e for e in fence.get("evidence", []) if e["kind"] == "POWER_OFF")


def test_frozen_host_without_a_watchdog_is_cut_off_and_its_instance_runs_once_elsewhere(cloud):
    """The case that rule 14 exists for: the whole host stands still and would go on if somebody woke it."""
    victim = cloud.lab.hosts[2]
    with without_watchdog(cloud, victim) as name, device(cloud, victim, "bmc"):
        cloud.cli.run("host", "power-fencing", "test", name)
        before = cloud.create("frozen-1", "--ha", "NeverStop", "--host", name)
        run, epoch = cloud.run_of("frozen-1"), int(cloud.cli.get("host", name)["status"]["epoch"])
        victim.freeze()
        cloud.wait_new_run("frozen-1", run, timeout=120)
        assert not victim.is_on(), "its power was cut before anything ran elsewhere"
        assert cloud.host_of("frozen-1") is not victim
        assert cloud.copies("frozen-1") == 1
        after = cloud.wait_new_boot("frozen-1", before)
        assert after["counter"] >= before["counter"]
        evidence = power_evidence(cloud, name, epoch)
        assert [(p["device"], p["agent"], p["status"]) for p in evidence["power"]] == [("bmc", "fence_lab", "off")]
        history = {f["instanceName"]: f for f in cloud.cli.json("ha", "history")}
        assert history["frozen-1"]["evidence"] == "power off"
        cloud.cli.run("host", "power", "on", name, timeout=120)
        wait_connected(cloud, victim, epoch)
        cloud.delete("frozen-1")


def test_devices_that_fail_hold_and_say_why_and_a_second_level_helps(cloud):
    victim = cloud.lab.hosts[2]
    with without_watchdog(cloud, victim) as name, device(cloud, victim, "bmc", password="guessed"):
        assert "wrong user name or password" in cloud.refused("host", "power-fencing", "test", name)
        cloud.create("held-1", "--ha", "NeverStop", "--host", name)
        run = cloud.run_of("held-1")
        victim.freeze()
        cloud.cli.wait("the alarm", lambda: "wrong user name or password" in condition(cloud, name), timeout=90)
        assert cloud.run_of("held-1") == run and victim.is_on()
        with device(cloud, victim, "strip-a", level=2), device(cloud, victim, "strip-b", level=2):
            cloud.wait_new_run("held-1", run, timeout=180)
            assert not victim.is_on() and cloud.copies("held-1") == 1
        cloud.delete("held-1")


def test_an_operator_switches_a_host_off_and_on(cloud):
    host = cloud.lab.hosts[2]
    name = cloud.host_name(host)
    epoch = int(cloud.cli.get("host", name)["status"]["epoch"])
    with device(cloud, host, "bmc"):
        assert cloud.cli.json("host", "power", "status", name)["state"] == "on"
        cloud.create("hand-1", "--host", name)
        assert "drain it first" in cloud.refused("host", "power", "off", name)
        assert host.is_on()
        cloud.delete("hand-1")
        assert cloud.cli.json("host", "power", "off", name)["state"] == "off"
        assert not host.is_on()
        cloud.cli.run("host", "power", "on", name, timeout=120)
        wait_connected(cloud, host, epoch)


def test_secrets_are_shown_to_nobody(cloud):
    host = cloud.lab.hosts[2]
    name = cloud.host_name(host)
    with device(cloud, host, "bmc", password="hush-hush"):
        for words in (("host", "get", name), ("host", "list"), ("host", "power-fencing", "list", name)):
            for fmt in ("json", "yaml", "table"):
                assert "hush" not in cloud.cli.run("-o", fmt, *words)
        shown = cloud.cli.get("host", name)["spec"]["powerFencing"][0]
        assert shown["secrets"] == [{"name": "password", "value": "set"}]
        assert cloud.cli.json("host", "list", "--filter", 'spec.power_fencing.secrets.value = "hush-hush"') == []


@pytest.mark.parametrize("words, said", [
    (("--agent", "ipmitool", "--level", 1), "not the name of a fence agent"),
    (("--agent", "fence_../../bin/sh", "--level", 1), "not the name of a fence agent"),
    (("--agent", "fence_lab", "--level", 0), "between 1 and"),
    (("--agent", "fence_lab", "--level", 1, "--option", "password_script=/bin/true"), "not allowed"),
    (("--agent", "fence_lab", "--level", 1, "--option", "action=on"), "not allowed"),
    (("--agent", "fence_lab", "--level", 1, "--secret", "password=@/does/not/exist"), "does/not/exist"),
])
def test_bad_devices_are_refused(cloud, words, said):
    name = cloud.host_name(cloud.lab.hosts[0])
    assert said in cloud.refused("host", "power-fencing", "add", name, "bad", *words)
    assert "powerFencing" not in cloud.cli.get("host", name)["spec"]


def test_an_agent_that_is_not_there_says_so(cloud):
    name = cloud.host_name(cloud.lab.hosts[0])
    cloud.cli.run("host", "power-fencing", "add", name, "none", "--agent", "fence_nobody", "--level", 1)
    try:
        devices = cloud.cli.json("host", "power", "status", name)["devices"]
        assert devices[0]["state"] == "unknown" and "no such file" in devices[0]["message"]
    finally:
        cloud.cli.run("host", "power-fencing", "remove", name, "none")
