"""A Ceph cluster in the fabric of a lab: MONs (one, if no more are asked for), one MGR and OSDs with cephx, up in a few seconds.

All it leaves on the machine is in the lab: its daemons in the lab's cgroup, its files in the lab's directory, its address in
the fabric's network namespace.
"""

import glob
import json
import os
import shutil
import signal
import uuid

from . import netns
from .proc import LabError, run, wait_until

PROGRAMS = ("ceph-mon", "ceph-mgr", "ceph-osd", "ceph-authtool", "monmaptool")
MON_PORT, MON_PORT_V1 = 3300, 6789   # of the first MON; each further one has the next ports
START_S = 60
CLOCKS = "/usr/lib/*/faketime/libfaketime.so.1"

# Fast paxos: a fence takes 30-80 ms instead of a second, and the loss of a MON among several a few seconds.
# An OSD without others gets leases to read that outlast any test: in Ceph 16 one whose leases lapse while it stands still leaves some of
# its PGs without an answer for ever (tracker.ceph.com/issues/61650). Among several, long ones would delay what follows a frozen OSD.
CONFIG = """\
[global]
fsid = {fsid}
mon_host = {mon_host}
public_addr = {address}
cluster_addr = {address}
auth_cluster_required = {auth}
auth_service_required = {auth}
auth_client_required = {auth}
keyring = {dir}/admin.keyring
run_dir = {dir}/run
admin_socket = {dir}/run/$name.asok
pid_file =
log_file = {dir}/log/$name.log
log_to_stderr = false
debug_rocksdb = 0
debug_bluestore = 0
debug_bluefs = 0
debug_bdev = 0
osd_pool_default_size = {copies}
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_max_pg_per_osd = 1000
mon_warn_on_pool_no_redundancy = false
auth_allow_insecure_global_id_reclaim = false
osd_crush_chooseleaf_type = 0
ms_async_op_threads = 2
[mon]
mon_data = {dir}/mon.$id
keyring = {dir}/mon.keyring
mon_cluster_log_file = {dir}/log/cluster.log
mon_data_avail_warn = 1
mon_data_avail_crit = 0
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_tick_interval = 1
mon_lease = 2
mon_election_timeout = 2
mon_timecheck_interval = 5
mon_timecheck_skew_interval = 1
mon_memory_autotune = false
[mgr]
mgr_data = {dir}/mgr
keyring = {dir}/mgr/keyring
mgr_initial_modules =
mgr_disabled_modules = alerts balancer crash devicehealth influx insights iostat localpool mirroring nfs orchestrator \
osd_perf_query osd_support pg_autoscaler progress prometheus rbd_support restful selftest snap_schedule stats status telegraf \
telemetry test_orchestrator volumes zabbix
mgr_stats_period = 1
mgr_tick_period = 1
[osd]
osd_data = {dir}/osd.$id
keyring = {dir}/osd.$id/keyring
osd_objectstore = bluestore
bluestore_block_size = {osd_bytes}
bluestore_block_create = true
bluestore_fsck_on_mount = false
bluestore_fsck_on_mkfs = false
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
bluestore_prefer_deferred_size_hdd = 0
osd_memory_target = 939524096
osd_heartbeat_interval = 1
osd_heartbeat_grace = 6
osd_pool_default_read_lease_ratio = {lease_ratio}
osd_mon_report_interval = 1
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
osd_class_load_list = *
osd_class_default_list = *
"""


# Writes the first block as it is for each file BASE.order.<n> that appears, and says in BASE.answer.<n> how that went.
WRITER = """
import os, sys, time
import rados, rbd
config, pool, image, base = sys.argv[1:]
with rados.Rados(conffile=config, conf={"admin_socket": "", "log_file": "", "rbd_cache": "false"}) as c, c.open_ioctx(pool) as io:
    with rbd.Image(io, image) as i:
        i.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
        block, n = i.read(0, 512), 0
        while True:
            while not os.path.exists(f"{base}.order.{n}"):
                time.sleep(0.02)
            try:
                i.write(block, 0)
                said = "ok"
            except Exception as e:
                said = "refused" if "108" in str(e) or "shutdown" in str(e).lower() else f"{type(e).__name__}: {e}"
            with open(f"{base}.new", "w") as f:
                f.write(said)
            os.rename(f"{base}.new", f"{base}.answer.{n}")
            n += 1
"""


class Writer:
    def __init__(self, child, base):
        self.child, self.base, self.n = child, base, 0

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.child.kill()
        self.child.wait(START_S)

    def write(self):
        """Writes one block: "ok", "refused", or what else became of it."""
        answer = f"{self.base}.answer.{self.n}"
        with open(f"{self.base}.order.{self.n}", "w", encoding="ascii"):
            pass
        wait_until("an answer of the writer", lambda: os.path.exists(answer), START_S)
        self.n += 1
        with open(answer, encoding="utf-8") as f:
            return f.read()

    def stop(self):
        os.kill(self.child.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.child.pid, signal.SIGCONT)


def with_clock(ahead):
    """What to put before a command whose wall clock is ahead of the machine's by so much ("+5s"), its other clocks not; None: as it is."""
    return ["env", f"LD_PRELOAD={glob.glob(CLOCKS)[0]}", f"FAKETIME={ahead}", "FAKETIME_DONT_FAKE_MONOTONIC=1"] if ahead else []


def no_other_clocks():
    """None, or a sentence why no daemon can have a clock of its own."""
    return None if glob.glob(CLOCKS) else "libfaketime is missing: install Debian's libfaketime"


def available():
    """None, or a sentence why no cluster can be started here."""
    missing = [p for p in PROGRAMS if shutil.which(p) is None]
    if missing:
        return f"{', '.join(missing)} missing: install Debian's ceph-mon, ceph-mgr, ceph-osd and ceph-common"
    try:
        import rados  # noqa: F401
    except ImportError:
        return "Python's rados module is missing: install Debian's python3-rados"
    return None


class Ceph:
    """lab: whoever has a directory, the name of the fabric and spawn(argv, log name) -> child, which must end with the lab."""

    def __init__(self, directory, fabric, spawn, address, osds=1, osd_gib=4, cephx=True, copies=1, mons=1):
        """copies: of every object. With one the lab writes the least; with two, what an OSD had is served while it is away."""
        self.dir, self.fabric, self.address = os.path.join(directory, "ceph"), fabric, address
        self.fsid = str(uuid.uuid4())
        self.osds, self.osd_bytes, self.cephx, self.copies = osds, osd_gib << 30, cephx, copies
        self.mons = "abcdefg"[:mons]
        self._spawn, self._children = spawn, {}
        self._up_before = {}     # OSD: the map that had it up when it was started
        self.config = os.path.join(self.dir, "ceph.conf")

    @property
    def monitors(self):
        return self.monitor(0)

    def monitor(self, n):
        return f"{self.address}:{MON_PORT_V1 + n}"

    def _mon_addresses(self, n):
        return f"[v2:{self.address}:{MON_PORT + n},v1:{self.monitor(n)}]"

    # Life

    def create(self):
        """Makes the cluster and starts it; returns when every OSD is up."""
        for sub in ("mgr", "run", "log", *(f"mon.{m}" for m in self.mons), *(f"osd.{n}" for n in range(self.osds))):
            os.makedirs(os.path.join(self.dir, sub))
        with open(self.config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(fsid=self.fsid, address=self.address, dir=self.dir,
                                  mon_host=",".join(self._mon_addresses(n) for n in range(len(self.mons))),
                                  osd_bytes=self.osd_bytes, copies=self.copies, lease_ratio=100 if self.osds == 1 else 0.8,
                                  auth="cephx" if self.cephx else "none"))
        self._make_keys()
        monmap = os.path.join(self.dir, "monmap")
        run("monmaptool", "--create", "--clobber", "--fsid", self.fsid,
            *(w for n, name in enumerate(self.mons) for w in ("--addv", name, self._mon_addresses(n))), monmap)
        for name in self.mons:
            self._tool("ceph-mon", "--mkfs", "-i", name, "--monmap", monmap, "--keyring", f"{self.dir}/mon.keyring")
        for name in self.mons:
            self.start(f"mon.{name}")
        for n in range(self.osds):
            osd_uuid = str(uuid.uuid4())
            self._tool("ceph-osd", "--mkfs", "-i", n, "--osd-uuid", osd_uuid, "--no-mon-config")
            self.command({"prefix": "osd new", "uuid": osd_uuid, "id": n})
        self.start("mgr.x")
        for n in range(self.osds):
            self.start(f"osd.{n}")
        self.wait_up()
        return self

    def _make_keys(self):
        def key(path, name, *caps):
            run("ceph-authtool", "-C", path, "--gen-key", "-n", name, *(w for c in caps for w in ("--cap", *c)))
        mon = f"{self.dir}/mon.keyring"
        key(mon, "mon.", ("mon", "allow *"))
        key(f"{self.dir}/admin.keyring", "client.admin", ("mon", "allow *"), ("osd", "allow *"), ("mgr", "allow *"))
        key(f"{self.dir}/mgr/keyring", "mgr.x", ("mon", "allow profile mgr"), ("osd", "allow *"))
        parts = [f"{self.dir}/admin.keyring", f"{self.dir}/mgr/keyring"]
        for n in range(self.osds):
            parts.append(f"{self.dir}/osd.{n}/keyring")
            key(parts[-1], f"osd.{n}", ("mon", "allow profile osd"), ("mgr", "allow profile osd"), ("osd", "allow *"))
        for part in parts:
            run("ceph-authtool", mon, "--import-keyring", part)

    def _tool(self, program, *words):
        run("ip", "netns", "exec", self.fabric, program, "-c", self.config, *words, shown=f"{program} {words[0]}")

    def start(self, daemon, clock=None):
        """Starts one daemon: mon.a, mgr.x or osd.N. clock: how far it is ahead of the machine's, as faketime says that ("+5s")."""
        kind, name = daemon.split(".")
        if kind == "osd":
            self._up_before[int(name)] = self._up_since().get(int(name), 0)
        self._children[daemon] = self._spawn(["ip", "netns", "exec", self.fabric, *with_clock(clock), f"ceph-{kind}", "-f", "-c",
                                              self.config, "-i", name], f"ceph-{daemon}")

    def runs(self, daemon):
        return daemon in self._children

    def wait_up(self):
        """Until the MONs know of every OSD's last start."""
        def all_up():
            since = self._up_since()
            return len(since) == self.osds and all(since[n] > before for n, before in self._up_before.items())
        wait_until("every OSD up", all_up, START_S, 0.1)

    def wait_clean(self):
        """Until every object has all its copies again: before that, the loss of another OSD stops what it alone has."""
        self.wait_up()
        map_of_last_start = max(self._up_since().values())

        def all_clean():
            pgs = self.command({"prefix": "pg dump", "dumpcontents": ["pgs"]}, ask_mgr=True)["pg_stats"]
            return all(p["state"] == "active+clean" and int(p["reported_epoch"]) >= map_of_last_start for p in pgs)
        wait_until("every object whole", all_clean, START_S, 0.1)

    def _up_since(self):
        """Of each OSD that is up and in: the map that says so."""
        return {o["osd"]: o["up_from"] for o in self.command({"prefix": "osd dump"})["osds"] if o["up"] and o["in"]}

    def stop(self):
        """Ends every daemon and removes its files. OSDs first, while the MON still takes their goodbye."""
        for daemon in sorted(self._children, key=lambda d: ("osd", "mgr", "mon").index(d.split(".")[0])):
            self.kill(daemon)
        shutil.rmtree(self.dir, ignore_errors=True)

    # Failures

    def kill(self, daemon):
        self._signal(daemon, signal.SIGKILL)
        self._children.pop(daemon).wait(START_S)

    def freeze(self, daemon):
        """It stands still: takes connections, answers nothing."""
        self._signal(daemon, signal.SIGSTOP)

    def thaw(self, daemon):
        self._signal(daemon, signal.SIGCONT)

    def process(self, daemon):
        if daemon not in self._children:
            raise LabError(f"{daemon} does not run")
        return self._children[daemon].pid

    def _signal(self, daemon, number):
        os.kill(self.process(daemon), number)

    # What is asked of it, by its administrator

    def command(self, words, ask_mgr=False):
        """A command of the MON or the MGR; returns its JSON."""
        import rados

        def ask():
            with rados.Rados(conffile=self.config, conf={"admin_socket": "", "log_file": "", "rados_mon_op_timeout": "20"}) as c:
                code, out, said = (c.mgr_command if ask_mgr else c.mon_command)(json.dumps({**words, "format": "json"}), b"")
                if code != 0:
                    raise LabError(f"ceph {words['prefix']}: {said} ({code})")
                return json.loads(out) if out.strip() else None
        return netns.call_in(self.fabric, ask)

    def key(self, entity="client.admin"):
        return self.command({"prefix": "auth get", "entity": entity})[0]["key"]

    def entities(self):
        """Who has a key: {name: caps}."""
        return {e["entity"]: e["caps"] for e in self.command({"prefix": "auth ls"})["auth_dump"]}

    def pools(self):
        return [p["poolname"] for p in self.command({"prefix": "osd lspools"})]

    def blocklist(self):
        return sorted(self.command({"prefix": "osd dump"})["blocklist"])

    def block(self, address):
        """As an administrator does by hand: every client of that address is refused."""
        self.command({"prefix": "osd blocklist", "blocklistop": "add", "addr": f"{address}:0/0", "expire": 600.0})

    def block_client(self, address):
        """One client: "10.0.0.1:0/123"."""
        self.command({"prefix": "osd blocklist", "blocklistop": "add", "addr": address, "expire": 600.0})

    def watchers(self, pool, name):
        """The clients that have an image open for writing."""
        def look(rbd, io):
            with rbd.Image(io, name, read_only=True) as image:
                return [w["addr"] for w in image.watchers_list()]
        return self._in_pool(pool, look)

    def unblock(self, address):
        self.command({"prefix": "osd blocklist", "blocklistop": "rm", "addr": f"{address}:0/0"})

    def fill(self, full=True):
        """As if the OSDs were full, by the share at which they count as that; or as they are."""
        for which, ratio in (("nearfull", 1e-6), ("backfillfull", 2e-6), ("full", 3e-6)) if full else \
                (("full", 0.95), ("backfillfull", 0.9), ("nearfull", 0.85)):
            self.command({"prefix": f"osd set-{which}-ratio", "ratio": ratio})

    def is_full(self):
        """Writes wait for room."""
        return any("full" in p["flags_names"].split(",") for p in self.command({"prefix": "osd dump"})["pools"])

    def images(self, pool):
        """Names of the images of a pool."""
        return self._in_pool(pool, lambda rbd, io: sorted(rbd.RBD().list(io)))

    def trash(self, pool):
        return self._in_pool(pool, lambda rbd, io: sorted(t["name"] for t in rbd.RBD().trash_list(io)))

    def image(self, pool, name):
        """What there is to know about one image."""
        def look(rbd, io):
            with rbd.Image(io, name, read_only=True) as image:
                try:
                    parent = tuple(image.parent_info())
                except rbd.ImageNotFound:
                    parent = None
                features = image.features()
                return {"size": image.size(), "parent": parent,
                        "snapshots": [s["name"] for s in image.list_snaps()],
                        "protected": [s["name"] for s in image.list_snaps() if image.is_protected_snap(s["name"])],
                        "features": [n for n, bit in (("layering", rbd.RBD_FEATURE_LAYERING),
                                                      ("exclusive-lock", rbd.RBD_FEATURE_EXCLUSIVE_LOCK)) if features & bit]}
        return self._in_pool(pool, look)

    def attribute(self, pool, name, attribute):
        """An attribute of an object, as text."""
        return self._in_pool(pool, lambda _rbd, io: io.get_xattr(name, attribute).decode())

    def read(self, pool, name, most=4096):
        """What an object holds; None when there is none."""
        def look(_rbd, io):
            import rados
            try:
                return io.read(name, most)
            except rados.ObjectNotFound:
                return None
        return self._in_pool(pool, look)

    def peek(self, pool, image, offset, length):
        """What stands in an image."""
        def look(rbd, io):
            with rbd.Image(io, image, read_only=True) as i:
                return i.read(offset, length)
        return self._in_pool(pool, look)

    def poke(self, pool, image, offset, data):
        """Writes into an image, behind everybody's back."""
        def look(rbd, io):
            with rbd.Image(io, image) as i:
                return i.write(data, offset)
        return self._in_pool(pool, look)

    def writer(self, pool, image):
        """A process that has the image open and owns its lock, as a guest's QEMU does."""
        base = os.path.join(self.dir, "writer")
        return Writer(self._spawn(["ip", "netns", "exec", self.fabric, "/usr/bin/python3", "-B", "-c", WRITER, self.config, pool,
                                   image, base], "ceph-writer"), base)

    def _in_pool(self, pool, look):
        import rados
        import rbd

        def ask():
            with rados.Rados(conffile=self.config, conf={"admin_socket": "", "log_file": ""}) as c, c.open_ioctx(pool) as io:
                return look(rbd, io)
        return netns.call_in(self.fabric, ask)
