"""Control nodes for tests and a client for them, with nothing but Debian's grpcio, protobuf and protoc.

    cloud = Cloud(holdfastd, api_folder)
    cloud.call("ZoneService/CreateZone", zone={"meta": {"name": "z1"}})

Requests are dictionaries in proto3 JSON form; answers are messages. Calls follow the leader as the CLI does.
"""
import importlib
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import grpc
from google.protobuf import descriptor_pool, json_format, symbol_database

PROTOS = ["common", "operation", "infra", "storage", "network", "instance", "system", "ha"]
LEADER = "holdfast-leader"
ELECTION_MS = 400
PATIENCE_S = 30  # for what happens at once on an idle machine


def load_schema(api_folder, out_folder):
    """Compiles the schema and registers it with protobuf's default pool."""
    subprocess.check_call(
        ["protoc", "-I" + str(api_folder), "-I/usr/include", "--python_out=" + str(out_folder)]
        + ["holdfast/v1/%s.proto" % p for p in PROTOS]
    )
    sys.path.insert(0, str(out_folder))
    for p in PROTOS:
        importlib.import_module("holdfast.v1.%s_pb2" % p)


def method(name):
    """("/holdfast.v1.ZoneService/GetZone", request class, answer class)."""
    service, verb = name.split("/")
    d = descriptor_pool.Default().FindServiceByName("holdfast.v1." + service).methods_by_name[verb]
    db = symbol_database.Default()
    return "/holdfast.v1." + name, db.GetPrototype(d.input_type), db.GetPrototype(d.output_type)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Node:
    def __init__(self, cloud, number, raft, api):
        self.cloud, self.number = cloud, number
        self.raft, self.api = "127.0.0.1:%d" % raft, "127.0.0.1:%d" % api
        self.folder = cloud.folder / str(number)
        self.process = None
        self.opened, self.left = None, []

    @property
    def channel(self):
        if self.opened is None:
            self.opened = grpc.insecure_channel(
                self.api,
                options=[
                    ("grpc.enable_retries", 0),
                    ("grpc.max_send_message_length", -1),
                    ("grpc.use_local_subchannel_pool", 1),
                ],
            )
        return self.opened

    def reconnect(self):
        """The next call connects at once: a channel that has failed waits for seconds before it tries again. Calls of
        other threads may still be on the old one."""
        if self.opened is not None:
            self.left.append(self.opened)
        self.opened = None

    def disconnect(self):
        self.reconnect()
        for channel in self.left:
            channel.close()

    def start(self, join=False, more=()):
        """One of the first members, or an empty node that waits to be added."""
        peers = ",".join("%d=%s=%s" % (n.number, n.raft, n.api) for n in self.cloud.nodes)
        self.log = open(self.cloud.folder / ("log.%d" % self.number), "ab")
        self.process = subprocess.Popen(
            [
                self.cloud.holdfastd,
                "--id",
                str(self.number),
                "--data-dir",
                str(self.folder),
                "--raft-address",
                self.raft,
                "--api-address",
                self.api,
                "--election-ms",
                str(ELECTION_MS),
            ]
            + (["--join"] if join else ["--peers", peers])
            + list(more),
            stderr=self.log,
            stdin=subprocess.DEVNULL,
        )

    def stop(self):
        """Ends it as an operator does; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        self.process.kill()
        self.wait()

    def wait(self):
        self.reconnect()
        code = self.process.wait(timeout=PATIENCE_S)
        self.process = None
        self.log.close()
        return code

    def log_text(self):
        return (self.cloud.folder / ("log.%d" % self.number)).read_text()

    def call(self, name, /, timeout=10, **fields):
        path, request, answer = method(name)
        m = json_format.ParseDict(fields, request())
        try:
            return self.raw(path, request.SerializeToString, answer.FromString)(m, timeout=timeout)
        except grpc.RpcError as e:
            if e.code() == grpc.StatusCode.UNAVAILABLE and LEADER not in dict(e.trailing_metadata() or ()):
                self.reconnect()
            raise

    def raw(self, path, serialize=lambda b: b, deserialize=lambda b: b):
        return self.channel.unary_unary(path, request_serializer=serialize, response_deserializer=deserialize)

    def watch(self, timeout=20, **fields):
        path, request, answer = method("WatchService/Watch")
        return self.channel.unary_stream(
            path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString
        )(json_format.ParseDict(fields, request()), timeout=timeout)


class Cloud:
    def __init__(self, holdfastd, nodes=3):
        self.holdfastd = holdfastd
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-api-test-"))
        ports = free_ports(2 * nodes)
        self.nodes = []
        for i in range(nodes):
            self.nodes.append(Node(self, i + 1, ports[2 * i], ports[2 * i + 1]))
        for n in self.nodes:
            n.start()
        self.leader_hint = self.nodes[0]
        self.leader()

    def close(self):
        codes = []
        for n in self.nodes:
            n.disconnect()
            if n.process is not None:
                codes.append(n.stop())
        shutil.rmtree(self.folder)
        return codes

    def by_api(self, address):
        return next(n for n in self.nodes if n.api == address)

    def leader(self):
        """The node that leads and answers fresh reads."""
        self.call("ZoneService/ListZones", patience=PATIENCE_S, pageSize=1)
        return self.leader_hint

    def followers(self):
        leader = self.leader()
        return [n for n in self.nodes if n is not leader and n.process is not None]

    def call(self, name, /, patience=0, timeout=10, **fields):
        """Follows the leader; with patience (seconds) also repeats when no node answers, or when the outcome is unknown
        and a request id makes that safe."""
        end = time.monotonic() + max(patience, 10)
        while True:
            try:
                return self.leader_hint.call(name, timeout=timeout, **fields)
            except grpc.RpcError as e:
                unavailable = e.code() == grpc.StatusCode.UNAVAILABLE or (
                    e.code() == grpc.StatusCode.UNKNOWN and "requestId" in fields
                )
                hint = dict((e.trailing_metadata() or ())).get(LEADER)
                if not unavailable or (hint is None and patience == 0) or time.monotonic() > end:
                    raise
                alive = [n for n in self.nodes if n.process is not None]
                self.leader_hint = (
                    self.by_api(hint)
                    if hint
                    else alive[
                        (alive.index(self.leader_hint) + 1) % len(alive) if self.leader_hint in alive else 0
                    ]
                )
                time.sleep(0.02)
