"""Machines in User Mode Linux (lab/uml/README.md): that they do what the tests on them rely on."""
import os

import pytest

from conftest import BUILD
from holdlab.proc import wait_until
from holdlab.uml import UmlLab, available


@pytest.fixture
def machine():
    if available():
        pytest.skip(available())
    lab = UmlLab("uml-test", os.path.join(BUILD, "bin"))
    try:
        lab.create().bridge("net", "10.79.9.1/24")
        yield lab.machine("m1", [("net", "10.79.9.21/24")]).power_on()
    finally:
        lab.take_down()


def test_a_machine(machine):
    with open("/proc/version", encoding="ascii") as f:
        assert machine.run("cat /proc/version") != f.read()
    assert machine.run("exit 7", check=False)[0] == 7
    assert machine.run("sleep 60", timeout=0.5, check=False)[0] is None

    ping = "ping -c1 -W1 10.79.9.1"
    machine.run(ping)
    machine.cable(0, False)
    assert machine.run(ping, check=False)[0] != 0
    machine.cable(0, True)
    wait_until("the network's return", lambda: machine.run(ping, check=False)[0] == 0, 20)

    pid = machine.start("/bin/sh", "-c", "echo here; exec sleep 60", log="/run/log")
    wait_until("a line in the log", lambda: machine.run("cat", "/run/log") == "here\n", 20)
    machine.run("kill", "-9", pid)
    assert machine.wait(pid) == -9

    machine.run("modprobe softdog soft_margin=2; exec 9>/dev/watchdog1; echo x >&9")
    machine.wait_boots(2)
    assert len(set(machine.boots)) == 2
    assert machine.run("ls", "/run/log", check=False)[0] != 0  # nothing of the life before

    machine.power_off()
    machine.power_on()
    machine.shut_down()
