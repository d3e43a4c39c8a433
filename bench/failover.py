#!/usr/bin/python3
"""How soon after the fence of a lost host the last of its NeverStop instances is ordered to start elsewhere: three real
control nodes (TCP, Raft on disk) and hosts that are streams of this program.

The host's stream ends, an operator's word fences it and proves it down in one transaction, and the time runs from the moment
that this evidence was recorded until each order to start has arrived at its host. After an operator's word the leader waits for F
of the profile (1 s of "default"), so that the host's last writes may land: that is part of the time.

usage: bench/failover.py [--build DIR] [--instances N] [--hosts N] [--rounds N] [--json [FILE]] …   (see --help)
"""
import argparse
import json
import os
import pathlib
import queue
import sys
import tempfile
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "control"))
import grpc  # noqa: E402
import api_client  # noqa: E402
from google.protobuf import symbol_database  # noqa: E402

GIB = 1 << 30
PATIENCE_S = 120
BOUND_MS = 2000


def message(name):
    return symbol_database.Default().GetSymbol("holdfast.v1." + name)


class Host:
    """A host daemon without a host: says yes to everything and notes when orders arrive."""

    def __init__(self, number):
        self.uuid = uuid.uuid5(uuid.NAMESPACE_DNS, f"bench-host-{number}").hex
        self.name = f"host-{number}"
        self.ip = f"10.9.0.{number}"
        self.epoch, self.term = 0, 0
        self.orders = {}  # instance -> (run, wall ms)
        self.runs = {}
        self.out = queue.SimpleQueue()
        self.call = None

    def send(self, **body):
        self.out.put(message("HostMessage")(**body))

    def dial(self, node):
        self.send(hello=message("Hello")(
            host_uuid=self.uuid, secret=self.uuid.encode(), hostname=self.name, management_ip=self.ip,
            boot_id=self.uuid, epoch=self.epoch, clean=not self.runs, cpus=1000, memory_bytes=4096 * GIB,
            accelerator="kvm", watchdog="hardware", version="bench", profile="default"))
        attach = node.channel.stream_stream(
            "/holdfast.v1.HostLinkService/Attach", request_serializer=message("HostMessage").SerializeToString,
            response_deserializer=message("ControlMessage").FromString)
        self.call = attach(iter(self.out.get, None))
        threading.Thread(target=self.listen, args=(self.call,), daemon=True).start()
        threading.Thread(target=self.renew, args=(self.call,), daemon=True).start()

    def listen(self, call):
        try:
            for m in call:
                self.take(m)
        except grpc.RpcError:
            pass

    def renew(self, call):
        while call is self.call and call.is_active():
            if self.epoch:
                self.send(lease=message("LeaseReport")(epoch=self.epoch))
            time.sleep(0.8)

    def take(self, m):
        self.term = m.term
        if m.HasField("welcome") and not m.welcome.pending:
            self.epoch = m.welcome.epoch
        elif m.HasField("assign"):
            self.take_assignment(m.assign)

    def take_assignment(self, a):
        if a.HasField("storage"):
            self.send(storage=message("StorageReport")(primary_storage_uuid=a.storage.uuid, ok=True,
                                                       total_bytes=1 << 50, available_bytes=1 << 49))
        elif a.HasField("image"):
            self.send(image=message("ImageReport")(image_uuid=a.image.uuid, ready=True, file_bytes=1000, virtual_bytes=2000,
                                                   primary_storage_uuid=a.image.primary_storage_uuid))
        elif a.HasField("instance") and self.runs.get(a.instance.uuid) != a.instance.run:
            self.orders[a.instance.uuid] = (a.instance.run, time.time() * 1000)
            self.runs[a.instance.uuid] = a.instance.run
            self.send(instance=message("InstanceReport")(instance_uuid=a.instance.uuid, epoch=a.instance.epoch,
                                                         run=a.instance.run, state="RUNNING"))

    def die(self):
        call, self.call = self.call, None
        call.cancel()
        self.runs = {}


def until(what, condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {PATIENCE_S} s")
        time.sleep(0.05)


class Bench:
    def __init__(self, holdfastd, hosts):
        self.cloud = api_client.Cloud(holdfastd)
        self.hosts = [Host(n + 1) for n in range(hosts)]

    def make(self, service, field, name, spec):
        made = self.cloud.call(f"{service}Service/Create{service}", **{field: {"meta": {"name": name}, "spec": spec}})
        return made.target_uuid if hasattr(made, "target_uuid") else made.meta.uuid

    def set_up(self):
        call = self.cloud.call
        zone = self.make("Zone", "zone", "zone", {})
        self.cluster = self.make("Cluster", "cluster", "cluster", {"zoneUuid": zone})
        l2 = self.make("L2Network", "l2Network", "l2", {"zoneUuid": zone, "physicalInterface": "em01"})
        self.storage = self.make("PrimaryStorage", "primaryStorage", "shared",
                                 {"zoneUuid": zone, "type": "SHARED_MOUNT_POINT", "path": "/shared"})
        call("ClusterService/AttachL2Network", clusterUuid=self.cluster, uuid=l2)
        call("ClusterService/AttachPrimaryStorage", clusterUuid=self.cluster, uuid=self.storage)
        self.l3 = self.make("L3Network", "l3Network", "l3", {"l2NetworkUuid": l2, "ipRanges": [
            {"startIp": "10.50.0.10", "endIp": "10.50.200.250", "netmask": "255.255.0.0", "gateway": "10.50.0.1"}]})
        self.offering = self.make("InstanceOffering", "instanceOffering", "small", {"cpus": 1, "memoryBytes": GIB})
        for h in self.hosts:
            h.dial(self.cloud.leader())
            until(f"{h.name} dials in", lambda h=h: any(
                p.uuid == h.uuid for p in call("HostService/ListPendingHosts").hosts))
            call("HostService/CreateHost",
                 host={"meta": {"name": h.name, "uuid": h.uuid}, "spec": {"clusterUuid": self.cluster}})
        until("all hosts are connected", lambda: all(h.epoch for h in self.hosts))
        self.image = call("ImageService/CreateImage", image={
            "meta": {"name": "image"}, "spec": {"url": "file:///image", "sha256": "0" * 64, "format": "QCOW2"}}).target_uuid
        until("the image is ready", lambda: call("ImageService/GetImage", uuid=self.image).status.state == 2)

    def fill(self, count, host):
        for n in range(count):
            self.cloud.call("InstanceService/CreateInstance", instance={"meta": {"name": f"vm-{n}"}, "spec": {
                "instanceOfferingUuid": self.offering, "imageUuid": self.image, "l3NetworkUuids": [self.l3],
                "haLevel": "NEVER_STOP", "hostUuid": host.uuid}})
        until("all instances run", lambda: self.running() == count)

    def running(self):
        n, token = 0, ""
        while True:
            page = self.cloud.call("InstanceService/ListInstances", pageSize=1000, pageToken=token, filter="status.state = RUNNING")
            n, token = n + len(page.instances), page.next_page_token
            if not token:
                return n

    def fail_over(self, host):
        """Milliseconds from the evidence to each order's arrival, and how many each host got."""
        lost = dict(host.runs)
        others = [h for h in self.hosts if h is not host]
        for h in others:
            h.orders = {}
        host.die()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                fence = self.cloud.call("HaService/ConfirmHostDown", hostUuid=host.uuid, epoch=host.epoch, statement="bench",
                                        requestId=uuid.uuid4().hex)
                break
            except grpc.RpcError as e:  # its stream is not known to be over yet
                if e.code() != grpc.StatusCode.FAILED_PRECONDITION or time.monotonic() > deadline:
                    raise
        began = fence.evidence[0].recorded_at_ms
        until("all orders have arrived", lambda: sum(len(h.orders) for h in others) == len(lost))
        for h in others:
            for instance, (run, _) in h.orders.items():
                assert run == lost[instance] + 1, (instance, run)
        until("all instances run again", lambda: self.running() == len(lost))
        return sorted(at - began for h in others for _, at in h.orders.values()), [len(h.orders) for h in others]

    def close(self):
        for h in self.hosts:
            if h.call is not None:
                h.die()
        self.cloud.close()


def at(times, share):
    return round(times[min(len(times) - 1, int(len(times) * share))], 1)


def measure(options):
    os.environ["TMPDIR"] = tempfile.tempdir = options.dir
    with tempfile.TemporaryDirectory() as generated:
        api_client.PROTOS.append("host_link")
        api_client.load_schema(ROOT / "api", generated)
    rows = []
    for round_number in range(options.rounds):
        bench = Bench(os.path.join(options.build, "bin/holdfastd"), options.hosts)
        try:
            bench.set_up()
            bench.fill(options.instances, bench.hosts[0])
            times, spread = bench.fail_over(bench.hosts[0])
        finally:
            bench.close()
        rows.append({"round": round_number + 1, "instances": len(times), "hosts": options.hosts, "first_ms": at(times, 0),
                     "p50_ms": at(times, 0.5), "p99_ms": at(times, 0.99), "last_ms": at(times, 1), "bound_ms": BOUND_MS,
                     "fewest_on_a_host": min(spread), "most_on_a_host": max(spread)})
    return rows


def parse():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--build", default=str(ROOT / "build/release"), help="build folder (default: %(default)s)")
    p.add_argument("--instances", type=int, default=500, help="on the host that is lost (default: %(default)s)")
    p.add_argument("--hosts", type=int, default=11, help="that one included (default: %(default)s)")
    p.add_argument("--rounds", type=int, default=3, help="each with a new cloud (default: %(default)s)")
    p.add_argument("--no-bound", action="store_true", help="do not fail when the last order is late")
    p.add_argument("--dir", default="/var/tmp", help="where the data goes (default: %(default)s)")
    p.add_argument("--json", metavar="FILE", nargs="?", const="-", help="write the rows there (default: to standard output)")
    return p.parse_args()


def main():
    options = parse()
    if not os.path.exists(os.path.join(options.build, "bin/holdfastd")):
        raise SystemExit(f"holdfastd is not built in {options.build}: cmake --preset release && cmake --build --preset release")
    rows = measure(options)
    if options.json == "-":
        print(json.dumps(rows, indent=1))
    else:
        for r in rows:
            print(f"{r['instances']} instances of one of {r['hosts']} hosts: orders after {r['first_ms']} to {r['last_ms']} ms "
                  f"(median {r['p50_ms']}), {r['fewest_on_a_host']} to {r['most_on_a_host']} on each other host")
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    if not options.no_bound and any(r["last_ms"] > BOUND_MS for r in rows):
        sys.exit(f"the last order left later than {BOUND_MS} ms after the fence")


if __name__ == "__main__":
    main()
