#!/usr/bin/python3
"""The wire and the control nodes: followers, malformed input, deadlines, watches, and nodes that die.

usage: api_nodes_test.py HOLDFASTD API_FOLDER [unittest arguments]
"""
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import api_case  # noqa: E402
import api_client  # noqa: E402
from api_case import ApiTest, Code, cloud  # noqa: E402
from api_client import PATIENCE_S  # noqa: E402

setUpModule, tearDownModule = api_case.start, api_case.stop


class Wire(ApiTest):
    def test_followers_point_to_the_leader(self):
        leader, followers = cloud().leader(), cloud().followers()
        self.assertEqual(len(followers), 2)
        z = self.zone()
        for f in followers:
            for name, fields in [
                ("ZoneService/CreateZone", {"zone": {"meta": {"name": "x"}}}),
                ("ZoneService/GetZone", {"uuid": z.meta.uuid}),
            ]:
                with self.assertRaises(grpc.RpcError) as e:
                    f.call(name, **fields)
                self.assertEqual(e.exception.code(), Code.UNAVAILABLE)
                self.assertEqual(dict(e.exception.trailing_metadata())[api_client.LEADER], leader.api)
            end = time.monotonic() + PATIENCE_S
            while True:  # a stale read may be old
                try:
                    self.assertEqual(f.call("ZoneService/GetZone", uuid=z.meta.uuid, stale=True), z)
                    break
                except grpc.RpcError as e:
                    self.assertEqual(e.code(), Code.NOT_FOUND)
                    self.assertLess(time.monotonic(), end)

    def test_status_of_every_node(self):
        leader = cloud().leader()
        for n in cloud().nodes:
            s = n.call("ControlService/GetStatus")
            self.assertEqual(
                (s.node_id, s.leader_id, s.leader_api_address), (n.number, leader.number, leader.api)
            )
            self.assertEqual({x.id: x.api_address for x in s.nodes}, {x.number: x.api for x in cloud().nodes})
            self.assertEqual([x.role for x in s.nodes if x.id == leader.number], ["leader"])

    def test_malformed_and_oversized(self):
        leader = cloud().leader()
        with self.assertRaises(grpc.RpcError) as e:
            leader.raw("/holdfast.v1.ZoneService/CreateZone")(b"\xff\xff\xff", timeout=10)
        self.assertEqual(e.exception.code(), Code.INVALID_ARGUMENT)
        with self.assertRaises(grpc.RpcError) as e:
            leader.raw("/holdfast.v1.ZoneService/CreateZone")(
                b"\x12\xff\xff\xff\x02" + b"x" * (6 << 20), timeout=10
            )
        self.assertEqual(e.exception.code(), Code.RESOURCE_EXHAUSTED)
        self.fails(
            Code.INVALID_ARGUMENT,
            "",
            "ZoneService/CreateZone",
            zone={"meta": {"name": "big", "description": "x" * (2 << 20)}},
        )
        with self.assertRaises(grpc.RpcError) as e:
            leader.raw("/holdfast.v1.ZoneService/Nothing")(b"", timeout=10)
        self.assertEqual(e.exception.code(), Code.UNIMPLEMENTED)
        self.zone()

    def test_deadline_and_cancel(self):
        op = self.call(
            "ImageService/CreateImage",
            image={
                "meta": {"name": self.fresh("image")},
                "spec": {"url": "file:///image", "sha256": "0" * 64, "format": "RAW"},
            },
        )
        path, request, answer = api_client.method("OperationService/WaitOperation")
        call = cloud().leader().raw(path, request.SerializeToString, answer.FromString)
        future = call.future(request(uuid=op.meta.uuid), timeout=60)
        time.sleep(0.3)
        self.assertTrue(future.cancel())
        events = cloud().leader().watch(timeout=1)
        with self.assertRaises(grpc.RpcError) as e:
            for _ in events:
                pass
        self.assertEqual(e.exception.code(), Code.DEADLINE_EXCEEDED)
        self.zone()


class Watch(ApiTest):
    def collect(self, events, until):
        seen = []
        for e in events:
            seen.append(e)
            if until(e):
                events.cancel()
                return seen
        self.fail("the watch ended")

    def test_snapshot_then_changes_on_every_node(self):
        z = self.zone()
        for n in cloud().nodes:
            name = self.fresh("watched")
            events = n.watch(kinds=["ZONE"])
            snapshot = self.collect_to_mark(events)
            self.zone(name)
            change = next(e for e in events if not e.caught_up)
            events.cancel()
            if n is cloud().leader():
                self.assertIn(z.meta.uuid, [e.uuid for e in snapshot])
            zone = api_client.method("ZoneService/GetZone")[2].FromString(change.object)
            self.assertEqual(
                (zone.meta.revision, change.kind, zone.meta.uuid), (change.revision, 1, change.uuid)
            )

    def collect_to_mark(self, events):
        seen = []
        for e in events:
            if e.caught_up:
                return seen
            seen.append(e)
        self.fail("the watch ended before its mark")

    def test_resume_sees_each_change_once(self):
        start = self.zone().meta.revision
        uuids = [self.zone().meta.uuid for _ in range(20)]
        self.call("ZoneService/DeleteZone", uuid=uuids[3])
        n = cloud().leader()
        first = self.collect(n.watch(fromRevision=start, kinds=["ZONE"]), lambda e: e.uuid == uuids[9])
        rest = self.collect(n.watch(fromRevision=first[-1].revision, kinds=["ZONE"]), lambda e: e.deleted)
        created = [e.uuid for e in first + rest if not e.deleted and not e.caught_up]
        self.assertEqual(created, uuids)
        revisions = [e.revision for e in first + rest if not e.caught_up]
        self.assertEqual(revisions, sorted(set(revisions)))
        self.assertEqual(rest[-1].uuid, uuids[3])

    def test_errors(self):
        for fields, code in [
            ({"kinds": ["KIND_UNSPECIFIED"]}, Code.INVALID_ARGUMENT),
            ({"fromRevision": 1 << 60}, Code.UNAVAILABLE),
        ]:
            with self.assertRaises(grpc.RpcError) as e:
                next(cloud().leader().watch(**fields))
            self.assertEqual(e.exception.code(), code)

    def test_slow_reader_gets_all(self):
        """More than the send queue holds, read late: the server pauses and goes on where it was."""
        start = self.zone().meta.revision
        n = cloud().leader()
        events = n.watch(timeout=60, fromRevision=start, kinds=["ZONE"])
        uuids = [
            self.call(
                "ZoneService/CreateZone",
                zone={"meta": {"name": self.fresh("bulk"), "description": "x" * 100_000}},
            ).meta.uuid
            for _ in range(100)
        ]
        seen = self.collect(events, lambda e: e.uuid == uuids[-1])
        self.assertEqual([e.uuid for e in seen if not e.caught_up], uuids)


class Daemon(ApiTest):
    """The program itself: usage, and what keeps it from starting."""

    def run_daemon(self, *args):
        r = subprocess.run([sys.argv[1], *args], capture_output=True, text=True, timeout=PATIENCE_S)
        return r.returncode, r.stdout + r.stderr

    def test_usage(self):
        good = {
            "--id": "1",
            "--data-dir": "/nonexistent/x",
            "--raft-address": "127.0.0.1:1",
            "--api-address": "127.0.0.1:2",
        }
        for change, words in [
            ({"--id": "0"}, "--id"),
            ({"--id": "x"}, "--id"),
            ({"--api-address": "nowhere"}, "HOST:PORT"),
            ({"--raft-address": "h:99999"}, "65535"),
            ({"--profile": "slow"}, "fast, default or san"),
            ({"--peers": "1=a:1"}, "ID=RAFT_ADDRESS=API_ADDRESS"),
            ({"--tls-cert": "x"}, "--tls-key"),
            ({"--peers": "2=127.0.0.1:3=127.0.0.1:4"}, "does not name this node"),
            ({"--peers": "1=127.0.0.1:3=127.0.0.1:4"}, "--peers says"),
            ({"--election-ms": "-1"}, "--election-ms"),
        ]:
            code, text = self.run_daemon(*sum(map(list, {**good, **change}.items()), []))
            self.assertEqual(code, 2, text)
            self.assertIn(words, text)
        self.assertEqual(self.run_daemon("--id")[0], 2)
        self.assertEqual(self.run_daemon("stray")[0], 2)
        self.assertEqual(self.run_daemon()[0], 2)
        code, text = self.run_daemon("--help")
        self.assertEqual(code, 0)
        self.assertIn("--peers", text)

    def test_what_keeps_it_from_starting(self):
        n = cloud().nodes[0]
        raft, api = ("127.0.0.1:%d" % p for p in api_client.free_ports(2))
        for args, words in [
            (("--data-dir", str(n.folder), "--raft-address", raft, "--api-address", api), str(n.folder)),
            (("--data-dir", "/proc/none/x", "--raft-address", raft, "--api-address", api), "/proc/none"),
            (
                ("--data-dir", str(cloud().folder / "new"), "--raft-address", raft, "--api-address", n.api),
                n.api,
            ),
        ]:
            code, text = self.run_daemon("--id", "1", *args)
            self.assertEqual(code, 1, text)
            self.assertIn("cannot start", text)
            self.assertIn(words, text)

    def test_health(self):
        zones = b"holdfast.v1.ZoneService"
        for request in [b"", b"\x0a" + bytes([len(zones)]) + zones]:
            for n in cloud().nodes:
                self.assertEqual(n.raw("/grpc.health.v1.Health/Check")(request, timeout=10), b"\x08\x01")


class Tls(unittest.TestCase):
    """One node that takes only clients of its authority."""

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.folder.name, check=True, capture_output=True)

    def certificate(self, name, authority):
        self.openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            name + ".key",
            "-out",
            name + ".csr",
            "-subj",
            "/CN=" + name,
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        )
        self.openssl(
            "x509",
            "-req",
            "-in",
            name + ".csr",
            "-CA",
            authority + ".crt",
            "-CAkey",
            authority + ".key",
            "-CAcreateserial",
            "-copy_extensions",
            "copy",
            "-days",
            "2",
            "-out",
            name + ".crt",
        )

    def authority(self, name):
        self.openssl(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            name + ".key",
            "-out",
            name + ".crt",
            "-days",
            "2",
            "-subj",
            "/CN=" + name,
        )

    def read(self, name):
        return (pathlib.Path(self.folder.name) / name).read_bytes()

    def channel(self, node, client=None):
        pair = (
            {"private_key": self.read(client + ".key"), "certificate_chain": self.read(client + ".crt")}
            if client
            else {}
        )
        return grpc.secure_channel(
            node.api, grpc.ssl_channel_credentials(root_certificates=self.read("ca.crt"), **pair)
        )

    def status(self, channel):
        path, request, answer = api_client.method("ControlService/GetStatus")
        with channel:
            return channel.unary_unary(
                path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString
            )(request(), timeout=PATIENCE_S, wait_for_ready=False)

    def test_only_its_own_clients(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for name in ["ca", "stranger"]:
            self.authority(name)
        for name, authority in [("node", "ca"), ("friend", "ca"), ("foe", "stranger")]:
            self.certificate(name, authority)
        raft, api = api_client.free_ports(2)
        node = api_client.Node(cloud(), 9, raft, api)
        tls = sum(
            [
                ["--tls-" + k, str(pathlib.Path(self.folder.name) / f)]
                for k, f in [("cert", "node.crt"), ("key", "node.key"), ("ca", "ca.crt")]
            ],
            [],
        )
        node.start(join=True, more=tls)
        self.addCleanup(node.stop)
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.assertEqual(self.status(self.channel(node, "friend")).node_id, 9)
                break
            except grpc.RpcError:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.1)
        for channel in [self.channel(node), self.channel(node, "foe"), grpc.insecure_channel(node.api)]:
            with self.assertRaises(grpc.RpcError) as e:
                self.status(channel)
            self.assertEqual(e.exception.code(), Code.UNAVAILABLE)
        self.assertEqual(self.status(self.channel(node, "friend")).node_id, 9)


class Members(ApiTest):
    def test_a_node_joins_and_leaves(self):
        c = cloud()
        raft, api = api_client.free_ports(2)
        fourth = api_client.Node(c, 4, raft, api)
        fourth.start(join=True)
        address = {"id": 4, "raftAddress": fourth.raft, "apiAddress": fourth.api}
        self.fails(
            Code.INVALID_ARGUMENT,
            "host:port",
            "ControlService/AddControlNode",
            **{**address, "apiAddress": "nowhere"},
        )
        status = c.call("ControlService/AddControlNode", timeout=PATIENCE_S, **address)
        self.assertEqual([(n.id, n.api_address) for n in status.nodes if n.id == 4], [(4, fourth.api)])
        # It was told no peers; still it knows where the leader is.
        end = time.monotonic() + PATIENCE_S
        while True:
            with self.assertRaises(grpc.RpcError) as e:
                fourth.call("ZoneService/ListZones")
            self.assertEqual(e.exception.code(), Code.UNAVAILABLE)
            if dict(e.exception.trailing_metadata() or ()).get(api_client.LEADER) == c.leader().api:
                break
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        status = c.call("ControlService/RemoveControlNode", timeout=PATIENCE_S, id=4)
        self.assertEqual([n.id for n in status.nodes], [1, 2, 3])
        self.assertEqual(fourth.stop(), 0)
        fourth.disconnect()


class Zz_Failures(ApiTest):
    """Last: they end nodes."""

    def eventually(self, what, condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def works(self):
        return cloud().call(
            "ZoneService/CreateZone",
            patience=PATIENCE_S,
            requestId=self.fresh("works"),
            zone={"meta": {"name": self.fresh("works")}},
        )

    def has(self, node, zone):
        try:
            return node.call("ZoneService/GetZone", uuid=zone.meta.uuid, stale=True) == zone
        except grpc.RpcError:
            return False

    def test_leader_killed_and_nothing_acknowledged_lost(self):
        acknowledged, stop = [], threading.Event()

        def write():
            while not stop.is_set():
                name = "kept-%d" % len(acknowledged)
                # The id makes the repetition safe: the first try may have been applied.
                z = cloud().call(
                    "ZoneService/CreateZone",
                    patience=PATIENCE_S,
                    requestId=name,
                    zone={"meta": {"name": name}},
                )
                acknowledged.append(z)

        t = threading.Thread(target=write)
        t.start()
        try:
            self.eventually("50 zones before", lambda: len(acknowledged) >= 50)
            leader = cloud().leader()
            leader.kill()
            before = len(acknowledged)
            self.eventually("50 zones after", lambda: len(acknowledged) >= before + 50)
        finally:
            stop.set()
            t.join()
        for z in acknowledged:
            self.assertEqual(cloud().call("ZoneService/GetZone", patience=PATIENCE_S, uuid=z.meta.uuid), z)
        leader.start()
        self.eventually("the old leader has caught up", lambda: self.has(leader, acknowledged[-1]))

    def test_clean_stop_hands_over(self):
        leader = cloud().leader()
        self.assertEqual(leader.stop(), 0)
        z = self.works()
        leader.start()
        self.eventually("it has caught up", lambda: self.has(leader, z))

    def test_no_majority_is_an_error_not_an_answer(self):
        leader, followers = cloud().leader(), cloud().followers()
        for f in followers:
            f.kill()
        with self.assertRaises(grpc.RpcError) as e:
            leader.call("ZoneService/ListZones", timeout=8)
        self.assertIn(e.exception.code(), [Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED])
        self.assertEqual(len(leader.call("ControlService/GetStatus").nodes), 3)
        leader.call("ZoneService/ListZones", stale=True)
        for f in followers:
            f.start()
        self.works()

    def test_damaged_directory_refuses_to_start(self):
        victim = cloud().followers()[0]
        self.works()
        self.assertEqual(victim.stop(), 0)
        log = max(victim.folder.glob("*-*"), key=lambda p: p.stat().st_size)
        data = bytearray(log.read_bytes())
        middle = len(data.rstrip(b"\0")) // 2
        data[middle] ^= 0xFF
        log.write_bytes(bytes(data))
        victim.start()
        self.assertEqual(victim.wait(), 1)
        self.assertIn("cannot start", victim.log_text())
        self.assertIn(log.name, victim.log_text())
        self.works()
        data[middle] ^= 0xFF
        log.write_bytes(bytes(data))
        victim.start()
        z = self.works()
        self.eventually("mended, it has caught up", lambda: self.has(victim, z))


if __name__ == "__main__":
    api_case.main()
