"""Wrong input and bad luck as an operator meets them: each ends in a sentence, and nothing else changes."""

import hashlib
import os

import pytest

from holdlab.cloud import CLUSTER, IMAGE, L2, L3, OFFERING, STORAGE, ZONE


@pytest.mark.parametrize("path", ["/", "/root/storage", "relative/path"])
def test_storage_paths_that_are_never_right(cloud, path):
    said = cloud.refused("storage", "create", "bad-path", "--zone", ZONE, "--type", "LocalStorage", "--path", path)
    assert path in said


@pytest.mark.parametrize("path, reason", [("/mnt/state/missing", "missing"), ("/sys/kernel", "read-only")])
def test_storage_paths_that_hosts_cannot_use(cloud, path, reason):
    name = f"bad-{reason}"
    cloud.cli.run("storage", "create", name, "--zone", ZONE, "--type", "LocalStorage", "--path", path)
    cloud.cli.run("cluster", "attach-storage", CLUSTER, name)
    try:
        def complaint():
            views = cloud.cli.get("storage", name).get("status", {}).get("hosts", [])
            return [v["message"] for v in views if not v.get("ok") and v.get("message")]
        messages = cloud.cli.wait("the hosts' complaint", complaint, timeout=60)
        assert any(path in m for m in messages), messages
    finally:
        cloud.cli.run("cluster", "detach-storage", CLUSTER, name)
        cloud.cli.run("storage", "delete", name)


def test_image_with_a_wrong_checksum(cloud):
    said = cloud.refused("image", "create", "bad-sum", "--url", f"{cloud.url}/{os.path.basename(cloud.image)}", "--sha256",
                         "0" * 64, "--format", "qcow2")
    assert "checksum" in said or "sha256" in said.lower()
    cloud.cli.run("image", "delete", "bad-sum")


def test_image_of_another_format(cloud):
    path = cloud.image + ".sha256"
    with open(path, "rb") as f:
        checksum = hashlib.sha256(f.read()).hexdigest()
    said = cloud.refused("image", "create", "bad-format", "--url", f"{cloud.url}/{os.path.basename(path)}", "--sha256", checksum,
                         "--format", "qcow2")
    assert "qcow2" in said
    cloud.cli.run("image", "delete", "bad-format")


def test_image_behind_a_dead_url(cloud):
    said = cloud.refused("--timeout", 60, "image", "create", "bad-url", "--url", f"{cloud.url}/nothing-here", "--sha256", "0" * 64,
                         "--format", "qcow2")
    assert "404" in said or "nothing-here" in said
    cloud.cli.run("image", "delete", "bad-url")


@pytest.mark.parametrize("words, expected", [
    (["--range", "172.21.0.10-172.21.0.20", "--netmask", "255.255.0.0", "--gateway", "172.20.0.1"], "172.2"),
    (["--range", "172.21.0.20-172.21.0.10", "--netmask", "255.255.0.0", "--gateway", "172.21.0.1"], "172.21.0.20"),
    (["--range", "172.21.0.10-172.21.0.20", "--netmask", "255.255.0.0", "--gateway", "172.21.0.1", "--dhcp-ip", "172.21.0.1"],
     "gateway"),
    (["--range", "172.21.0.10-172.21.0.20", "--netmask", "255.255.0.0", "--gateway", "172.21.0.1", "--dhcp-ip", "10.0.0.1"],
     "10.0.0.1"),
])
def test_networks_that_cannot_be(cloud, words, expected):
    said = cloud.refused("l3", "create", "bad-net", "--l2", L2, *words)
    assert expected in said


@pytest.mark.parametrize("name", ["", "x" * 300, ZONE])
def test_names_empty_too_long_or_taken(cloud, name):
    assert cloud.refused("zone", "create", name)
    assert len(cloud.cli.json("zone", "list")) == 1


@pytest.mark.parametrize("noun, name", [("zone", ZONE), ("cluster", CLUSTER), ("storage", STORAGE), ("l2", L2)])
def test_deleting_what_is_in_use(cloud, noun, name):
    assert name in cloud.refused(noun, "delete", name)
    assert cloud.cli.get(noun, name)["meta"]["name"] == name


def test_no_room_says_what_was_missing_on_each_host(cloud):
    cloud.cli.run("offering", "create", "huge", "--cpus", 1, "--memory", "900G")
    said = cloud.refused("--timeout", 30, "instance", "create", "too-big", "--offering", "huge", "--image", IMAGE, "--network", L3)
    for host in cloud.lab.hosts:
        assert cloud.host_name(host) in said
    assert "memory" in said
    cloud.delete("too-big")
    cloud.cli.run("offering", "delete", "huge")


def test_no_free_address(cloud):
    cloud.cli.run("l3", "create", "tiny", "--l2", L2, "--range", "172.22.0.10-172.22.0.10", "--netmask", "255.255.0.0",
                  "--gateway", "172.22.0.1", "--dhcp-ip", "172.22.0.2")
    words = ["--offering", OFFERING, "--image", IMAGE, "--network", "tiny", "--power", "stopped"]
    cloud.cli.run("instance", "create", "tiny-1", *words)
    assert "tiny" in cloud.refused("instance", "create", "tiny-2", *words)
    cloud.delete("tiny-1")
    cloud.cli.run("l3", "delete", "tiny")
