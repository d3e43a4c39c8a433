"""Network namespaces, bridges and cables of the lab."""

import ctypes
import os
import threading

from .proc import LabError, run

NETNS_DIR = "/run/netns"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def exists(name):
    return os.path.exists(os.path.join(NETNS_DIR, name))


def create(name):
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "lo", "up")


def delete(name):
    if exists(name):
        run("ip", "netns", "delete", name)


def with_prefix(prefix):
    try:
        return sorted(n for n in os.listdir(NETNS_DIR) if n.startswith(prefix))
    except OSError:
        return []


def is_mounted():
    """Whether /run/netns is a mount point: iproute2 makes it one with the first namespace and leaves it."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return any(line.split()[4] == NETNS_DIR for line in f)


def unmount_if_unused():
    try:
        if not os.listdir(NETNS_DIR):
            while is_mounted():
                run("umount", NETNS_DIR)
            os.rmdir(NETNS_DIR)
    except OSError:
        pass


def bridge(namespace, name, address=None):
    """Its MAC is its own: one that follows the lowest of its ports changes with them, and who knew the old one loses it for half a minute."""
    mac = ":".join(f"{b:02x}" for b in (0x02, *os.urandom(5)))
    run("ip", "-n", namespace, "link", "add", name, "address", mac, "type", "bridge", "forward_delay", "0", "stp_state", "0",
        "mcast_snooping", "0")
    if address:
        run("ip", "-n", namespace, "addr", "add", address, "dev", name)
    run("ip", "-n", namespace, "link", "set", name, "up")


def cable(fabric, port, bridge_name, far_namespace, far_name, far_address=None):
    """A veth from a bridge of the fabric to an interface elsewhere; far_namespace None is the machine's own."""
    run("ip", "-n", fabric, "link", "add", port, "type", "veth", "peer", "name", far_name,
        "netns", far_namespace if far_namespace else "1")
    run("ip", "-n", fabric, "link", "set", port, "master", bridge_name, "up")
    far = ["ip", "-n", far_namespace] if far_namespace else ["ip"]
    if far_address:
        run(*far, "addr", "add", far_address, "dev", far_name)
    run(*far, "link", "set", far_name, "up")


def route(namespace, network, gateway):
    run("ip", "-n", namespace, "route", "add", network, "via", gateway)


def call_in(namespace, function, *args):
    """function(*args) in a thread that has joined the namespace: sockets it opens belong there."""
    outcome = {}

    def body():
        try:
            fd = os.open(os.path.join(NETNS_DIR, namespace), os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(fd, CLONE_NEWNET) != 0:
                    raise LabError(f"join network namespace {namespace}: {os.strerror(ctypes.get_errno())}")
            finally:
                os.close(fd)
            outcome["value"] = function(*args)
        except BaseException as e:  # handed to the caller's thread
            outcome["error"] = e

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
