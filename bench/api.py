#!/usr/bin/python3
"""Creates and linearizable gets per second, and their latencies, of three control nodes with real fsync; the same puts and
gets on Debian's etcd with three members on the same disk, cell by cell in turn.

usage: bench/api.py [--build DIR] [--seconds S] [--json [FILE]] …   (see --help)
"""
import argparse
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NODES = 3
START_S = 30
PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    """Processes with their logs in one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        os.makedirs(folder)

    def start(self, name, *command):
        log = open(os.path.join(self.folder, name + ".log"), "wb")
        self.processes.append(subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
            start_new_session=True))
        log.close()

    def check(self):
        for i, p in enumerate(self.processes):
            if p.poll() is not None:
                raise SystemExit("%s: process %d ended with %d; its log:\n%s" % (
                    os.path.basename(self.folder), i + 1, p.returncode, self.log(i + 1)))

    def log(self, i):
        with open(os.path.join(self.folder, "%d.log" % i), errors="replace") as f:
            return "".join(f.readlines()[-20:])

    def stop(self):
        for p in self.processes:
            p.terminate()
        for p in self.processes:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    def cpu_s(self):
        """Processor seconds used so far, per process."""
        used = []
        for p in self.processes:
            with open("/proc/%d/stat" % p.pid) as f:
                fields = f.read().rsplit(")", 1)[1].split()
            used.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
        return used


class Holdfast(Cluster):
    target = "holdfast"

    def __init__(self, folder, build):
        super().__init__(folder)
        self.bench = os.path.join(build, "bin/hf_bench_api")
        ports = free_ports(2 * NODES)
        raft = ["127.0.0.1:%d" % p for p in ports[:NODES]]
        api = ["127.0.0.1:%d" % p for p in ports[NODES:]]
        peers = ",".join("%d=%s=%s" % (i + 1, raft[i], api[i]) for i in range(NODES))
        for i in range(NODES):
            self.start(str(i + 1), os.path.join(build, "bin/holdfastd"), "--id", str(i + 1),
                       "--data-dir", os.path.join(folder, str(i + 1)), "--raft-address", raft[i],
                       "--api-address", api[i], "--peers", peers)
        self.address = api[0]

    def ready(self):
        return load(self, "get", 1, 1, 1) is not None


class Etcd(Cluster):
    target = "etcd"

    def __init__(self, folder, build):
        super().__init__(folder)
        self.bench = os.path.join(build, "bin/hf_bench_api")
        ports = free_ports(2 * NODES)
        peer = ["http://127.0.0.1:%d" % p for p in ports[:NODES]]
        self.clients = ["http://127.0.0.1:%d" % p for p in ports[NODES:]]
        cluster = ",".join("m%d=%s" % (i + 1, peer[i]) for i in range(NODES))
        for i in range(NODES):
            self.start(str(i + 1), "etcd", "--name", "m%d" % (i + 1), "--data-dir", os.path.join(folder, str(i + 1)),
                       "--listen-peer-urls", peer[i], "--initial-advertise-peer-urls", peer[i],
                       "--listen-client-urls", self.clients[i], "--advertise-client-urls", self.clients[i],
                       "--initial-cluster", cluster, "--initial-cluster-state", "new", "--log-level", "error",
                       "--quota-backend-bytes", str(8 << 30))
        self.address = None

    def ready(self):
        """Finds the leader: its clients are served best there, as ours are."""
        r = subprocess.run(["etcdctl", "--endpoints", ",".join(self.clients), "endpoint", "status", "-w", "json"],
                           env=dict(os.environ, ETCDCTL_API="3"), capture_output=True, text=True, timeout=START_S)
        if r.returncode != 0:
            return False
        for member in json.loads(r.stdout):
            status = member["Status"]
            if status["leader"] and status["header"]["member_id"] == status["leader"]:
                self.address = member["Endpoint"].replace("http://", "")
        return self.address is not None


def wait_ready(cluster):
    until = time.monotonic() + START_S
    while not cluster.ready():
        cluster.check()
        if time.monotonic() > until:
            raise SystemExit("%s did not start within %d s; node 1 says:\n%s" % (
                cluster.target, START_S, cluster.log(1)))
        time.sleep(0.2)


def load(cluster, op, in_flight, seconds, connections):
    """One cell; None if it failed."""
    r = subprocess.run([cluster.bench, "--target", cluster.target, "--address", cluster.address, "--op", op,
                        "--in-flight", str(in_flight), "--seconds", str(seconds), "--connections", str(connections)],
                       capture_output=True, text=True, preexec_fn=die_with_parent)
    load.error = r.stderr.strip()
    return json.loads(r.stdout) if r.returncode == 0 else None


def measure(cluster, op, in_flight, options):
    connections = min(in_flight, options.connections)
    before = cluster.cpu_s()
    row = load(cluster, op, in_flight, options.seconds, connections)
    cluster.check()
    if row is None:
        raise SystemExit("%s, %s with %d in flight: %s" % (cluster.target, op, in_flight, load.error))
    if options.verbose:
        used = [a - b for a, b in zip(cluster.cpu_s(), before)]
        print("  %s processor seconds: %s" % (cluster.target, " ".join("%.2f" % u for u in used)))
    return row


def find_build():
    found = [os.path.join(ROOT, "build", p) for p in ("release", "dev")]
    found = [b for b in found if os.path.exists(os.path.join(b, "bin/hf_bench_api"))]
    return found[0] if found else os.path.join(ROOT, "build/release")


def parse():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--build", default=find_build(), help="build folder (default: %(default)s)")
    p.add_argument("--seconds", type=int, default=5, help="per cell (default: %(default)s)")
    p.add_argument("--in-flight", default="1,64,1024", help="calls at once (default: %(default)s)")
    p.add_argument("--ops", default="create,get", help="default: %(default)s")
    p.add_argument("--connections", type=int, default=8, help="at most so many, for both (default: %(default)s)")
    p.add_argument("--dir", default="/var/tmp", help="where the data goes, on the disk to measure (default: %(default)s)")
    p.add_argument("--json", metavar="FILE", nargs="?", const="-", help="write the rows there (default: to standard output)")
    p.add_argument("--no-etcd", action="store_true", help="measure Holdfast alone")
    p.add_argument("--verbose", action="store_true", help="also show the processor time of each node")
    return p.parse_args()


def table(rows):
    print("%-7s %9s | %9s %8s %8s | %9s %8s %8s | %6s" % (
        "op", "in flight", "per s", "p50 ms", "p99 ms", "etcd/s", "p50 ms", "p99 ms", "ratio"))
    for r in rows:
        line = "%-7s %9d | %9.0f %8.2f %8.2f" % (r["op"], r["in_flight"], r["per_s"], r["p50_ms"], r["p99_ms"])
        if r["etcd_per_s"]:
            line += " | %9.0f %8.2f %8.2f | %5.1fx" % (
                r["etcd_per_s"], r["etcd_p50_ms"], r["etcd_p99_ms"], r["per_s"] / r["etcd_per_s"])
        print(line)


def run(options, folder, clusters):
    clusters.append(Holdfast(os.path.join(folder, "holdfast"), options.build))
    if not options.no_etcd:
        clusters.append(Etcd(os.path.join(folder, "etcd"), options.build))
    for c in clusters:
        wait_ready(c)
    rows = []
    for op in options.ops.split(","):
        for in_flight in map(int, options.in_flight.split(",")):
            row = measure(clusters[0], op, in_flight, options)
            other = measure(clusters[1], op, in_flight, options) if len(clusters) > 1 else {}
            for key in ("per_s", "p50_ms", "p99_ms"):
                row["etcd_" + key] = other.get(key)
            rows.append(row)
            print("%s, %d in flight: done" % (op, in_flight), file=sys.stderr)
    return rows


def main():
    options = parse()
    for program in ("bin/holdfastd", "bin/hf_bench_api"):
        if not os.path.exists(os.path.join(options.build, program)):
            raise SystemExit("%s is not built in %s: cmake --preset release && cmake --build --preset release" % (
                program, options.build))
    if not options.no_etcd and not (shutil.which("etcd") and shutil.which("etcdctl")):
        raise SystemExit("etcd is not installed: apt-get install etcd-server etcd-client, or --no-etcd")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = tempfile.mkdtemp(prefix="holdfast-bench-", dir=options.dir)
    clusters = []
    try:
        rows = run(options, folder, clusters)
    except KeyboardInterrupt:
        raise SystemExit("interrupted")
    finally:
        for c in clusters:
            c.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if options.json == "-":
        json.dump(rows, sys.stdout, indent=1)
        print()
        return
    table(rows)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(rows, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
