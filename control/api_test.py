#!/usr/bin/python3
"""The standard methods, lists, settings and operations through the API of three control nodes, called with grpcio,
the client that most users bring.

usage: api_test.py HOLDFASTD API_FOLDER [unittest arguments]
"""
import pathlib
import sys
import threading
import time

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import api_case  # noqa: E402
from api_case import ApiTest, Code, cloud  # noqa: E402

setUpModule, tearDownModule = api_case.start, api_case.stop


class Zones(ApiTest):
    def test_create_get_list_update_delete(self):
        z = self.zone("first")
        self.assertEqual(len(z.meta.uuid), 32)
        self.assertGreater(z.meta.revision, 0)
        self.assertGreater(z.meta.created_at_ms, 1_600_000_000_000)
        self.assertEqual(self.call("ZoneService/GetZone", uuid=z.meta.uuid), z)
        self.assertEqual(self.call("ZoneService/GetZone", name="first"), z)
        u = self.call(
            "ZoneService/UpdateZone",
            zone={"meta": {"uuid": z.meta.uuid, "name": "renamed", "description": "d"}},
            updateMask="meta.name",
        )
        self.assertEqual((u.meta.name, u.meta.description), ("renamed", ""))
        self.assertGreater(u.meta.revision, z.meta.revision)
        self.assertEqual(len(self.call("ZoneService/ListZones", filter="meta.name = renamed").zones), 1)
        self.call("ZoneService/DeleteZone", name="renamed")
        self.fails(Code.NOT_FOUND, "renamed", "ZoneService/GetZone", name="renamed")
        self.fails(Code.NOT_FOUND, "renamed", "ZoneService/DeleteZone", name="renamed")

    def test_names(self):
        self.fails(Code.INVALID_ARGUMENT, "empty", "ZoneService/CreateZone", zone={"meta": {"name": ""}})
        self.fails(
            Code.INVALID_ARGUMENT,
            "longer than 255",
            "ZoneService/CreateZone",
            zone={"meta": {"name": "x" * 256}},
        )
        self.fails(Code.INVALID_ARGUMENT, "'/'", "ZoneService/CreateZone", zone={"meta": {"name": "a/b"}})
        self.fails(
            Code.INVALID_ARGUMENT,
            "control character",
            "ZoneService/CreateZone",
            zone={"meta": {"name": "a\nb"}},
        )
        self.fails(Code.INVALID_ARGUMENT, "has no zone", "ZoneService/CreateZone")
        longest = self.zone("ü" * 127 + "x")
        self.assertEqual(self.call("ZoneService/GetZone", name=longest.meta.name), longest)
        taken = self.zone("taken")
        self.fails(
            Code.ALREADY_EXISTS,
            ["taken", taken.meta.uuid],
            "ZoneService/CreateZone",
            zone={"meta": {"name": "taken"}},
        )
        other = self.zone()
        self.fails(
            Code.ALREADY_EXISTS,
            taken.meta.uuid,
            "ZoneService/UpdateZone",
            zone={"meta": {"uuid": other.meta.uuid, "name": "taken"}},
        )

    def test_unknown_and_malformed_uuids(self):
        self.fails(Code.INVALID_ARGUMENT, "not-a-uuid", "ZoneService/GetZone", uuid="not-a-uuid")
        self.fails(Code.NOT_FOUND, "0" * 31 + "1", "ZoneService/GetZone", uuid="0" * 31 + "1")
        self.fails(Code.INVALID_ARGUMENT, "uuid or name", "ZoneService/GetZone")
        z = self.zone()
        u = z.meta.uuid
        hyphens = "-".join([u[:8], u[8:12], u[12:16], u[16:20], u[20:]]).upper()
        self.assertEqual(self.call("ZoneService/GetZone", uuid=hyphens), z)
        self.fails(Code.NOT_FOUND, "cluster", "ClusterService/GetCluster", uuid=u)

    def test_old_revision(self):
        z = self.zone()
        fresh = self.call("ZoneService/UpdateZone", zone={"meta": {"uuid": z.meta.uuid, "description": "1"}})
        e = self.fails(
            Code.ABORTED,
            ["changed meanwhile", str(fresh.meta.revision)],
            "ZoneService/UpdateZone",
            zone={"meta": {"uuid": z.meta.uuid, "description": "2", "revision": z.meta.revision}},
        )
        self.assertIn(str(z.meta.revision), e.details())
        self.fails(
            Code.ABORTED,
            "changed meanwhile",
            "ZoneService/DeleteZone",
            uuid=z.meta.uuid,
            revision=z.meta.revision,
        )
        self.call(
            "ZoneService/UpdateZone",
            zone={"meta": {"uuid": z.meta.uuid, "description": "3", "revision": fresh.meta.revision}},
        )

    def test_update_masks(self):
        z = self.zone()
        self.fails(
            Code.INVALID_ARGUMENT,
            ["may not change", "meta.uuid"],
            "ZoneService/UpdateZone",
            zone={"meta": {"uuid": z.meta.uuid}},
            updateMask="meta.uuid",
        )
        self.fails(
            Code.INVALID_ARGUMENT,
            ["no field", "spec.nonsense"],
            "ZoneService/UpdateZone",
            zone={"meta": {"uuid": z.meta.uuid}},
            updateMask="spec.nonsense",
        )
        d = self.call(
            "ZoneService/UpdateZone",
            zone={"meta": {"uuid": z.meta.uuid, "description": "x"}},
            updateMask="description",
        )
        self.assertEqual(d.meta.description, "x")
        d = self.call(
            "ZoneService/UpdateZone", zone={"meta": {"uuid": z.meta.uuid}}, updateMask="meta.description"
        )
        self.assertEqual((d.meta.description, d.meta.name), ("", z.meta.name))

    def test_request_id_answers_once(self):
        first = self.call("ZoneService/CreateZone", requestId="once", zone={"meta": {"name": "once"}})
        again = self.call("ZoneService/CreateZone", requestId="once", zone={"meta": {"name": "once"}})
        self.assertEqual(first, again)
        self.fails(
            Code.INVALID_ARGUMENT,
            "request",
            "ZoneService/CreateZone",
            requestId="once",
            zone={"meta": {"name": "other"}},
        )
        self.call("ZoneService/DeleteZone", requestId="gone", name="once")
        self.call("ZoneService/DeleteZone", requestId="gone", name="once")
        self.fails(Code.NOT_FOUND, "once", "ZoneService/DeleteZone", requestId="gone-2", name="once")
        self.fails(
            Code.INVALID_ARGUMENT,
            "longer than 64",
            "ZoneService/CreateZone",
            requestId="x" * 65,
            zone={"meta": {"name": "never"}},
        )

    def test_same_name_at_once(self):
        leader, codes, lock = cloud().leader(), [], threading.Lock()

        def create():
            try:
                leader.call("ZoneService/CreateZone", zone={"meta": {"name": "race"}})
                code = Code.OK
            except grpc.RpcError as e:
                code = e.code()
            with lock:
                codes.append(code)

        threads = [threading.Thread(target=create) for _ in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(codes.count(Code.OK), 1)
        self.assertEqual(codes.count(Code.ALREADY_EXISTS), 15)


class Lists(ApiTest):
    @classmethod
    def setUpClass(cls):
        cls.zone_uuid = cloud().call("ZoneService/CreateZone", zone={"meta": {"name": "lists"}}).meta.uuid
        for i in range(25):
            cloud().call(
                "L2NetworkService/CreateL2Network",
                l2Network={
                    "meta": {"name": "l2-%02d" % i, "description": "odd" if i % 2 else "even"},
                    "spec": {"zoneUuid": cls.zone_uuid, "physicalInterface": "em%02d" % i},
                },
            )

    def pages(self, filter="", **fields):
        """Of the networks of this class: other tests make some too."""
        token, seen = "", []
        own = 'spec.zone_uuid = "%s"' % self.zone_uuid + (" AND " + filter if filter else "")
        while True:
            r = self.call("L2NetworkService/ListL2Networks", pageToken=token, filter=own, **fields)
            seen.append([x.meta.name for x in r.l2_networks])
            token = r.next_page_token
            if not token:
                return seen

    def filtered(self, text):
        return sum(self.pages(filter=text), [])

    def test_pages(self):
        pages = self.pages(pageSize=10)
        self.assertEqual([len(p) for p in pages], [10, 10, 5])
        self.assertEqual(sum(pages, []), ["l2-%02d" % i for i in range(25)])
        self.assertEqual(self.pages(), [["l2-%02d" % i for i in range(25)]])
        self.fails(Code.INVALID_ARGUMENT, "negative", "L2NetworkService/ListL2Networks", pageSize=-1)
        self.fails(
            Code.INVALID_ARGUMENT, "page_token", "L2NetworkService/ListL2Networks", pageToken="nonsense"
        )
        token = self.call("L2NetworkService/ListL2Networks", pageSize=3).next_page_token
        self.assertNotEqual(token, "")
        self.fails(
            Code.INVALID_ARGUMENT,
            "page_token",
            "L2NetworkService/ListL2Networks",
            pageToken=token,
            filter="meta.description = odd",
        )
        self.fails(Code.INVALID_ARGUMENT, "page_token", "ZoneService/ListZones", pageToken=token)

    def test_token_goes_on_after_its_object_is_gone(self):
        for name in ["a", "b", "c"]:
            self.call(
                "InstanceOfferingService/CreateInstanceOffering",
                instanceOffering={"meta": {"name": " " + name}, "spec": {"cpus": 1, "memoryBytes": 1 << 24}},
            )
        r = self.call("InstanceOfferingService/ListInstanceOfferings", pageSize=2)
        self.assertEqual([x.meta.name for x in r.instance_offerings], [" a", " b"])
        self.call("InstanceOfferingService/DeleteInstanceOffering", name=" b")
        r = self.call(
            "InstanceOfferingService/ListInstanceOfferings", pageSize=2, pageToken=r.next_page_token
        )
        self.assertEqual(r.instance_offerings[0].meta.name, " c")

    def test_filters(self):
        self.assertEqual(len(self.filtered("meta.description = odd")), 12)
        self.assertEqual(self.filtered('meta.name = "l2-07" AND spec.type = L2_NO_VLAN_NETWORK'), ["l2-07"])
        self.assertEqual(self.filtered('(meta.name >= "l2-03" AND meta.name < "l2-05")'), ["l2-03", "l2-04"])
        self.assertEqual(len(self.filtered("spec.physical_interface:em1")), 10)
        self.assertEqual(self.filtered("spec.zone_uuid = nobody"), [])
        self.assertEqual(len(self.pages(pageSize=5, filter="meta.description != odd")), 3)
        for text, words in [
            ("meta.nonsense = 1", "meta.nonsense"),
            ("spec.type = 7", "names of its enum"),
            ("meta.name =", "expected a value"),
            ("meta.revision > x", "a number"),
            ("meta.name = a OR meta.name = b", "expected AND"),
            ('meta.name = "a', "no end"),
        ]:
            self.fails(Code.INVALID_ARGUMENT, words, "L2NetworkService/ListL2Networks", filter=text)


class Operations(ApiTest):
    def running(self):
        return self.call(
            "ImageService/CreateImage",
            image={
                "meta": {"name": self.fresh("image")},
                "spec": {"url": "file:///image", "sha256": "0" * 64, "format": "RAW"},
            },
        )

    def test_wait_ends_at_the_deadline_with_the_operation_as_it_is(self):
        op = self.running()
        began = time.monotonic()
        seen = self.call("OperationService/WaitOperation", timeout=2, uuid=op.meta.uuid)
        self.assertEqual((seen.meta.uuid, seen.state), (op.meta.uuid, 1))
        self.assertGreater(time.monotonic() - began, 1)

    def test_cancel(self):
        op = self.running()
        self.assertTrue(self.call("OperationService/CancelOperation", uuid=op.meta.uuid).cancel_requested)
        self.fails(Code.NOT_FOUND, "operation", "OperationService/CancelOperation", uuid="c" * 32)
        self.fails(Code.NOT_FOUND, "operation", "OperationService/WaitOperation", uuid="c" * 32)

    def test_list(self):
        op = self.running()
        r = self.call("OperationService/ListOperations", filter='meta.uuid = "%s"' % op.meta.uuid)
        self.assertEqual(r.operations[0].target_uuid, op.target_uuid)


class Settings(ApiTest):
    def test_read_and_change(self):
        s = self.call("GlobalSettingService/GetGlobalSetting", name="vm.cpuOverProvisioning")
        self.assertEqual((s.value, s.default_value, s.type), ("10", "10", "int"))
        u = self.call(
            "GlobalSettingService/UpdateGlobalSetting",
            globalSetting={"meta": {"name": s.meta.name}, "value": "4"},
        )
        self.assertEqual(u.value, "4")
        for name, value, words in [
            ("vm.cpuOverProvisioning", "x", "not a number"),
            ("vm.cpuOverProvisioning", "0", "between"),
            ("ha.enable", "yes", "true or false"),
            ("host.reservedMemory", "1X", "size"),
            ("vm.cpuMode", "fast", "one of"),
        ]:
            self.fails(
                Code.INVALID_ARGUMENT,
                words,
                "GlobalSettingService/UpdateGlobalSetting",
                globalSetting={"meta": {"name": name}, "value": value},
            )
        self.fails(
            Code.FAILED_PRECONDITION,
            "itself",
            "GlobalSettingService/UpdateGlobalSetting",
            globalSetting={"meta": {"name": "cluster.id"}, "value": "x"},
        )
        self.fails(Code.NOT_FOUND, "no.such", "GlobalSettingService/GetGlobalSetting", name="no.such")

    def test_cluster_id_is_that_of_every_node(self):
        ids = {n.call("ControlService/GetStatus").cluster_id for n in cloud().nodes if n.process}
        self.assertEqual(len(ids), 1)
        self.assertEqual(len(ids.pop()), 32)


if __name__ == "__main__":
    api_case.main()
