#!/usr/bin/python3
"""Every kind of object through the API of three control nodes, called with grpcio, the client that most users bring.

usage: api_test.py HOLDFASTD API_FOLDER [unittest arguments]
"""
import pathlib
import sys
import threading
import time

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import api_case  # noqa: E402
from api_case import ApiTest, Code, GIB, cloud  # noqa: E402

setUpModule, tearDownModule = api_case.start, api_case.stop


class Zones(ApiTest):
    def test_create_get_list_update_delete(self):
        z = self.zone("first")
        self.assertEqual(len(z.meta.uuid), 32)
        self.assertGreater(z.meta.revision, 0)
        self.assertGreater(z.meta.created_at_ms, 1_600_000_000_000)
        self.assertEqual(self.call("ZoneService/GetZone", uuid=z.meta.uuid), z)
        self.assertEqual(self.call("ZoneService/GetZone", name="first"), z)
        u = self.call("ZoneService/UpdateZone", zone={"meta": {"uuid": z.meta.uuid, "name": "renamed", "description": "d"}},
                      updateMask="meta.name")
        self.assertEqual((u.meta.name, u.meta.description), ("renamed", ""))
        self.assertGreater(u.meta.revision, z.meta.revision)
        self.assertEqual(len(self.call("ZoneService/ListZones", filter="meta.name = renamed").zones), 1)
        self.call("ZoneService/DeleteZone", name="renamed")
        self.fails(Code.NOT_FOUND, "renamed", "ZoneService/GetZone", name="renamed")
        self.fails(Code.NOT_FOUND, "renamed", "ZoneService/DeleteZone", name="renamed")

    def test_names(self):
        self.fails(Code.INVALID_ARGUMENT, "empty", "ZoneService/CreateZone", zone={"meta": {"name": ""}})
        self.fails(Code.INVALID_ARGUMENT, "longer than 255", "ZoneService/CreateZone", zone={"meta": {"name": "x" * 256}})
        self.fails(Code.INVALID_ARGUMENT, "'/'", "ZoneService/CreateZone", zone={"meta": {"name": "a/b"}})
        self.fails(Code.INVALID_ARGUMENT, "control character", "ZoneService/CreateZone", zone={"meta": {"name": "a\nb"}})
        self.fails(Code.INVALID_ARGUMENT, "has no zone", "ZoneService/CreateZone")
        longest = self.zone("ü" * 127 + "x")
        self.assertEqual(self.call("ZoneService/GetZone", name=longest.meta.name), longest)
        taken = self.zone("taken")
        self.fails(Code.ALREADY_EXISTS, ["taken", taken.meta.uuid], "ZoneService/CreateZone", zone={"meta": {"name": "taken"}})
        other = self.zone()
        self.fails(Code.ALREADY_EXISTS, taken.meta.uuid, "ZoneService/UpdateZone",
                   zone={"meta": {"uuid": other.meta.uuid, "name": "taken"}})

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
        e = self.fails(Code.ABORTED, ["changed meanwhile", str(fresh.meta.revision)], "ZoneService/UpdateZone",
                       zone={"meta": {"uuid": z.meta.uuid, "description": "2", "revision": z.meta.revision}})
        self.assertIn(str(z.meta.revision), e.details())
        self.fails(Code.ABORTED, "changed meanwhile", "ZoneService/DeleteZone", uuid=z.meta.uuid, revision=z.meta.revision)
        self.call("ZoneService/UpdateZone",
                  zone={"meta": {"uuid": z.meta.uuid, "description": "3", "revision": fresh.meta.revision}})

    def test_update_masks(self):
        z = self.zone()
        self.fails(Code.INVALID_ARGUMENT, ["may not change", "meta.uuid"], "ZoneService/UpdateZone",
                   zone={"meta": {"uuid": z.meta.uuid}}, updateMask="meta.uuid")
        self.fails(Code.INVALID_ARGUMENT, ["no field", "spec.nonsense"], "ZoneService/UpdateZone",
                   zone={"meta": {"uuid": z.meta.uuid}}, updateMask="spec.nonsense")
        d = self.call("ZoneService/UpdateZone", zone={"meta": {"uuid": z.meta.uuid, "description": "x"}}, updateMask="description")
        self.assertEqual(d.meta.description, "x")
        d = self.call("ZoneService/UpdateZone", zone={"meta": {"uuid": z.meta.uuid}}, updateMask="meta.description")
        self.assertEqual((d.meta.description, d.meta.name), ("", z.meta.name))

    def test_request_id_answers_once(self):
        first = self.call("ZoneService/CreateZone", requestId="once", zone={"meta": {"name": "once"}})
        again = self.call("ZoneService/CreateZone", requestId="once", zone={"meta": {"name": "once"}})
        self.assertEqual(first, again)
        self.fails(Code.INVALID_ARGUMENT, "request", "ZoneService/CreateZone", requestId="once", zone={"meta": {"name": "other"}})
        self.call("ZoneService/DeleteZone", requestId="gone", name="once")
        self.call("ZoneService/DeleteZone", requestId="gone", name="once")
        self.fails(Code.NOT_FOUND, "once", "ZoneService/DeleteZone", requestId="gone-2", name="once")
        self.fails(Code.INVALID_ARGUMENT, "longer than 64", "ZoneService/CreateZone", requestId="x" * 65,
                   zone={"meta": {"name": "never"}})

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
            cloud().call("L2NetworkService/CreateL2Network",
                       l2Network={"meta": {"name": "l2-%02d" % i, "description": "odd" if i % 2 else "even"},
                                  "spec": {"zoneUuid": cls.zone_uuid, "physicalInterface": "em%02d" % i}})

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
        self.fails(Code.INVALID_ARGUMENT, "page_token", "L2NetworkService/ListL2Networks", pageToken="nonsense")
        token = self.call("L2NetworkService/ListL2Networks", pageSize=3).next_page_token
        self.assertNotEqual(token, "")
        self.fails(Code.INVALID_ARGUMENT, "page_token", "L2NetworkService/ListL2Networks", pageToken=token,
                   filter="meta.description = odd")
        self.fails(Code.INVALID_ARGUMENT, "page_token", "ZoneService/ListZones", pageToken=token)

    def test_token_goes_on_after_its_object_is_gone(self):
        for name in ["a", "b", "c"]:
            self.call("InstanceOfferingService/CreateInstanceOffering",
                      instanceOffering={"meta": {"name": " " + name}, "spec": {"cpus": 1, "memoryBytes": 1 << 24}})
        r = self.call("InstanceOfferingService/ListInstanceOfferings", pageSize=2)
        self.assertEqual([x.meta.name for x in r.instance_offerings], [" a", " b"])
        self.call("InstanceOfferingService/DeleteInstanceOffering", name=" b")
        r = self.call("InstanceOfferingService/ListInstanceOfferings", pageSize=2, pageToken=r.next_page_token)
        self.assertEqual(r.instance_offerings[0].meta.name, " c")

    def test_filters(self):
        self.assertEqual(len(self.filtered("meta.description = odd")), 12)
        self.assertEqual(self.filtered('meta.name = "l2-07" AND spec.type = L2_NO_VLAN_NETWORK'), ["l2-07"])
        self.assertEqual(self.filtered('(meta.name >= "l2-03" AND meta.name < "l2-05")'), ["l2-03", "l2-04"])
        self.assertEqual(len(self.filtered("spec.physical_interface:em1")), 10)
        self.assertEqual(self.filtered("spec.zone_uuid = nobody"), [])
        self.assertEqual(len(self.pages(pageSize=5, filter="meta.description != odd")), 3)
        for text, words in [("meta.nonsense = 1", "meta.nonsense"), ("spec.type = 7", "names of its enum"),
                            ("meta.name =", "expected a value"), ("meta.revision > x", "a number"),
                            ("meta.name = a OR meta.name = b", "expected AND"), ('meta.name = "a', "no end")]:
            self.fails(Code.INVALID_ARGUMENT, words, "L2NetworkService/ListL2Networks", filter=text)


class Infrastructure(ApiTest):
    def setUp(self):
        self.z = self.zone().meta.uuid
        self.c = self.create("ClusterService", "cluster", {"zoneUuid": self.z}).meta.uuid

    def storage(self, path, **spec):
        return self.create("PrimaryStorageService", "primary_storage",
                           {"zoneUuid": self.z, "type": "SHARED_MOUNT_POINT", "path": path, **spec})

    def test_cluster_needs_its_zone(self):
        self.fails(Code.INVALID_ARGUMENT, "spec.zone_uuid is missing", "ClusterService/CreateCluster", cluster={"meta": {"name": "c"}})
        self.fails(Code.NOT_FOUND, "f" * 32, "ClusterService/CreateCluster",
                   cluster={"meta": {"name": "c"}, "spec": {"zoneUuid": "f" * 32}})
        self.fails(Code.INVALID_ARGUMENT, "Xen", "ClusterService/CreateCluster",
                   cluster={"meta": {"name": "c"}, "spec": {"zoneUuid": self.z, "hypervisor": "Xen"}})
        self.assertEqual(self.call("ClusterService/GetCluster", uuid=self.c).spec.hypervisor, "KVM")

    def test_in_use_is_not_deleted(self):
        e = self.fails(Code.FAILED_PRECONDITION, "in use by cluster", "ZoneService/DeleteZone", uuid=self.z)
        self.assertIn(self.call("ClusterService/GetCluster", uuid=self.c).meta.name, e.details())
        self.call("ClusterService/DeleteCluster", uuid=self.c)
        self.call("ZoneService/DeleteZone", uuid=self.z)

    def test_storage_paths(self):
        for path, words in [("/", "'/'"), ("/root", "/root"), ("/root/ps", "/root"), ("relative", "absolute"), ("", "")]:
            e = self.fails(Code.INVALID_ARGUMENT, "spec.path", "PrimaryStorageService/CreatePrimaryStorage",
                           primaryStorage={"meta": {"name": "ps"}, "spec": {"zoneUuid": self.z, "type": "LOCAL_STORAGE", "path": path}})
            self.assertIn(words, e.details())
        self.fails(Code.INVALID_ARGUMENT, "spec.type", "PrimaryStorageService/CreatePrimaryStorage",
                   primaryStorage={"meta": {"name": "ps"}, "spec": {"zoneUuid": self.z, "path": "/ps"}})

    def test_attach_and_detach(self):
        ps = self.storage("/a").meta.uuid
        c = self.call("ClusterService/AttachPrimaryStorage", clusterUuid=self.c, uuid=ps)
        self.assertEqual(list(c.spec.primary_storage_uuids), [ps])
        self.fails(Code.ALREADY_EXISTS, "attached", "ClusterService/AttachPrimaryStorage", clusterUuid=self.c, uuid=ps)
        self.fails(Code.FAILED_PRECONDITION, "in use by cluster", "PrimaryStorageService/DeletePrimaryStorage", uuid=ps)
        twin = self.storage("/a").meta.uuid
        self.fails(Code.FAILED_PRECONDITION, "its path", "ClusterService/AttachPrimaryStorage", clusterUuid=self.c, uuid=twin)
        self.z, here = self.zone().meta.uuid, self.z
        elsewhere = self.storage("/b").meta.uuid
        self.fails(Code.FAILED_PRECONDITION, "different zones", "ClusterService/AttachPrimaryStorage", clusterUuid=self.c,
                   uuid=elsewhere)
        self.z = here
        c = self.call("ClusterService/DetachPrimaryStorage", clusterUuid=self.c, uuid=ps)
        self.assertEqual(list(c.spec.primary_storage_uuids), [])
        self.fails(Code.FAILED_PRECONDITION, "not attached", "ClusterService/DetachPrimaryStorage", clusterUuid=self.c, uuid=ps)
        self.call("PrimaryStorageService/DeletePrimaryStorage", uuid=ps)

    def test_storage_update(self):
        ps = self.storage("/u")
        u = self.call("PrimaryStorageService/UpdatePrimaryStorage",
                      primaryStorage={"meta": {"uuid": ps.meta.uuid}, "spec": {"disabled": True}}, updateMask="spec.disabled")
        self.assertTrue(u.spec.disabled)
        self.assertEqual(u.spec.path, "/u")
        self.fails(Code.INVALID_ARGUMENT, ["may not change", "spec.path"], "PrimaryStorageService/UpdatePrimaryStorage",
                   primaryStorage={"meta": {"uuid": ps.meta.uuid}, "spec": {"path": "/v"}}, updateMask="spec.path")

    def test_hosts_must_wait(self):
        self.assertEqual(len(self.call("HostService/ListPendingHosts").hosts), 0)
        self.fails(Code.FAILED_PRECONDITION, ["10.1.2.3", "--control"], "HostService/CreateHost",
                   host={"meta": {"name": "h"}, "spec": {"clusterUuid": self.c, "managementIp": "10.1.2.3"}})

    def test_images(self):
        good = {"url": "http://images/x.qcow2", "sha256": "AB" * 32, "format": "QCOW2"}
        for field, value, words in [("url", "ftp://x/y", "spec.url"), ("url", "file://relative", "spec.url"),
                                    ("sha256", "ab", "64 hex digits"), ("sha256", "", "missing"),
                                    ("format", "FORMAT_UNSPECIFIED", "spec.format")]:
            self.fails(Code.INVALID_ARGUMENT, words, "ImageService/CreateImage",
                       image={"meta": {"name": "i"}, "spec": {**good, field: value}})
        op = self.call("ImageService/CreateImage", image={"meta": {"name": self.fresh("image")}, "spec": good})
        self.assertEqual((op.verb, op.state, op.target_kind), ("CreateImage", 1, 5))
        i = self.call("ImageService/GetImage", uuid=op.target_uuid)
        self.assertEqual((i.spec.sha256, i.status.state), ("ab" * 32, 1))

    def test_offerings(self):
        for spec, words in [({"cpus": 0, "memoryBytes": GIB}, "spec.cpus"), ({"cpus": 241, "memoryBytes": GIB}, "spec.cpus"),
                            ({"cpus": 1, "memoryBytes": 1 << 23}, "spec.memory_bytes"),
                            ({"cpus": 1, "memoryBytes": GIB + 1}, "spec.memory_bytes")]:
            self.fails(Code.INVALID_ARGUMENT, words, "InstanceOfferingService/CreateInstanceOffering",
                       instanceOffering={"meta": {"name": "o"}, "spec": spec})


class Networks(ApiTest):
    def setUp(self):
        z = self.zone().meta.uuid
        self.l2 = self.create("L2NetworkService", "l2_network", {"zoneUuid": z, "physicalInterface": "em01"}).meta.uuid
        self.range = {"startIp": "172.20.108.40", "endIp": "172.20.108.50", "netmask": "255.255.0.0", "gateway": "172.20.0.1"}

    def l3(self, **spec):
        return self.create("L3NetworkService", "l3_network", {"l2NetworkUuid": self.l2, "ipRanges": [self.range], **spec})

    def test_nic_names(self):
        z = self.zone().meta.uuid
        for nic in ["", "sixteen-letters-", "a b", "a/b", ".."]:
            self.fails(Code.INVALID_ARGUMENT, "spec.physical_interface", "L2NetworkService/CreateL2Network",
                       l2Network={"meta": {"name": "n"}, "spec": {"zoneUuid": z, "physicalInterface": nic}})

    def test_the_tutorial_network(self):
        l3 = self.l3(dhcpIp="172.20.180.41", dns=["8.8.8.8"])
        self.assertEqual((l3.status.cidr, l3.status.total_ips, l3.status.used_ips), ("172.20.0.0/16", 11, 1))
        addresses = self.call("L3NetworkService/ListIpAddresses", filter="l3_network_uuid = " + l3.meta.uuid).ip_addresses
        self.assertEqual([(a.ip, a.instance_uuid) for a in addresses], [("172.20.180.41", "")])
        self.fails(Code.FAILED_PRECONDITION, "in use by L3 network", "L2NetworkService/DeleteL2Network", uuid=self.l2)
        self.call("L3NetworkService/DeleteL3Network", uuid=l3.meta.uuid)
        self.assertEqual(len(self.call("L3NetworkService/ListIpAddresses", filter="l3_network_uuid = " + l3.meta.uuid).ip_addresses), 0)

    def test_first_free_dhcp_address_and_cidr(self):
        self.assertEqual(self.l3().spec.dhcp_ip, "172.20.108.40")
        l3 = self.create("L3NetworkService", "l3_network", {"l2NetworkUuid": self.l2, "ipRanges": [{"cidr": "10.9.8.0/24"}]})
        r = l3.spec.ip_ranges[0]
        self.assertEqual((r.gateway, r.start_ip, r.end_ip, r.netmask), ("10.9.8.1", "10.9.8.2", "10.9.8.254", "255.255.255.0"))
        self.assertEqual((l3.status.total_ips, l3.spec.dhcp_ip), (253, "10.9.8.2"))

    def test_bad_ranges(self):
        def bad(words, **change):
            self.fails(Code.INVALID_ARGUMENT, words, "L3NetworkService/CreateL3Network",
                       l3Network={"meta": {"name": "n"}, "spec": {"l2NetworkUuid": self.l2, "ipRanges": [{**self.range, **change}]}})
        bad("range 1", endIp="172.21.0.5")
        bad("range 1", startIp="172.20.108.60")
        bad("range 1", startIp="nonsense")
        bad("gateway", gateway="10.0.0.1")
        bad("gateway", gateway="172.20.108.45")
        bad("range 1", netmask="255.0.255.0")

    def test_bad_dhcp_addresses(self):
        for ip in ["172.20.0.1", "10.0.0.1", "172.20.255.255", "nonsense"]:
            self.fails(Code.INVALID_ARGUMENT, "spec.dhcp_ip", "L3NetworkService/CreateL3Network",
                       l3Network={"meta": {"name": "n"}, "spec": {"l2NetworkUuid": self.l2, "ipRanges": [self.range], "dhcpIp": ip}})
        self.fails(Code.INVALID_ARGUMENT, "spec.dns", "L3NetworkService/CreateL3Network",
                   l3Network={"meta": {"name": "n"}, "spec": {"l2NetworkUuid": self.l2, "ipRanges": [self.range], "dns": ["x"]}})

    def test_add_range(self):
        l3 = self.l3()
        self.fails(Code.INVALID_ARGUMENT, "overlap", "L3NetworkService/AddIpRange", uuid=l3.meta.uuid,
                   ipRange={**self.range, "startIp": "172.20.108.50", "endIp": "172.20.108.60"})
        more = self.call("L3NetworkService/AddIpRange", uuid=l3.meta.uuid,
                         ipRange={**self.range, "startIp": "172.20.108.60", "endIp": "172.20.108.69"})
        self.assertEqual((len(more.spec.ip_ranges), more.status.total_ips, more.spec.dhcp_ip), (2, 21, "172.20.108.40"))
        self.fails(Code.INVALID_ARGUMENT, "ip_range", "L3NetworkService/AddIpRange", uuid=l3.meta.uuid)
        empty = self.create("L3NetworkService", "l3_network", {"l2NetworkUuid": self.l2})
        filled = self.call("L3NetworkService/AddIpRange", uuid=empty.meta.uuid, ipRange=self.range)
        self.assertEqual(filled.spec.dhcp_ip, "172.20.108.40")

    def test_dns_may_change(self):
        l3 = self.l3()
        u = self.call("L3NetworkService/UpdateL3Network", l3Network={"meta": {"uuid": l3.meta.uuid}, "spec": {"dns": ["1.1.1.1", "9.9.9.9"]}},
                      updateMask="spec.dns")
        self.assertEqual(list(u.spec.dns), ["1.1.1.1", "9.9.9.9"])
        self.fails(Code.INVALID_ARGUMENT, "spec.dns", "L3NetworkService/UpdateL3Network",
                   l3Network={"meta": {"uuid": l3.meta.uuid}, "spec": {"dns": ["one"]}}, updateMask="spec.dns")


class Instances(ApiTest):
    """Without hosts: what is written, not what runs."""

    def setUp(self):
        self.z = self.zone().meta.uuid
        self.c = self.create("ClusterService", "cluster", {"zoneUuid": self.z}).meta.uuid
        l2 = self.create("L2NetworkService", "l2_network", {"zoneUuid": self.z, "physicalInterface": "em01"}).meta.uuid
        self.call("ClusterService/AttachL2Network", clusterUuid=self.c, uuid=l2)
        self.l3 = self.create("L3NetworkService", "l3_network", {"l2NetworkUuid": l2, "ipRanges": [
            {"startIp": "10.0.0.10", "endIp": "10.0.0.13", "netmask": "24", "gateway": "10.0.0.1"}]}).meta
        self.local = self.storage("LOCAL_STORAGE", "/local")
        self.shared = self.storage("SHARED_MOUNT_POINT", "/shared")
        op = self.call("ImageService/CreateImage", image={"meta": {"name": self.fresh("image")}, "spec": {
            "url": "file:///image", "sha256": "0" * 64, "format": "QCOW2"}})
        self.spec = {"instanceOfferingUuid": self.create("InstanceOfferingService", "instance_offering",
                                                         {"cpus": 2, "memoryBytes": GIB}).meta.uuid,
                     "imageUuid": op.target_uuid, "l3NetworkUuids": [self.l3.uuid], "power": "POWER_STOPPED"}

    def storage(self, kind, path):
        ps = self.create("PrimaryStorageService", "primary_storage", {"zoneUuid": self.z, "type": kind, "path": path}).meta.uuid
        self.call("ClusterService/AttachPrimaryStorage", clusterUuid=self.c, uuid=ps)
        return ps

    def instance(self, **spec):
        op = self.call("InstanceService/CreateInstance",
                       instance={"meta": {"name": self.fresh("vm")}, "spec": {**self.spec, **spec}})
        return self.call("InstanceService/GetInstance", uuid=op.target_uuid), op

    def refused(self, code, words, **spec):
        return self.fails(code, words, "InstanceService/CreateInstance",
                          instance={"meta": {"name": "vm-refused"}, "spec": {**self.spec, **spec}})

    def test_what_is_made(self):
        i, op = self.instance()
        self.assertEqual((op.verb, op.state), ("CreateInstance", 2))
        self.assertEqual((i.spec.cpus, i.spec.memory_bytes), (2, GIB))
        self.assertEqual(list(i.spec.storage_uuids), [self.shared])
        nic = i.spec.nics[0]
        self.assertEqual((nic.ip, nic.l3_network_uuid), ("10.0.0.11", self.l3.uuid))
        self.assertRegex(nic.mac, "^fa(:[0-9a-f]{2}){5}$")
        v = self.call("VolumeService/GetVolume", uuid=i.spec.root_volume_uuid)
        self.assertRegex(v.status.install_path, "^rootVolumes/acct-[0-9a-f]{32}/vol-%s/%s.qcow2$" % (v.meta.uuid, v.meta.uuid))
        self.assertEqual((v.spec.instance_uuid, v.spec.type), (i.meta.uuid, 1))
        self.fails(Code.FAILED_PRECONDITION, i.meta.name, "L3NetworkService/DeleteL3Network", uuid=self.l3.uuid)
        self.fails(Code.FAILED_PRECONDITION, "in use by", "ImageService/DeleteImage", uuid=self.spec["imageUuid"])
        self.fails(Code.FAILED_PRECONDITION, i.meta.name, "ClusterService/DetachPrimaryStorage", clusterUuid=self.c, uuid=self.shared)

    def test_addresses_run_out(self):
        ips = [self.instance()[0].spec.nics[0].ip for _ in range(3)]
        self.assertEqual(ips, ["10.0.0.11", "10.0.0.12", "10.0.0.13"])
        self.refused(Code.RESOURCE_EXHAUSTED, [self.l3.name, "all 4"])
        self.assertEqual(self.call("L3NetworkService/GetL3Network", uuid=self.l3.uuid).status.used_ips, 4)

    def test_addresses_at_once(self):
        results, lock, leader = [], threading.Lock(), cloud().leader()

        def create(n):
            try:
                r = leader.call("InstanceService/CreateInstance",
                                instance={"meta": {"name": "%s-%d" % (self.l3.name, n)}, "spec": self.spec}).target_uuid
            except grpc.RpcError as e:
                r = e.code()
            with lock:
                results.append(r)

        threads = [threading.Thread(target=create, args=(n,)) for n in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        made = [r for r in results if isinstance(r, str)]
        self.assertEqual((len(made), results.count(Code.RESOURCE_EXHAUSTED)), (3, 9))
        self.assertEqual(len({self.call("InstanceService/GetInstance", uuid=u).spec.nics[0].ip for u in made}), 3)

    def test_refusals(self):
        self.refused(Code.NOT_FOUND, "spec.image_uuid", imageUuid="e" * 32)
        self.refused(Code.INVALID_ARGUMENT, "spec.l3_network_uuids is missing", l3NetworkUuids=[])
        self.refused(Code.INVALID_ARGUMENT, "there twice", l3NetworkUuids=[self.l3.uuid, self.l3.uuid])
        self.refused(Code.FAILED_PRECONDITION, "NeverStop", haLevel="NEVER_STOP", primaryStorageUuid=self.local)
        self.refused(Code.INVALID_ARGUMENT, "spec.power", power="POWER_PAUSED")
        self.refused(Code.NOT_FOUND, "spec.host_uuid", hostUuid="d" * 32)
        self.refused(Code.INVALID_ARGUMENT, "leave nics", deleting=True)
        self.call("InstanceOfferingService/UpdateInstanceOffering", instanceOffering={
            "meta": {"uuid": self.spec["instanceOfferingUuid"]}, "spec": {"disabled": True}}, updateMask="spec.disabled")
        self.refused(Code.FAILED_PRECONDITION, "disabled")

    def test_unreached_storage(self):
        lonely = self.create("PrimaryStorageService", "primary_storage",
                             {"zoneUuid": self.z, "type": "SHARED_MOUNT_POINT", "path": "/lonely"}).meta.uuid
        self.refused(Code.FAILED_PRECONDITION, "no cluster reaches", primaryStorageUuid=lonely)
        self.call("PrimaryStorageService/UpdatePrimaryStorage",
                  primaryStorage={"meta": {"uuid": self.shared}, "spec": {"disabled": True}}, updateMask="spec.disabled")
        self.assertEqual(self.instance()[0].spec.primary_storage_uuid, self.local)
        self.refused(Code.FAILED_PRECONDITION, "shared", haLevel="NEVER_STOP")

    def test_power(self):
        i, _ = self.instance()
        u = i.meta.uuid
        self.fails(Code.FAILED_PRECONDITION, "stopped already", "InstanceService/StopInstance", uuid=u)
        self.fails(Code.FAILED_PRECONDITION, "pause instance '%s': it is" % i.meta.name, "InstanceService/PauseInstance", uuid=u)
        self.fails(Code.FAILED_PRECONDITION, "it is", "InstanceService/RebootInstance", uuid=u)
        self.fails(Code.FAILED_PRECONDITION, "it is", "InstanceService/ResumeInstance", uuid=u)
        op = self.call("InstanceService/StartInstance", name=i.meta.name)
        self.assertEqual((op.verb, op.state, op.target_run, op.target_uuid), ("StartInstance", 1, 1, u))
        self.call("InstanceService/StartInstance", uuid=u)  # still without a host: joins the first
        self.call("InstanceService/StopInstance", uuid=u)
        self.assertEqual(self.call("InstanceService/GetInstance", uuid=u).spec.power, 2)

    def test_delete(self):
        i, _ = self.instance()
        op = self.call("InstanceService/DeleteInstance", uuid=i.meta.uuid)
        self.assertEqual(op.verb, "DeleteInstance")

    def test_ha_level(self):
        i, _ = self.instance(primaryStorageUuid=self.local)
        self.fails(Code.FAILED_PRECONDITION, "NEVER_STOP", "InstanceService/UpdateInstance",
                   instance={"meta": {"uuid": i.meta.uuid}, "spec": {"haLevel": "NEVER_STOP"}})
        i, _ = self.instance()
        u = self.call("InstanceService/UpdateInstance", instance={"meta": {"uuid": i.meta.uuid}, "spec": {"haLevel": "NEVER_STOP"}})
        self.assertEqual(u.spec.ha_level, 1)

    def test_data_volumes(self):
        i, _ = self.instance()
        for size in [0, 1000, (1 << 20) + 1, 1 << 47]:
            self.fails(Code.INVALID_ARGUMENT, "spec.size_bytes", "VolumeService/CreateVolume",
                       volume={"meta": {"name": "v"}, "spec": {"sizeBytes": size}})
        v = self.create("VolumeService", "volume", {"sizeBytes": GIB})
        self.assertRegex(v.status.install_path, "^dataVolumes/")
        a = self.call("VolumeService/AttachVolume", uuid=v.meta.uuid, instanceUuid=i.meta.uuid)
        self.assertEqual((a.spec.instance_uuid, a.spec.primary_storage_uuid), (i.meta.uuid, self.shared))
        self.assertEqual(list(self.call("InstanceService/GetInstance", uuid=i.meta.uuid).spec.data_volume_uuids), [v.meta.uuid])
        self.fails(Code.FAILED_PRECONDITION, "attached", "VolumeService/AttachVolume", uuid=v.meta.uuid, instanceUuid=i.meta.uuid)
        self.fails(Code.FAILED_PRECONDITION, "detach it first", "VolumeService/DeleteVolume", uuid=v.meta.uuid)
        self.fails(Code.FAILED_PRECONDITION, "root volume", "VolumeService/DeleteVolume", uuid=i.spec.root_volume_uuid)
        self.call("VolumeService/DetachVolume", uuid=v.meta.uuid)
        op = self.call("VolumeService/DeleteVolume", uuid=v.meta.uuid)
        self.assertEqual(op.state, 2)
        self.fails(Code.NOT_FOUND, v.meta.uuid, "VolumeService/GetVolume", uuid=v.meta.uuid)


class Operations(ApiTest):
    def running(self):
        return self.call("ImageService/CreateImage", image={"meta": {"name": self.fresh("image")}, "spec": {
            "url": "file:///image", "sha256": "0" * 64, "format": "RAW"}})

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
        u = self.call("GlobalSettingService/UpdateGlobalSetting", globalSetting={"meta": {"name": s.meta.name}, "value": "4"})
        self.assertEqual(u.value, "4")
        for name, value, words in [("vm.cpuOverProvisioning", "x", "not a number"), ("vm.cpuOverProvisioning", "0", "between"),
                                   ("ha.enable", "yes", "true or false"), ("host.reservedMemory", "1X", "size"),
                                   ("vm.cpuMode", "fast", "one of")]:
            self.fails(Code.INVALID_ARGUMENT, words, "GlobalSettingService/UpdateGlobalSetting",
                       globalSetting={"meta": {"name": name}, "value": value})
        self.fails(Code.FAILED_PRECONDITION, "itself", "GlobalSettingService/UpdateGlobalSetting",
                   globalSetting={"meta": {"name": "cluster.id"}, "value": "x"})
        self.fails(Code.NOT_FOUND, "no.such", "GlobalSettingService/GetGlobalSetting", name="no.such")

    def test_cluster_id_is_that_of_every_node(self):
        ids = {n.call("ControlService/GetStatus").cluster_id for n in cloud().nodes if n.process}
        self.assertEqual(len(ids), 1)
        self.assertEqual(len(ids.pop()), 32)


if __name__ == "__main__":
    api_case.main()
