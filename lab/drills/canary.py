"""Where the checker's facts come from: the canaries' messages on the tenant network, the storages' logs of what landed, and a
look at the hosts' processes."""

import os
import socket
import struct
import threading
import time

from holdlab import netns
from holdlab.cgroup import Cgroup

from .checker import Beat, Landing, Record

PORT = 7007                      # as in lab/guest/init
MAGIC = b"HFCANARY"
RECORD = struct.Struct("<8s6s2s16sQQQQ")
SO_TIMESTAMPNS = 35              # <asm/socket.h>; the kernel's time of arrival, whatever this process was doing
RECEIVE_BUFFER = 4 << 20
LOOK_S = 0.1


def check_of(data):
    h = 0xcbf29ce484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return h


def decode(data):
    """A record of lab/guest/canary.h; None when it is none."""
    if len(data) != RECORD.size:
        return None
    magic, mac, _zero, token, counter, resumed, _boot_ns, check = RECORD.unpack(data)
    if magic != MAGIC or check != check_of(data[:-8]):
        return None
    return Record(mac.hex(":"), token.hex(), counter, resumed)


class Collector:
    """The canaries' peer: stands on the tenant bridge, outside of all hosts."""

    def __init__(self, config):
        self._lock = threading.Lock()
        self._new = []
        self.last = {}           # instance: its last Beat
        self._socket = netns.call_in(config.fabric, self._listen)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _listen():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        s.bind(("", PORT))
        return s

    def _run(self):
        while True:
            data, extra, _flags, _sender = self._socket.recvmsg(256, 256)
            record = decode(data)
            at_ns = next((s * 10**9 + ns for _level, kind, value in extra if kind == SO_TIMESTAMPNS
                          for s, ns in [struct.unpack("@qq", value)]), time.time_ns())
            if record:
                with self._lock:
                    self.last[record.instance] = Beat(at_ns, record)
                    self._new.append(self.last[record.instance])

    def take(self):
        """Beats that came since the last call."""
        with self._lock:
            new, self._new = self._new, []
        return new

    def last_beat(self, instance):
        with self._lock:
            return self.last.get(instance)


class WriteLogs:
    """What the hosts' storages say has landed (lab/storage_fs.c)."""

    def __init__(self, hosts):
        self._files = {h.name: [h.storage.writes_log, 0] for h in hosts}

    def take(self):
        landings = []
        for host, place in self._files.items():
            landings += self._read(host, place)
        return landings

    @staticmethod
    def _read(host, place):
        path, at = place
        try:
            with open(path, "rb") as f:
                f.seek(at)
                data = f.read()
        except FileNotFoundError:
            return
        whole = data[:data.rfind(b"\n") + 1]
        place[1] = at + len(whole)
        for line in whole.decode().splitlines():
            began, ended, _file, held, text = line.split(" ")
            record = decode(bytes.fromhex(text))
            if record:
                yield Landing(int(began), int(ended), host, held == "1", record)


def _may_run(pid):
    """Its virtual CPUs may execute: neither stopped, nor dead, nor waiting for the end of a fatal signal."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] not in "TtZX"
    except OSError:
        return False


class CopyWatch:
    """Looks at all hosts' QEMUs all the time: two of one instance that may both run are a double run, from the first instruction
    on, long before a canary in them could tell."""

    def __init__(self, hosts):
        self.found = []          # sentences
        self._hosts = hosts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join(5)

    def _run(self):
        while not self._stop.wait(LOOK_S):
            self._look()

    def _look(self):
        seen = {}
        for host in self._hosts:
            if is_frozen(host.cgroup):
                continue
            for pid, uuid in host.qemu_instances():
                seen.setdefault(uuid, []).append((host, pid))
        for uuid, copies in seen.items():
            alive = [f"{host.name} (process {pid})" for host, pid in copies if not is_frozen(host.cgroup) and _may_run(pid)]
            sentence = f"instance {uuid} has running copies on {' and '.join(alive)}"
            if len(alive) > 1 and sentence not in self.found:
                self.found.append(sentence)


def is_frozen(group: Cgroup):
    name = "freezer.state" if group.version == 1 else "cgroup.events"
    try:
        with open(os.path.join(group.path, name), encoding="ascii") as f:
            text = f.read()
    except OSError:
        return False
    return "FROZEN" in text or "frozen 1" in text
