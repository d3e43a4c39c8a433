#!/usr/bin/python3
"""Files of images that are uploaded: the three calls at real control nodes, nodes that end in the middle, and the CLI.

usage: api_upload_test.py HOLDFASTD API_FOLDER [unittest arguments]
"""
import base64
import hashlib
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import time

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import api_case  # noqa: E402
import api_client  # noqa: E402
from api_case import ApiTest, Code, cloud  # noqa: E402
from api_client import PATIENCE_S  # noqa: E402

MIB = 1 << 20
KEY = "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="
BEGIN, PUT, FINISH = (f"ImageService/{verb}ImageUpload" for verb in ("Begin", "Put", "Finish"))


def setUpModule():
    api_client.PROTOS.append("host_link")
    api_case.start()


tearDownModule = api_case.stop


class Upload(ApiTest):
    def setUp(self):
        ceph = {"monitors": ["10.255.255.1"], "user": "admin", "key": KEY}
        spec = {"zoneUuid": self.zone().meta.uuid, "type": "CEPH", "ceph": ceph}
        self.server = self.create("ImageServerService", "image_server", spec)
        self.content = os.urandom(2 * MIB + 5)

    def spec(self, **more):
        return {"uploadBytes": len(self.content), "sha256": hashlib.sha256(self.content).hexdigest(), "format": "RAW",
                "imageServerUuid": self.server.meta.uuid, **more}

    def image(self, **more):
        """Its UUID."""
        image = {"meta": {"name": self.fresh("up")}, "spec": self.spec(**more)}
        return self.call("ImageService/CreateImage", image=image).target_uuid

    def get(self, uuid):
        return cloud().call("ImageService/GetImage", patience=PATIENCE_S, uuid=uuid)

    def begin(self, uuid, **more):
        """The node that takes the file."""
        begun = cloud().call(BEGIN, patience=PATIENCE_S, requestId=self.fresh("begin"), uuid=uuid, **more).status.upload
        return cloud().by_api(begun.address)

    def put(self, node, uuid, offset, data=b""):
        return node.call(PUT, uuid=uuid, offset=offset, data=base64.b64encode(data).decode())

    def eventually(self, what, condition):
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                value = condition()
            except grpc.RpcError:
                value = None
            if value:
                return value
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)

    def put_rest(self, node, uuid):
        """Until the node has all and has checked it."""
        def whole():
            state = self.put(node, uuid, 0)
            if state.bytes < len(self.content):
                state = self.put(node, uuid, state.bytes, self.content[state.bytes:state.bytes + MIB])
            return state.whole
        self.eventually("the whole file", whole)

    def fetch_note(self, uuid):
        return next((c.message for c in self.get(uuid).status.conditions if c.type == "Fetch"), "")

    def spooled(self, node, uuid):
        return (node.folder / "uploads" / uuid).exists()


class Calls(Upload):
    def test_what_is_refused(self):
        for change, words in [
            ({"imageServerUuid": ""}, ["spec.image_server_uuid", "Name an image server"]),
            ({"url": "http://x/y"}, "from the one or by the other"),
            ({"uploadBytes": 1 << 50}, "more than"),
            ({"sha256": ""}, "spec.sha256 is missing"),
        ]:
            self.fails(Code.INVALID_ARGUMENT, words, "ImageService/CreateImage",
                       image={"meta": {"name": "refused"}, "spec": self.spec(**change)})
        fetched = self.call("ImageService/CreateImage", image={"meta": {"name": self.fresh("url")}, "spec": {
            "url": "http://x/y", "sha256": "ab" * 32, "format": "RAW"}}).target_uuid
        self.fails(Code.FAILED_PRECONDITION, "fetched from a URL", BEGIN, uuid=fetched)
        image = self.image()
        self.assertEqual(self.get(image).status.state, 4)
        self.fails(Code.FAILED_PRECONDITION, "begin with it", FINISH, uuid=image)
        with self.assertRaises(grpc.RpcError) as e:
            self.put(cloud().leader(), image, 0)
        self.assertIn("no upload", e.exception.details())

    def test_parts_arrive_once(self):
        image = self.image()
        node = self.begin(image)
        self.assertEqual(self.put(node, image, 0, self.content[:MIB]).bytes, MIB)
        self.assertEqual(self.put(node, image, 0, self.content[:MIB]).bytes, MIB)   # once more
        self.assertEqual(self.put(node, image, 2 * MIB, b"early").bytes, MIB)
        for other in cloud().followers():
            with self.assertRaises(grpc.RpcError) as e:
                self.put(other, image, MIB, b"x")
            self.assertIn("keeps the upload", e.exception.details())
        self.assertEqual(self.begin(image, bytes=MIB), node)
        self.eventually("a word on how far it is", lambda: "50 % of 3 MiB" in self.fetch_note(image))
        self.put_rest(node, image)
        with self.assertRaises(grpc.RpcError) as e:
            self.put(node, image, len(self.content), b"x")
        self.assertIn("longer than the", e.exception.details())
        operation = self.call(FINISH, uuid=image)
        self.assertEqual((operation.verb, operation.target_uuid), ("UploadImage", image))
        self.assertEqual(self.get(image).status.state, 1)
        self.assertNotIn("have arrived", self.fetch_note(image))
        self.call(FINISH, uuid=image)
        self.call("ImageService/DeleteImage", uuid=image)
        self.eventually("the end of its file", lambda: not self.spooled(node, image))

    def test_a_wrong_checksum(self):
        image = self.image(sha256="ab" * 32)
        node = self.begin(image)
        said = []

        def refused():
            try:
                state = self.put(node, image, 0)
                self.put(node, image, state.bytes, self.content[state.bytes:state.bytes + MIB])
            except grpc.RpcError as e:
                said.append((e.code(), e.details()))
            return said
        code, words = self.eventually("a refusal", refused)[0]
        self.assertEqual(code, Code.INVALID_ARGUMENT)
        self.assertIn(hashlib.sha256(self.content).hexdigest(), words)
        self.assertEqual(self.put(node, image, 0).bytes, 0)
        self.assertFalse(self.spooled(node, image))


class Hosts(Upload):
    """A host reads what a node keeps."""

    def attach(self):
        """A host daemon that says hello; its UUID and secret."""
        uuid, secret = self.fresh("").strip("-").rjust(32, "a"), os.urandom(32)
        path, request, answer = api_client.method("HostLinkService/Attach")
        hello = request()
        hello.hello.host_uuid, hello.hello.secret, hello.hello.boot_id = uuid, secret, "boot"
        hello.hello.management_ip, hello.hello.clean = "10.0.0.9", True
        says = queue.Queue()
        says.put(hello)
        stream = cloud().leader().channel.stream_stream(
            path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString)(iter(says.get, None))
        next(stream)
        self.addCleanup(lambda: (says.put(None), stream.cancel()))
        return uuid, secret

    def read(self, node, uuid, secret, image, offset):
        return node.call("HostLinkService/ReadUpload", hostUuid=uuid, secret=base64.b64encode(secret).decode(), imageUuid=image,
                         offset=offset)

    def test_only_hosts_read_it(self):
        image = self.image()
        node = self.begin(image)
        uuid, secret = self.attach()
        cluster = self.create("ClusterService", "cluster", {"zoneUuid": self.zone().meta.uuid})
        for known in (False, True):
            with self.assertRaises(grpc.RpcError) as e:
                self.read(node, uuid, secret if not known else b"other", image, 0)
            self.assertEqual(e.exception.code(), Code.PERMISSION_DENIED)
            if not known:
                self.call("HostService/CreateHost", host={"meta": {"name": self.fresh("host"), "uuid": uuid},
                                                          "spec": {"clusterUuid": cluster.meta.uuid}})
        self.put(node, image, 0, self.content[:MIB])
        with self.assertRaises(grpc.RpcError) as e:
            self.read(node, uuid, secret, image, 0)
        self.assertIn("have arrived", e.exception.details())
        self.put_rest(node, image)
        got = b""
        while len(got) < len(self.content):
            part = self.read(node, uuid, secret, image, len(got))
            self.assertEqual(part.total_bytes, len(self.content))
            got += part.data
        self.assertEqual(got, self.content)
        self.assertEqual(self.read(node, uuid, secret, image, len(got)).data, b"")


class Zz_Failures(Upload):
    """Last: they end nodes."""

    def test_a_node_that_ends_goes_on(self):
        image = self.image()
        node = self.begin(image)
        self.put(node, image, 0, self.content[:MIB])
        node.kill()
        self.assertEqual(self.begin(image), node)     # another one leads, and sends there
        node.start()
        self.assertEqual(self.eventually("the node", lambda: self.put(node, image, 0)).bytes, MIB)
        self.put_rest(node, image)
        self.assertEqual(node.stop(), 0)
        node.start()
        self.eventually("the file, checked once more", lambda: self.put(node, image, 0).whole)
        cloud().call(FINISH, patience=PATIENCE_S, requestId=self.fresh("finish"), uuid=image)

    def test_a_lost_node_is_replaced(self):
        image = self.image()
        node = self.begin(image)
        self.put(node, image, 0, self.content[:MIB])
        node.kill()
        other = self.begin(image, lostNodeId=node.number)
        self.assertIsNot(other, node)
        self.assertEqual(self.begin(image, lostNodeId=node.number), other)
        self.assertEqual(self.put(other, image, 0).bytes, 0)
        node.start()
        self.eventually("the end of what nobody wants", lambda: not self.spooled(node, image))
        self.put_rest(other, image)


class Zz_Cli(Upload):
    """The program itself, as a person uses it."""

    def setUp(self):
        super().setUp()
        self.dir = tempfile.TemporaryDirectory(prefix="holdfast-upload-")
        self.addCleanup(self.dir.cleanup)
        self.file = pathlib.Path(self.dir.name) / "disk.raw"

    def start(self, *words):
        nodes = ",".join(n.api for n in cloud().nodes)
        return subprocess.Popen([pathlib.Path(sys.argv[1]).with_name("holdfast"), "--control", nodes, "--timeout", "60", *words],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)

    def run_cli(self, *words):
        p = self.start(*words)
        out, _ = p.communicate(timeout=120)
        return p.returncode, out

    def create(self, *more, **start):
        if start or more and more[0] == "ImageServerService":
            return super().create(*more, **start)
        self.name = self.fresh("cli")
        return ("image", "create", self.name, "--upload", str(self.file), "--format", "raw", "--image-server",
                self.server.meta.uuid, *more)

    def test_a_file_is_uploaded(self):
        self.file.write_bytes(self.content)
        code, said = self.run_cli("image", "create", "nothing", "--format", "raw")
        self.assertEqual((code, "--url or --upload" in said), (2, True))
        code, said = self.run_cli(*self.create("--sha256", "00" * 32))
        self.assertEqual(code, 1)
        self.assertIn(f"has the checksum {hashlib.sha256(self.content).hexdigest()}, not 00", said)
        code, said = self.run_cli("--no-wait", *self.create())
        self.assertEqual((code, "%" in said), (0, False), said)   # no progress where nobody looks at a terminal
        image = self.call("ImageService/GetImage", name=self.name)
        self.assertEqual((image.status.state, image.spec.sha256), (1, hashlib.sha256(self.content).hexdigest()))
        node = cloud().by_api(image.status.upload.address)
        self.assertEqual((node.folder / "uploads" / image.meta.uuid).read_bytes(), self.content)
        self.file.write_bytes(b"another")
        code, said = self.run_cli("image", "upload", self.name, str(self.file))
        self.assertEqual(code, 1)
        self.assertIn("it was made for a file of", said)

    def test_it_goes_on_elsewhere_when_its_node_is_lost(self):
        self.content = os.urandom(48 * MIB)
        self.file.write_bytes(self.content)
        words = self.create()
        p = self.start("--no-wait", *words)

        def under_way():
            image = self.call("ImageService/GetImage", name=self.name)
            node = cloud().by_api(image.status.upload.address) if image.status.upload.address else None
            return (image.meta.uuid, node) if node and self.spooled(node, image.meta.uuid) else None
        uuid, node = self.eventually("the upload", under_way)
        p.kill()
        p.communicate()
        both = [self.start("--no-wait", "image", "upload", self.name, str(self.file)) for _ in range(2)]
        node.kill()
        for p in both:
            out, _ = p.communicate(timeout=120)
            self.assertEqual(p.returncode, 0, out)
        kept = cloud().by_api(self.get(uuid).status.upload.address)
        if kept is not node:    # else it had all before it ended
            self.assertEqual((kept.folder / "uploads" / uuid).stat().st_size, len(self.content))
        node.start()


if __name__ == "__main__":
    api_case.main()
