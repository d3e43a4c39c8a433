"""Where the checker's facts come from: the canaries' messages on the tenant network, the storages' logs of what landed or what
stands on the volumes, and a look at the hosts' processes."""

import os
import socket
import struct
import threading
import time

from holdlab import netns
from holdlab.cgroup import Cgroup
from holdlab.proc import wait_until

from .checker import Beat, Found, Landing, Record

PORT = 7007                      # as in lab/guest/init
MAGIC = b"HFCANARY"
RECORD = struct.Struct("<8s6s2s16sQQQQ")
SO_TIMESTAMPNS = 35              # <asm/socket.h>; the kernel's time of arrival, whatever this process was doing
RECEIVE_BUFFER = 4 << 20
LOOK_S = 0.1
BLOCK, SLOTS = 4096, 512         # of the ring, as in lab/guest/canary.h
PARTITION = 3                    # of the guest's disk (lab/build-guest), which the ring begins
READ_S = 2                       # a ring goes round in ten times that
OP_TIMEOUT_S = 5
RETRY_S = 0.2
PATIENCE_S = 60


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


class Volumes:
    """Reads the canaries' rings from their RBD volumes again and again, as Ceph's administrator. A boot leaves CANARY_GAP counters
    out, so what an older run still wrote stands there for as long as the ring takes to go round: no read can come between."""

    def __init__(self, ceph, pool, volumes):
        self._ceph, self._pool, self._volumes = ceph, pool, volumes   # names of images
        self._seen = {v: set() for v in volumes}                      # blocks of the last read
        self._lock = threading.Lock()
        self._new = []
        self._begun = self._done = 0                                  # reads of all volumes
        self._wake = threading.Event()
        self._ended = False
        self._problem = ""
        threading.Thread(target=netns.call_in, args=(ceph.fabric, self._run), daemon=True).start()

    def stop(self):
        self._ended = True
        self._wake.set()

    def take(self):
        """What was found since the last call, by a last read that begins now."""
        wanted = self._begun + 1
        self._wake.set()
        wait_until(f"a look at the canaries' volumes ({self._problem or 'under way'})", lambda: self._done >= wanted, PATIENCE_S)
        with self._lock:
            new, self._new = self._new, []
        return new

    def _run(self):
        import rados
        import rbd
        options = {"admin_socket": "", "log_file": "", "rbd_cache": "false", "rados_osd_op_timeout": str(OP_TIMEOUT_S),
                   "rados_mon_op_timeout": str(OP_TIMEOUT_S)}
        while not self._ended:
            try:
                with rados.Rados(conffile=self._ceph.config, conf=options) as c, c.open_ioctx(self._pool) as io:
                    while not self._ended:
                        self._wake.clear()
                        self._begun += 1
                        for volume in self._volumes:
                            with rbd.Image(io, volume, read_only=True) as image:
                                self._read(volume, image)
                        self._done = self._begun
                        self._wake.wait(READ_S)
            except (rados.Error, rbd.Error) as e:  # an outage is waited out
                self._problem = str(e)
                time.sleep(RETRY_S)

    def _read(self, volume, image):
        entry = image.read(446 + 16 * (PARTITION - 1), 16)
        data = image.read(int.from_bytes(entry[8:12], "little") * 512, BLOCK * SLOTS)
        blocks = {data[at:at + RECORD.size] for at in range(0, len(data), BLOCK)}
        at_ns = time.time_ns()
        found = [Found(at_ns, r) for r in map(decode, blocks - self._seen[volume]) if r]
        self._seen[volume] = blocks
        with self._lock:
            self._new += found


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
        self.found = {}          # sentence: how long, in ms, as the looks go
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
            if len(alive) > 1:
                self.found[sentence] = self.found.get(sentence, 0) + int(LOOK_S * 1000)


def is_frozen(group: Cgroup):
    name = "freezer.state" if group.version == 1 else "cgroup.events"
    try:
        with open(os.path.join(group.path, name), encoding="ascii") as f:
            text = f.read()
    except OSError:
        return False
    return "FROZEN" in text or "frozen 1" in text
