#!/usr/bin/python3
"""Runs the echo server and calls it with grpcio, the client that most users bring.

usage: grpc_interop_test.py ECHO_SERVER API_FOLDER
"""
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc
from google.protobuf import descriptor_pb2

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER, API = sys.argv[1:3]
GEN = tempfile.TemporaryDirectory()
subprocess.check_call([
    "protoc", "-I" + HERE + "/testdata", "-I" + API, "--python_out=" + GEN.name, "echo.proto",
    "grpc/health/v1/health.proto", "grpc/reflection/v1/reflection.proto", "grpc/reflection/v1alpha/reflection.proto"])
sys.path.insert(0, GEN.name)
import echo_pb2  # noqa: E402


def load(path, name):
    """A generated module whose folder ('grpc') is taken by the grpc package itself."""
    import importlib.util
    spec = importlib.util.spec_from_file_location(name, os.path.join(GEN.name, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


health_pb2 = load("grpc/health/v1/health_pb2.py", "hf_health_pb2")
reflection_v1 = load("grpc/reflection/v1/reflection_pb2.py", "hf_reflection_v1")
reflection_v1alpha = load("grpc/reflection/v1alpha/reflection_pb2.py", "hf_reflection_v1alpha")

ECHO = "/holdfast.rpctest.Echo/"
LONG_S = 60  # a deadline that is not meant to pass


class Server:
    def __init__(self, *args):
        self.process = subprocess.Popen([SERVER, "127.0.0.1:0", *args], stdout=subprocess.PIPE, text=True)
        self.address = "127.0.0.1:" + self.process.stdout.readline().split()[1]

    def stop(self):
        """Ends the server; returns how many calls were cancelled."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, self.process.returncode
        return int(out.split()[1])


def method(channel, name, kind="unary_unary", request=echo_pb2.EchoRequest, reply=echo_pb2.EchoReply, raw=False):
    return getattr(channel, kind)(
        name if name.startswith("/") else ECHO + name,
        request_serializer=(lambda b: b) if raw else request.SerializeToString,
        response_deserializer=reply.FromString)


class Interop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.channel = grpc.insecure_channel(
            cls.server.address, options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)])

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.server.stop()

    def echo(self, timeout=LONG_S, metadata=None, **fields):
        return method(self.channel, "Echo")(echo_pb2.EchoRequest(**fields), timeout=timeout, metadata=metadata)

    def fails(self, call):
        with self.assertRaises(grpc.RpcError) as e:
            call()
        return e.exception

    def test_unary(self):
        r = self.echo(text="grüß dich", metadata=[("x-test", "one")])
        self.assertEqual((r.text, r.metadata, r.peer_name), ("grüß dich", "one", ""))
        self.assertTrue(r.peer_address.startswith("127.0.0.1:"))
        self.assertTrue(LONG_S * 500 < r.remaining_ms <= LONG_S * 1010)  # grpcio rounds up
        self.assertEqual(self.echo(timeout=None, text="x").remaining_ms, -1)

    def test_empty_request(self):
        self.assertEqual(self.echo().text, "")

    def test_many_at_once(self):
        echo = method(self.channel, "Echo")
        calls = [echo.future(echo_pb2.EchoRequest(text=str(i)), timeout=LONG_S) for i in range(2000)]
        self.assertEqual([c.result().text for c in calls], [str(i) for i in range(2000)])

    def test_error_with_details(self):
        e = self.fails(lambda: self.echo(error_code=15, text="no leader: 100 % schlecht\nzweite Zeile", trailer="10.0.0.2:7480"))
        self.assertEqual(e.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(e.details(), "no leader: 100 % schlecht\nzweite Zeile")
        trailers = dict(e.trailing_metadata())
        self.assertEqual(trailers["x-test"], "10.0.0.2:7480")
        self.assertIn(b"NOT_LEADER", trailers["grpc-status-details-bin"])
        self.assertIn(b"type.googleapis.com/google.rpc.ErrorInfo", trailers["grpc-status-details-bin"])

    def test_long_error_is_cut(self):
        e = self.fails(lambda: self.echo(error_code=3, text="ü" * 10000))
        self.assertEqual(e.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(e.details(), "ü" * 512)

    def test_unknown_method_and_service(self):
        for path in (ECHO + "Nope", "/no.Such/Thing", "/", "/x"):
            e = self.fails(lambda p=path: method(self.channel, p)(echo_pb2.EchoRequest(), timeout=LONG_S))
            self.assertEqual(e.code(), grpc.StatusCode.UNIMPLEMENTED)
            self.assertIn(path, e.details())

    def test_malformed(self):
        e = self.fails(lambda: method(self.channel, "Echo", raw=True)(b"\x0a\xff\xff\xff", timeout=LONG_S))
        self.assertEqual(e.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("holdfast.rpctest.EchoRequest", e.details())

    def test_not_utf8(self):
        e = self.fails(lambda: method(self.channel, "Echo", raw=True)(b"\x0a\x02a\xff", timeout=LONG_S))
        self.assertEqual(e.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("'text'", e.details())

    def test_longest_deadline(self):
        self.assertGreater(self.echo(timeout=1e8).remaining_ms, 1e10)

    def test_big_messages(self):
        data = os.urandom(4 * 1000 * 1000)
        self.assertEqual(self.echo(data=data).data, data)

    def test_oversized(self):
        e = self.fails(lambda: self.echo(data=b"x" * (5 << 20)))
        self.assertEqual(e.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertIn("4194304", e.details())
        self.assertEqual(self.echo(text="still here").text, "still here")

    def test_big_metadata(self):
        e = self.fails(lambda: self.echo(metadata=[("x-test", "y" * 40000)]))
        self.assertIn(e.code(), (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL,
                                 grpc.StatusCode.UNAVAILABLE))
        self.assertEqual(self.echo(metadata=[("x-test", "y" * 4000)]).metadata, "y" * 4000)

    def test_gzip(self):
        data = b"squeeze " * 100000
        r = method(self.channel, "Echo")(echo_pb2.EchoRequest(data=data), compression=grpc.Compression.Gzip)
        self.assertEqual(r.data, data)
        e = self.fails(lambda: method(self.channel, "Echo")(
            echo_pb2.EchoRequest(data=bytes(6 << 20)), compression=grpc.Compression.Gzip))
        self.assertEqual(e.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        e = self.fails(lambda: method(self.channel, "Echo")(
            echo_pb2.EchoRequest(data=data), compression=grpc.Compression.Deflate))
        self.assertEqual(e.code(), grpc.StatusCode.UNIMPLEMENTED)

    def cancelled(self):
        return self.echo().cancelled

    def wait_cancelled(self, more_than):
        until = time.monotonic() + LONG_S
        while self.cancelled() <= more_than:
            self.assertLess(time.monotonic(), until, "the server never heard of the cancellation")
            time.sleep(0.02)

    def test_deadline(self):
        before = self.cancelled()
        e = self.fails(lambda: self.echo(timeout=0.2, sleep_ms=LONG_S * 1000))
        self.assertEqual(e.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.wait_cancelled(before)

    def test_cancel(self):
        before = self.cancelled()
        call = method(self.channel, "Stream", "unary_stream")(echo_pb2.EchoRequest(size=1000), timeout=LONG_S)
        self.assertEqual(next(call).seq, 1)
        call.cancel()
        self.wait_cancelled(before)

    def test_server_stream(self):
        call = method(self.channel, "Stream", "unary_stream")(
            echo_pb2.EchoRequest(count=3000, size=5000), timeout=LONG_S)
        self.assertEqual([r.seq for r in call], list(range(1, 3001)))
        self.assertEqual(call.code(), grpc.StatusCode.OK)

    def test_slow_reader(self):
        call = method(self.channel, "Stream", "unary_stream")(
            echo_pb2.EchoRequest(count=400, size=50000), timeout=LONG_S)
        for i, r in enumerate(call):
            self.assertEqual(r.seq, i + 1)
            if i % 100 == 0:
                time.sleep(0.2)

    def test_client_stream(self):
        requests = (echo_pb2.EchoRequest(data=bytes(1000)) for _ in range(5000))
        r = method(self.channel, "Collect", "stream_unary")(requests, timeout=LONG_S)
        self.assertEqual((r.seq, r.text), (5000, "5000000"))

    def test_chat(self):
        requests = (echo_pb2.EchoRequest(text=str(i), data=bytes(20000)) for i in range(500))
        call = method(self.channel, "Chat", "stream_stream")(requests, timeout=LONG_S)
        self.assertEqual([r.text for r in call], [str(i) for i in range(500)])

    def test_one_request_only(self):
        check = method(self.channel, "/grpc.health.v1.Health/Check", "stream_unary",
                       health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)
        e = self.fails(lambda: check(iter([]), timeout=LONG_S))
        self.assertEqual(e.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_health(self):
        check = method(self.channel, "/grpc.health.v1.Health/Check", "unary_unary",
                       health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)
        answers = [check(health_pb2.HealthCheckRequest(service=s), timeout=LONG_S).status
                   for s in ("", "holdfast.rpctest.Echo", "holdfast.rpctest.Asleep")]
        self.assertEqual(answers, [1, 1, 2])
        e = self.fails(lambda: check(health_pb2.HealthCheckRequest(service="nope"), timeout=LONG_S))
        self.assertEqual(e.code(), grpc.StatusCode.NOT_FOUND)
        watch = method(self.channel, "/grpc.health.v1.Health/Watch", "unary_stream",
                       health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)
        call = watch(health_pb2.HealthCheckRequest(service="nope"), timeout=LONG_S)
        self.assertEqual(next(call).status, 3)
        call.cancel()

    def test_reflection(self):
        for version, pb in (("v1", reflection_v1), ("v1alpha", reflection_v1alpha)):
            request = pb.ServerReflectionRequest
            reflect = method(self.channel, f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                             "stream_stream", request, pb.ServerReflectionResponse)
            asked = [request(list_services=""), request(file_containing_symbol="holdfast.v1.ZoneService"),
                     request(file_containing_symbol="holdfast.v1.HostStatus.State"),
                     request(file_by_filename="holdfast/v1/common.proto"), request(file_by_filename="nope.proto")]
            a = list(reflect(iter(asked), timeout=LONG_S))
            services = [s.name for s in a[0].list_services_response.service]
            self.assertIn("holdfast.rpctest.Echo", services)
            self.assertIn(f"grpc.reflection.{version}.ServerReflection", services)
            self.assertEqual(a[1].original_request, asked[1])
            names = [descriptor_pb2.FileDescriptorProto.FromString(
                x.file_descriptor_response.file_descriptor_proto[0]).name for x in a[1:4]]
            self.assertEqual(names, ["holdfast/v1/infra.proto"] * 2 + ["holdfast/v1/common.proto"])
            self.assertEqual(a[4].error_response.error_code, grpc.StatusCode.NOT_FOUND.value[0])

    def test_graceful_end(self):
        server = Server()
        channel = grpc.insecure_channel(server.address)
        call = method(channel, "Echo").future(echo_pb2.EchoRequest(text="last", sleep_ms=300), timeout=LONG_S)
        method(channel, "Echo")(echo_pb2.EchoRequest(), timeout=LONG_S)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(call.result().text, "last")
        channel.close()


class RawHttp2:
    """Just enough HTTP/2 to be a bad client."""
    DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
    END_STREAM, END_HEADERS = 1, 4

    def __init__(self, address, preface=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=LONG_S)
        self.buffer = b""
        self.socket.sendall(preface)

    def send(self, kind, flags, stream, payload=b""):
        self.socket.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def request(self, stream, flags=END_HEADERS, **headers):
        """Headers as literals that are never indexed; in names, __ is a colon and _ a hyphen."""
        fields = {"__method": "POST", "__scheme": "http", "__path": "/grpc.health.v1.Health/Check", "__authority": "x",
                  "te": "trailers", "content_type": "application/grpc", **headers}
        text = lambda t: self.length(len(t)) + t.encode()  # noqa: E731
        block = b"".join(b"\x10" + text(k.replace("__", ":").replace("_", "-")) + text(v) for k, v in fields.items())
        self.send(self.HEADERS, flags, stream, block)

    @staticmethod
    def length(n):
        if n < 127:
            return bytes([n])
        out, n = b"\x7f", n - 127
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    def frames(self):
        """Until the server closes the connection."""
        while True:
            while len(self.buffer) >= 9 and len(self.buffer) >= 9 + int.from_bytes(self.buffer[:3], "big"):
                end = 9 + int.from_bytes(self.buffer[:3], "big")
                frame, self.buffer = self.buffer[:end], self.buffer[end:]
                yield frame[3], frame[4], int.from_bytes(frame[5:9], "big"), frame[9:]
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return
            self.buffer += more

    def answer(self, stream):
        """The header block that ends the stream."""
        for kind, flags, on, payload in self.frames():
            if kind == self.HEADERS and on == stream and flags & self.END_STREAM:
                return payload
        raise AssertionError("the connection ended without an answer")


class BadClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def tearDown(self):
        with grpc.insecure_channel(self.server.address) as channel:
            self.assertEqual(method(channel, "Echo")(echo_pb2.EchoRequest(text="well"), timeout=LONG_S).text, "well")

    def client(self):
        c = RawHttp2(self.server.address)
        c.send(c.SETTINGS, 0, 0)
        c.send(c.SETTINGS, 1, 0)  # acknowledges the server's, whose windows then hold
        self.addCleanup(c.socket.close)
        return c

    def test_not_http2(self):
        c = RawHttp2(self.server.address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertNotIn(RawHttp2.HEADERS, [f[0] for f in c.frames()])
        c.socket.close()

    def test_http_refusals(self):
        for status, headers in ((b"415", {"content_type": "application/json"}),
                                (b"415", {"content_type": "application/grpcx"}),
                                (b"415", {"content_type": "application/grpc+json"}),
                                (b"405", {"__method": "GET"})):
            c = self.client()
            c.request(1, c.END_HEADERS | c.END_STREAM, **headers)
            self.assertIn(b"\x48\x03" + status, c.answer(1))  # ":status" as a literal

    def test_broken_requests(self):
        """Each gets an answer, and none is the handler's."""
        c = self.client()
        bodies = (b"", b"\0\0", b"\0\0\0\0\5abc", b"\2\0\0\0\0", b"\1\0\0\0\0", b"\0\xff\xff\xff\xff", b"\0\0\0\0\1\xff")
        for i, body in enumerate(bodies):
            c.request(2 * i + 1)
            c.send(c.DATA, c.END_STREAM, 2 * i + 1, body)
            c.answer(2 * i + 1)
        for i, timeout in enumerate(("x", "5", "-1S", "1234567890S")):
            c.request(101 + 2 * i, grpc_timeout=timeout)
            c.answer(101 + 2 * i)

    def test_endless_deadline(self):
        c = self.client()
        c.request(1, grpc_timeout="99999999H")
        c.send(c.DATA, c.END_STREAM, 1, bytes(5))
        c.answer(1)

    def test_many_unfinished_messages(self):
        """Each call promises 4 MiB and sends what its window allows: what a connection may hold has a limit."""
        c = self.client()
        for i in range(300):
            c.request(2 * i + 1, **{"__path": ECHO + "Echo"})
            c.send(c.DATA, 0, 2 * i + 1, b"\0\0\x40\0\0")
            for _ in range(16):
                c.send(c.DATA, 0, 2 * i + 1, bytes(16000))
        refused = next(on for kind, flags, on, _ in c.frames() if kind == c.HEADERS and flags & c.END_STREAM)
        self.assertGreater(refused, 2 * 200)

    def test_deadline_zero(self):
        c = self.client()
        c.request(1, grpc_timeout="0m")
        c.answer(1)

    def test_endless_headers(self):
        c = self.client()
        try:
            c.request(1, 0, x="y" * 16000)
            for _ in range(1000):
                c.send(9, 0, 1, b"\x10\x01x" + c.length(16000) + b"y" * 16000)  # CONTINUATION without an end
        except (BrokenPipeError, ConnectionResetError):
            return
        self.assertEqual([f for f in c.frames() if f[0] == c.HEADERS], [])

    def test_rapid_reset(self):
        c = self.client()
        try:
            for i in range(20000):
                c.request(2 * i + 1)
                c.send(c.RST_STREAM, 0, 2 * i + 1, b"\0\0\0\x08")
        except (BrokenPipeError, ConnectionResetError):
            return
        self.assertIn(c.GOAWAY, [f[0] for f in c.frames()])

    def test_random_bytes(self):
        rng = random.Random(1)
        for _ in range(300):
            c = self.client()
            c.request(1)
            try:
                for _ in range(rng.randrange(5)):
                    c.send(rng.randrange(12), rng.randrange(256), rng.randrange(4), rng.randbytes(rng.randrange(200)))
                c.socket.shutdown(socket.SHUT_WR)
                list(c.frames())
            except OSError:
                pass
            c.socket.close()


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        run = lambda *a: subprocess.check_call(  # noqa: E731
            ["openssl", *a], cwd=cls.dir.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for ca in ("ca", "other"):
            run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=" + ca, "-keyout", ca + ".key", "-out", ca + ".crt")
        for name, ca, san in (("server", "ca", "IP:127.0.0.1"), ("client", "ca", "URI:spiffe://holdfast/host/h1"),
                              ("stranger", "other", "URI:spiffe://holdfast/host/h1")):
            run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                "-addext", "subjectAltName=" + san, "-keyout", name + ".key", "-out", name + ".csr")
            run("x509", "-req", "-in", name + ".csr", "-CA", ca + ".crt", "-CAkey", ca + ".key", "-CAcreateserial",
                "-days", "2", "-copy_extensions", "copy", "-out", name + ".crt")

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def call(self, server, client=None, size=0):
        credentials = grpc.ssl_channel_credentials(
            self.read("ca.crt"), *((self.read(client + ".key"), self.read(client + ".crt")) if client else ()))
        with grpc.secure_channel(server.address, credentials) as channel:
            return method(channel, "Echo")(echo_pb2.EchoRequest(text="s", data=bytes(size)), timeout=20)

    def test_tls(self):
        server = Server(self.path("server.crt"), self.path("server.key"))
        self.assertEqual(self.call(server).peer_name, "")
        self.assertEqual(len(self.call(server, size=3 << 20).data), 3 << 20)
        server.stop()

    def test_mutual_tls(self):
        server = Server(self.path("server.crt"), self.path("server.key"), self.path("ca.crt"))
        self.assertEqual(self.call(server, "client").peer_name, "client,spiffe://holdfast/host/h1")
        for nobody in (None, "stranger"):
            with self.assertRaises(grpc.RpcError):
                self.call(server, nobody)
        server.stop()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
