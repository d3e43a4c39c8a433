#!/usr/bin/python3
"""What each kind of object adds to the standard methods: its rules, its verbs, and what it refuses.

usage: api_kinds_test.py HOLDFASTD API_FOLDER [unittest arguments]
"""
import pathlib
import sys
import threading

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import api_case  # noqa: E402
from api_case import ApiTest, Code, GIB, cloud  # noqa: E402

setUpModule, tearDownModule = api_case.start, api_case.stop


class Infrastructure(ApiTest):
    def setUp(self):
        self.z = self.zone().meta.uuid
        self.c = self.create("ClusterService", "cluster", {"zoneUuid": self.z}).meta.uuid

    def storage(self, path, **spec):
        return self.create(
            "PrimaryStorageService",
            "primary_storage",
            {"zoneUuid": self.z, "type": "SHARED_MOUNT_POINT", "path": path, **spec},
        )

    def test_cluster_needs_its_zone(self):
        self.fails(
            Code.INVALID_ARGUMENT,
            "spec.zone_uuid is missing",
            "ClusterService/CreateCluster",
            cluster={"meta": {"name": "c"}},
        )
        self.fails(
            Code.NOT_FOUND,
            "f" * 32,
            "ClusterService/CreateCluster",
            cluster={"meta": {"name": "c"}, "spec": {"zoneUuid": "f" * 32}},
        )
        self.fails(
            Code.INVALID_ARGUMENT,
            "Xen",
            "ClusterService/CreateCluster",
            cluster={"meta": {"name": "c"}, "spec": {"zoneUuid": self.z, "hypervisor": "Xen"}},
        )
        self.assertEqual(self.call("ClusterService/GetCluster", uuid=self.c).spec.hypervisor, "KVM")

    def test_in_use_is_not_deleted(self):
        e = self.fails(Code.FAILED_PRECONDITION, "in use by cluster", "ZoneService/DeleteZone", uuid=self.z)
        self.assertIn(self.call("ClusterService/GetCluster", uuid=self.c).meta.name, e.details())
        self.call("ClusterService/DeleteCluster", uuid=self.c)
        self.call("ZoneService/DeleteZone", uuid=self.z)

    def nfs(self, **spec):
        return {"meta": {"name": "nas"}, "spec": {"zoneUuid": self.z, "type": "NFS", "url": "10.0.0.5:/export", **spec}}

    def test_nfs_storages(self):
        create = "PrimaryStorageService/CreatePrimaryStorage"
        for spec, field, words in [
            ({"url": ""}, "spec.url", "missing"),
            ({"url": "10.0.0.5"}, "spec.url", "no NFS export"),
            ({"path": "/nas"}, "spec.path", "leave it empty"),
            ({"mountOptions": "hard,soft"}, "spec.mount_options", "must be hard"),
            ({"storageNetworkCidr": "10.0.0.5/24"}, "spec.storage_network_cidr", "10.0.0"),
            ({"type": "LOCAL_STORAGE", "path": "/l"}, "spec.url", "type NFS"),
            ({"type": "LOCAL_STORAGE", "path": "/l", "url": "", "storageNetworkCidr": "10.0.0.0/24"}, "", "no network"),
        ]:
            e = self.fails(Code.INVALID_ARGUMENT, field, create, primaryStorage=self.nfs(**spec))
            self.assertIn(words, e.details())
        made = self.call(create, primaryStorage=self.nfs(storageNetworkCidr="10.0.0.0/24"))
        self.assertEqual(made.spec.mount_options, "hard,vers=4.2")
        update = "PrimaryStorageService/UpdatePrimaryStorage"
        change = {"meta": {"uuid": made.meta.uuid}, "spec": {"storageNetworkCidr": "10.1.0.0/16"}}
        changed = self.call(update, primaryStorage=change, updateMask="spec.storageNetworkCidr")
        self.assertEqual(changed.spec.storage_network_cidr, "10.1.0.0/16")
        change["spec"]["storageNetworkCidr"] = "10.1.0.1/16"
        self.fails(Code.INVALID_ARGUMENT, "10.1.0", update, primaryStorage=change, updateMask="spec.storageNetworkCidr")
        self.fails(
            Code.INVALID_ARGUMENT, "url", update, primaryStorage={"meta": {"uuid": made.meta.uuid}, "spec": {"url": "x:/y"}},
            updateMask="spec.url",
        )
        twin = self.call(create, primaryStorage={**self.nfs(), "meta": {"name": "twin"}})
        attach = "ClusterService/AttachPrimaryStorage"
        self.call(attach, clusterUuid=self.c, uuid=made.meta.uuid)
        self.fails(Code.FAILED_PRECONDITION, "10.0.0.5:/export is that of", attach, clusterUuid=self.c, uuid=twin.meta.uuid)

    def test_storage_paths(self):
        for path, words in [
            ("/", "'/'"),
            ("/root", "/root"),
            ("/root/ps", "/root"),
            ("relative", "absolute"),
            ("", ""),
        ]:
            e = self.fails(
                Code.INVALID_ARGUMENT,
                "spec.path",
                "PrimaryStorageService/CreatePrimaryStorage",
                primaryStorage={
                    "meta": {"name": "ps"},
                    "spec": {"zoneUuid": self.z, "type": "LOCAL_STORAGE", "path": path},
                },
            )
            self.assertIn(words, e.details())
        self.fails(
            Code.INVALID_ARGUMENT,
            "spec.type",
            "PrimaryStorageService/CreatePrimaryStorage",
            primaryStorage={"meta": {"name": "ps"}, "spec": {"zoneUuid": self.z, "path": "/ps"}},
        )

    def test_attach_and_detach(self):
        ps = self.storage("/a").meta.uuid
        c = self.call("ClusterService/AttachPrimaryStorage", clusterUuid=self.c, uuid=ps)
        self.assertEqual(list(c.spec.primary_storage_uuids), [ps])
        self.fails(
            Code.ALREADY_EXISTS,
            "attached",
            "ClusterService/AttachPrimaryStorage",
            clusterUuid=self.c,
            uuid=ps,
        )
        self.fails(
            Code.FAILED_PRECONDITION,
            "in use by cluster",
            "PrimaryStorageService/DeletePrimaryStorage",
            uuid=ps,
        )
        twin = self.storage("/a").meta.uuid
        self.fails(
            Code.FAILED_PRECONDITION,
            "its path",
            "ClusterService/AttachPrimaryStorage",
            clusterUuid=self.c,
            uuid=twin,
        )
        self.z, here = self.zone().meta.uuid, self.z
        elsewhere = self.storage("/b").meta.uuid
        self.fails(
            Code.FAILED_PRECONDITION,
            "different zones",
            "ClusterService/AttachPrimaryStorage",
            clusterUuid=self.c,
            uuid=elsewhere,
        )
        self.z = here
        c = self.call("ClusterService/DetachPrimaryStorage", clusterUuid=self.c, uuid=ps)
        self.assertEqual(list(c.spec.primary_storage_uuids), [])
        self.fails(
            Code.FAILED_PRECONDITION,
            "not attached",
            "ClusterService/DetachPrimaryStorage",
            clusterUuid=self.c,
            uuid=ps,
        )
        self.call("PrimaryStorageService/DeletePrimaryStorage", uuid=ps)

    def test_storage_update(self):
        ps = self.storage("/u")
        u = self.call(
            "PrimaryStorageService/UpdatePrimaryStorage",
            primaryStorage={"meta": {"uuid": ps.meta.uuid}, "spec": {"disabled": True}},
            updateMask="spec.disabled",
        )
        self.assertTrue(u.spec.disabled)
        self.assertEqual(u.spec.path, "/u")
        self.fails(
            Code.INVALID_ARGUMENT,
            ["may not change", "spec.path"],
            "PrimaryStorageService/UpdatePrimaryStorage",
            primaryStorage={"meta": {"uuid": ps.meta.uuid}, "spec": {"path": "/v"}},
            updateMask="spec.path",
        )

    def test_hosts_must_wait(self):
        self.assertEqual(len(self.call("HostService/ListPendingHosts").hosts), 0)
        self.fails(
            Code.FAILED_PRECONDITION,
            ["10.1.2.3", "--control"],
            "HostService/CreateHost",
            host={"meta": {"name": "h"}, "spec": {"clusterUuid": self.c, "managementIp": "10.1.2.3"}},
        )

    def test_images(self):
        good = {"url": "http://images/x.qcow2", "sha256": "AB" * 32, "format": "QCOW2"}
        for field, value, words in [
            ("url", "ftp://x/y", "spec.url"),
            ("url", "file://relative", "spec.url"),
            ("sha256", "ab", "64 hex digits"),
            ("sha256", "", "missing"),
            ("format", "FORMAT_UNSPECIFIED", "spec.format"),
        ]:
            self.fails(
                Code.INVALID_ARGUMENT,
                words,
                "ImageService/CreateImage",
                image={"meta": {"name": "i"}, "spec": {**good, field: value}},
            )
        op = self.call(
            "ImageService/CreateImage", image={"meta": {"name": self.fresh("image")}, "spec": good}
        )
        self.assertEqual((op.verb, op.state, op.target_kind), ("CreateImage", 1, 5))
        i = self.call("ImageService/GetImage", uuid=op.target_uuid)
        self.assertEqual((i.spec.sha256, i.status.state), ("ab" * 32, 1))

    def test_offerings(self):
        for spec, words in [
            ({"cpus": 0, "memoryBytes": GIB}, "spec.cpus"),
            ({"cpus": 241, "memoryBytes": GIB}, "spec.cpus"),
            ({"cpus": 1, "memoryBytes": 1 << 23}, "spec.memory_bytes"),
            ({"cpus": 1, "memoryBytes": GIB + 1}, "spec.memory_bytes"),
        ]:
            self.fails(
                Code.INVALID_ARGUMENT,
                words,
                "InstanceOfferingService/CreateInstanceOffering",
                instanceOffering={"meta": {"name": "o"}, "spec": spec},
            )


class ImageServers(ApiTest):
    KEY = "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="

    def setUp(self):
        self.z = self.zone().meta.uuid

    def server(self, **spec):
        ceph = {"monitors": ["10.255.255.1"], "user": "admin", "key": self.KEY, **spec.pop("ceph", {})}
        return {"meta": {"name": self.fresh("server")}, "spec": {"zoneUuid": self.z, "type": "CEPH", "ceph": ceph, **spec}}

    def image(self, server):
        return self.call(
            "ImageService/CreateImage",
            image={
                "meta": {"name": self.fresh("image")},
                "spec": {"url": "http://x/y", "sha256": "ab" * 32, "format": "RAW", "imageServerUuid": server},
            },
        ).target_uuid

    def test_wrong(self):
        for spec, words in [
            ({"type": "TYPE_UNSPECIFIED"}, "ImageStore and Sftp are not there"),
            ({"ceph": {"monitors": []}}, "no monitor is named"),
            ({"ceph": {"key": ""}}, "asks for a user and a key"),
            ({"ceph": {"rootPool": "r"}}, "one pool, image_pool"),
            ({"ceph": {"imagePool": "a/b"}}, "spec.ceph.image_pool"),
            ({"zoneUuid": ""}, "spec.zone_uuid is missing"),
        ]:
            self.fails(
                Code.INVALID_ARGUMENT, words, "ImageServerService/CreateImageServer", imageServer=self.server(**spec)
            )

    def test_life(self):
        made = self.call("ImageServerService/CreateImageServer", imageServer=self.server()).meta.uuid
        got = self.call("ImageServerService/GetImageServer", uuid=made)
        self.assertEqual((got.spec.ceph.image_pool, got.spec.ceph.key), ("bak-t-" + made, "set"))
        update = "ImageServerService/UpdateImageServer"
        change = {"meta": {"uuid": made}, "spec": {"ceph": {"monitors": ["10.255.255.2"]}}}
        self.assertEqual(list(self.call(update, imageServer=change).spec.ceph.monitors), ["10.255.255.2"])
        change["spec"] = {"ceph": {"imagePool": "other"}}
        self.fails(Code.INVALID_ARGUMENT, "pool", update, imageServer=change, updateMask="spec.ceph.imagePool")

        self.fails(Code.NOT_FOUND, "no image server", "ImageService/CreateImage", image={
            "meta": {"name": "lost"},
            "spec": {"url": "http://x/y", "sha256": "ab" * 32, "format": "RAW", "imageServerUuid": "f" * 32}})
        image = self.image(made)
        self.fails(
            Code.FAILED_PRECONDITION, "in use by image", "ImageServerService/DeleteImageServer", uuid=made
        )
        self.call("ImageService/DeleteImage", uuid=image)  # and removed when its cluster answers
        removing = self.call("ImageServerService/GetImageServer", uuid=made).status.removing_image_uuids
        self.assertEqual(list(removing), [image])

    def test_disabled(self):
        made = self.call("ImageServerService/CreateImageServer", imageServer=self.server(disabled=True)).meta.uuid
        with self.assertRaises(grpc.RpcError) as e:
            self.image(made)
        self.assertIn("is disabled", e.exception.details())
        self.call("ImageServerService/DeleteImageServer", uuid=made)


class Networks(ApiTest):
    def setUp(self):
        z = self.zone().meta.uuid
        self.l2 = self.create(
            "L2NetworkService", "l2_network", {"zoneUuid": z, "physicalInterface": "em01"}
        ).meta.uuid
        self.range = {
            "startIp": "172.20.108.40",
            "endIp": "172.20.108.50",
            "netmask": "255.255.0.0",
            "gateway": "172.20.0.1",
        }

    def l3(self, **spec):
        return self.create(
            "L3NetworkService", "l3_network", {"l2NetworkUuid": self.l2, "ipRanges": [self.range], **spec}
        )

    def test_nic_names(self):
        z = self.zone().meta.uuid
        for nic in ["", "sixteen-letters-", "a b", "a/b", ".."]:
            self.fails(
                Code.INVALID_ARGUMENT,
                "spec.physical_interface",
                "L2NetworkService/CreateL2Network",
                l2Network={"meta": {"name": "n"}, "spec": {"zoneUuid": z, "physicalInterface": nic}},
            )

    def test_the_tutorial_network(self):
        l3 = self.l3(dhcpIp="172.20.180.41", dns=["8.8.8.8"])
        self.assertEqual((l3.status.cidr, l3.status.total_ips, l3.status.used_ips), ("172.20.0.0/16", 11, 1))
        addresses = self.call(
            "L3NetworkService/ListIpAddresses", filter="l3_network_uuid = " + l3.meta.uuid
        ).ip_addresses
        self.assertEqual([(a.ip, a.instance_uuid) for a in addresses], [("172.20.180.41", "")])
        self.fails(
            Code.FAILED_PRECONDITION, "in use by L3 network", "L2NetworkService/DeleteL2Network", uuid=self.l2
        )
        self.call("L3NetworkService/DeleteL3Network", uuid=l3.meta.uuid)
        self.assertEqual(
            len(
                self.call(
                    "L3NetworkService/ListIpAddresses", filter="l3_network_uuid = " + l3.meta.uuid
                ).ip_addresses
            ),
            0,
        )

    def test_first_free_dhcp_address_and_cidr(self):
        self.assertEqual(self.l3().spec.dhcp_ip, "172.20.108.40")
        l3 = self.create(
            "L3NetworkService",
            "l3_network",
            {"l2NetworkUuid": self.l2, "ipRanges": [{"cidr": "10.9.8.0/24"}]},
        )
        r = l3.spec.ip_ranges[0]
        self.assertEqual(
            (r.gateway, r.start_ip, r.end_ip, r.netmask),
            ("10.9.8.1", "10.9.8.2", "10.9.8.254", "255.255.255.0"),
        )
        self.assertEqual((l3.status.total_ips, l3.spec.dhcp_ip), (253, "10.9.8.2"))

    def test_bad_ranges(self):
        def bad(words, **change):
            self.fails(
                Code.INVALID_ARGUMENT,
                words,
                "L3NetworkService/CreateL3Network",
                l3Network={
                    "meta": {"name": "n"},
                    "spec": {"l2NetworkUuid": self.l2, "ipRanges": [{**self.range, **change}]},
                },
            )

        bad("range 1", endIp="172.21.0.5")
        bad("range 1", startIp="172.20.108.60")
        bad("range 1", startIp="nonsense")
        bad("gateway", gateway="10.0.0.1")
        bad("gateway", gateway="172.20.108.45")
        bad("range 1", netmask="255.0.255.0")

    def test_bad_dhcp_addresses(self):
        for ip in ["172.20.0.1", "10.0.0.1", "172.20.255.255", "nonsense"]:
            self.fails(
                Code.INVALID_ARGUMENT,
                "spec.dhcp_ip",
                "L3NetworkService/CreateL3Network",
                l3Network={
                    "meta": {"name": "n"},
                    "spec": {"l2NetworkUuid": self.l2, "ipRanges": [self.range], "dhcpIp": ip},
                },
            )
        self.fails(
            Code.INVALID_ARGUMENT,
            "spec.dns",
            "L3NetworkService/CreateL3Network",
            l3Network={
                "meta": {"name": "n"},
                "spec": {"l2NetworkUuid": self.l2, "ipRanges": [self.range], "dns": ["x"]},
            },
        )

    def test_add_range(self):
        l3 = self.l3()
        self.fails(
            Code.INVALID_ARGUMENT,
            "overlap",
            "L3NetworkService/AddIpRange",
            uuid=l3.meta.uuid,
            ipRange={**self.range, "startIp": "172.20.108.50", "endIp": "172.20.108.60"},
        )
        more = self.call(
            "L3NetworkService/AddIpRange",
            uuid=l3.meta.uuid,
            ipRange={**self.range, "startIp": "172.20.108.60", "endIp": "172.20.108.69"},
        )
        self.assertEqual(
            (len(more.spec.ip_ranges), more.status.total_ips, more.spec.dhcp_ip), (2, 21, "172.20.108.40")
        )
        self.fails(Code.INVALID_ARGUMENT, "ip_range", "L3NetworkService/AddIpRange", uuid=l3.meta.uuid)
        empty = self.create("L3NetworkService", "l3_network", {"l2NetworkUuid": self.l2})
        filled = self.call("L3NetworkService/AddIpRange", uuid=empty.meta.uuid, ipRange=self.range)
        self.assertEqual(filled.spec.dhcp_ip, "172.20.108.40")

    def test_dns_may_change(self):
        l3 = self.l3()
        u = self.call(
            "L3NetworkService/UpdateL3Network",
            l3Network={"meta": {"uuid": l3.meta.uuid}, "spec": {"dns": ["1.1.1.1", "9.9.9.9"]}},
            updateMask="spec.dns",
        )
        self.assertEqual(list(u.spec.dns), ["1.1.1.1", "9.9.9.9"])
        self.fails(
            Code.INVALID_ARGUMENT,
            "spec.dns",
            "L3NetworkService/UpdateL3Network",
            l3Network={"meta": {"uuid": l3.meta.uuid}, "spec": {"dns": ["one"]}},
            updateMask="spec.dns",
        )


class Instances(ApiTest):
    """Without hosts: what is written, not what runs."""

    def setUp(self):
        self.z = self.zone().meta.uuid
        self.c = self.create("ClusterService", "cluster", {"zoneUuid": self.z}).meta.uuid
        l2 = self.create(
            "L2NetworkService", "l2_network", {"zoneUuid": self.z, "physicalInterface": "em01"}
        ).meta.uuid
        self.call("ClusterService/AttachL2Network", clusterUuid=self.c, uuid=l2)
        self.l3 = self.create(
            "L3NetworkService",
            "l3_network",
            {
                "l2NetworkUuid": l2,
                "ipRanges": [
                    {"startIp": "10.0.0.10", "endIp": "10.0.0.13", "netmask": "24", "gateway": "10.0.0.1"}
                ],
            },
        ).meta
        self.local = self.storage("LOCAL_STORAGE", "/local")
        self.shared = self.storage("SHARED_MOUNT_POINT", "/shared")
        op = self.call(
            "ImageService/CreateImage",
            image={
                "meta": {"name": self.fresh("image")},
                "spec": {"url": "file:///image", "sha256": "0" * 64, "format": "QCOW2"},
            },
        )
        self.spec = {
            "instanceOfferingUuid": self.create(
                "InstanceOfferingService", "instance_offering", {"cpus": 2, "memoryBytes": GIB}
            ).meta.uuid,
            "imageUuid": op.target_uuid,
            "l3NetworkUuids": [self.l3.uuid],
            "power": "POWER_STOPPED",
        }

    def storage(self, kind, path):
        ps = self.create(
            "PrimaryStorageService", "primary_storage", {"zoneUuid": self.z, "type": kind, "path": path}
        ).meta.uuid
        self.call("ClusterService/AttachPrimaryStorage", clusterUuid=self.c, uuid=ps)
        return ps

    def instance(self, **spec):
        op = self.call(
            "InstanceService/CreateInstance",
            instance={"meta": {"name": self.fresh("vm")}, "spec": {**self.spec, **spec}},
        )
        return self.call("InstanceService/GetInstance", uuid=op.target_uuid), op

    def refused(self, code, words, **spec):
        return self.fails(
            code,
            words,
            "InstanceService/CreateInstance",
            instance={"meta": {"name": "vm-refused"}, "spec": {**self.spec, **spec}},
        )

    def test_what_is_made(self):
        i, op = self.instance()
        self.assertEqual((op.verb, op.state), ("CreateInstance", 2))
        self.assertEqual((i.spec.cpus, i.spec.memory_bytes), (2, GIB))
        self.assertEqual(list(i.spec.storage_uuids), [self.shared])
        nic = i.spec.nics[0]
        self.assertEqual((nic.ip, nic.l3_network_uuid), ("10.0.0.11", self.l3.uuid))
        self.assertRegex(nic.mac, "^fa(:[0-9a-f]{2}){5}$")
        v = self.call("VolumeService/GetVolume", uuid=i.spec.root_volume_uuid)
        self.assertRegex(
            v.status.install_path,
            "^rootVolumes/acct-[0-9a-f]{32}/vol-%s/%s.qcow2$" % (v.meta.uuid, v.meta.uuid),
        )
        self.assertEqual((v.spec.instance_uuid, v.spec.type), (i.meta.uuid, 1))
        self.fails(
            Code.FAILED_PRECONDITION, i.meta.name, "L3NetworkService/DeleteL3Network", uuid=self.l3.uuid
        )
        self.fails(
            Code.FAILED_PRECONDITION, "in use by", "ImageService/DeleteImage", uuid=self.spec["imageUuid"]
        )
        self.fails(
            Code.FAILED_PRECONDITION,
            i.meta.name,
            "ClusterService/DetachPrimaryStorage",
            clusterUuid=self.c,
            uuid=self.shared,
        )

    def test_addresses_run_out(self):
        ips = [self.instance()[0].spec.nics[0].ip for _ in range(3)]
        self.assertEqual(ips, ["10.0.0.11", "10.0.0.12", "10.0.0.13"])
        self.refused(Code.RESOURCE_EXHAUSTED, [self.l3.name, "all 4"])
        self.assertEqual(self.call("L3NetworkService/GetL3Network", uuid=self.l3.uuid).status.used_ips, 4)

    def test_addresses_at_once(self):
        results, lock, leader = [], threading.Lock(), cloud().leader()

        def create(n):
            try:
                r = leader.call(
                    "InstanceService/CreateInstance",
                    instance={"meta": {"name": "%s-%d" % (self.l3.name, n)}, "spec": self.spec},
                ).target_uuid
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
        self.assertEqual(
            len({self.call("InstanceService/GetInstance", uuid=u).spec.nics[0].ip for u in made}), 3
        )

    def test_refusals(self):
        self.refused(Code.NOT_FOUND, "spec.image_uuid", imageUuid="e" * 32)
        self.refused(Code.INVALID_ARGUMENT, "spec.l3_network_uuids is missing", l3NetworkUuids=[])
        self.refused(Code.INVALID_ARGUMENT, "there twice", l3NetworkUuids=[self.l3.uuid, self.l3.uuid])
        self.refused(
            Code.FAILED_PRECONDITION, "NeverStop", haLevel="NEVER_STOP", primaryStorageUuid=self.local
        )
        self.refused(Code.INVALID_ARGUMENT, "spec.power", power="POWER_PAUSED")
        self.refused(Code.NOT_FOUND, "spec.host_uuid", hostUuid="d" * 32)
        self.refused(Code.INVALID_ARGUMENT, "leave nics", deleting=True)
        self.call(
            "InstanceOfferingService/UpdateInstanceOffering",
            instanceOffering={
                "meta": {"uuid": self.spec["instanceOfferingUuid"]},
                "spec": {"disabled": True},
            },
            updateMask="spec.disabled",
        )
        self.refused(Code.FAILED_PRECONDITION, "disabled")

    def test_image_of_a_server(self):
        """An image server serves Ceph storages only, and the sentence says which is which."""
        ceph = {"monitors": ["10.255.255.1"], "cephxOff": True}
        server = self.create(
            "ImageServerService", "image_server", {"zoneUuid": self.z, "type": "CEPH", "ceph": ceph}
        ).meta
        image = self.call(
            "ImageService/CreateImage",
            image={
                "meta": {"name": self.fresh("image")},
                "spec": {"url": "http://x/y", "sha256": "ab" * 32, "format": "RAW", "imageServerUuid": server.uuid},
            },
        ).target_uuid
        words = [server.name, "serves Ceph primary storages only"]
        self.refused(Code.FAILED_PRECONDITION, words, imageUuid=image)
        self.refused(Code.FAILED_PRECONDITION, words, imageUuid=image, primaryStorageUuid=self.local)

    def test_unreached_storage(self):
        lonely = self.create(
            "PrimaryStorageService",
            "primary_storage",
            {"zoneUuid": self.z, "type": "SHARED_MOUNT_POINT", "path": "/lonely"},
        ).meta.uuid
        self.refused(Code.FAILED_PRECONDITION, "no cluster reaches", primaryStorageUuid=lonely)
        self.call(
            "PrimaryStorageService/UpdatePrimaryStorage",
            primaryStorage={"meta": {"uuid": self.shared}, "spec": {"disabled": True}},
            updateMask="spec.disabled",
        )
        self.assertEqual(self.instance()[0].spec.primary_storage_uuid, self.local)
        self.refused(Code.FAILED_PRECONDITION, "shared", haLevel="NEVER_STOP")

    def test_power(self):
        i, _ = self.instance()
        u = i.meta.uuid
        self.fails(Code.FAILED_PRECONDITION, "stopped already", "InstanceService/StopInstance", uuid=u)
        self.fails(
            Code.FAILED_PRECONDITION,
            "pause instance '%s': it is" % i.meta.name,
            "InstanceService/PauseInstance",
            uuid=u,
        )
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
        self.fails(
            Code.FAILED_PRECONDITION,
            "NEVER_STOP",
            "InstanceService/UpdateInstance",
            instance={"meta": {"uuid": i.meta.uuid}, "spec": {"haLevel": "NEVER_STOP"}},
        )
        i, _ = self.instance()
        u = self.call(
            "InstanceService/UpdateInstance",
            instance={"meta": {"uuid": i.meta.uuid}, "spec": {"haLevel": "NEVER_STOP"}},
        )
        self.assertEqual(u.spec.ha_level, 1)

    def test_takeover(self):
        unknown = {"takeover": 7}
        self.fails(
            Code.INVALID_ARGUMENT,
            "spec.takeover: 7 is not known",
            "ClusterService/CreateCluster",
            cluster={"meta": {"name": "odd"}, "spec": {"zoneUuid": self.z, **unknown}},
        )
        self.refused(Code.INVALID_ARGUMENT, "spec.takeover: 7 is not known", **unknown)
        i, _ = self.instance(takeover="WRITE_FENCED")
        self.assertEqual(i.spec.takeover, 2)
        for service, kind, uuid in [("Instance", "instance", i.meta.uuid), ("Cluster", "cluster", self.c)]:
            for wish in [1, 2, 0]:
                changed = self.call(
                    f"{service}Service/Update{service}",
                    updateMask="spec.takeover",
                    **{kind: {"meta": {"uuid": uuid}, "spec": {"takeover": wish}}},
                )
                self.assertEqual(changed.spec.takeover, wish)
            self.fails(
                Code.INVALID_ARGUMENT,
                "spec.takeover: 7",
                f"{service}Service/Update{service}",
                **{kind: {"meta": {"uuid": uuid}, "spec": unknown}},
            )

    def test_priority_and_groups(self):
        def group(**spec):
            return self.create("AffinityGroupService", "affinity_group", spec)

        for spec in [{}, {"hard": True}]:
            self.fails(
                Code.INVALID_ARGUMENT,
                "ANTI_AFFINITY or AFFINITY",
                "AffinityGroupService/CreateAffinityGroup",
                affinity_group={"meta": {"name": "g"}, "spec": spec},
            )
        g, other = group(policy="ANTI_AFFINITY", hard=True), group(policy="AFFINITY")
        self.refused(Code.NOT_FOUND, "no affinity group", affinityGroupUuids=["f" * 32])
        self.refused(Code.INVALID_ARGUMENT, "there twice", affinityGroupUuids=[g.meta.uuid] * 2)
        self.refused(Code.INVALID_ARGUMENT, "more than 8", affinityGroupUuids=[f"{n:032x}" for n in range(9)])
        i, _ = self.instance(affinityGroupUuids=[g.meta.uuid], restartPriority="HIGH")
        self.assertEqual(i.spec.restart_priority, 4)
        e = self.fails(
            Code.FAILED_PRECONDITION, "in use", "AffinityGroupService/DeleteAffinityGroup", uuid=g.meta.uuid
        )
        self.assertIn(i.meta.name, e.details())

        def update(mask, **spec):
            return self.call(
                "InstanceService/UpdateInstance",
                instance={"meta": {"uuid": i.meta.uuid}, "spec": spec},
                updateMask=mask,
            )

        with self.assertRaises(grpc.RpcError) as refusal:
            update("spec.affinityGroupUuids", affinityGroupUuids=["f" * 32])
        self.assertEqual(refusal.exception.code(), Code.NOT_FOUND)
        u = update("spec.affinityGroupUuids", affinityGroupUuids=[other.meta.uuid])
        self.assertEqual((list(u.spec.affinity_group_uuids), u.spec.restart_priority), ([other.meta.uuid], 4))
        self.call("AffinityGroupService/DeleteAffinityGroup", uuid=g.meta.uuid)
        u = update("spec.affinityGroupUuids,spec.restartPriority", restartPriority="LOWEST")
        self.assertEqual((list(u.spec.affinity_group_uuids), u.spec.restart_priority), ([], 1))
        u = self.call(
            "AffinityGroupService/UpdateAffinityGroup",
            affinityGroup={"meta": {"uuid": other.meta.uuid}, "spec": {"hard": True}},
            updateMask="spec.hard",
        )
        self.assertTrue(u.spec.hard)
        self.assertEqual(u.spec.policy, 2)

    def test_plan_of_a_loss(self):
        self.fails(Code.INVALID_ARGUMENT, "name between 1 and 64 hosts", "HaService/PlanHostLoss")
        self.fails(Code.NOT_FOUND, "there is no host", "HaService/PlanHostLoss", hostUuids=["f" * 32])

    def test_data_volumes(self):
        i, _ = self.instance()
        for size in [0, 1000, (1 << 20) + 1, 1 << 47]:
            self.fails(
                Code.INVALID_ARGUMENT,
                "spec.size_bytes",
                "VolumeService/CreateVolume",
                volume={"meta": {"name": "v"}, "spec": {"sizeBytes": size}},
            )
        v = self.create("VolumeService", "volume", {"sizeBytes": GIB})
        self.assertRegex(v.status.install_path, "^dataVolumes/")
        a = self.call("VolumeService/AttachVolume", uuid=v.meta.uuid, instanceUuid=i.meta.uuid)
        self.assertEqual((a.spec.instance_uuid, a.spec.primary_storage_uuid), (i.meta.uuid, self.shared))
        self.assertEqual(
            list(self.call("InstanceService/GetInstance", uuid=i.meta.uuid).spec.data_volume_uuids),
            [v.meta.uuid],
        )
        self.fails(
            Code.FAILED_PRECONDITION,
            "attached",
            "VolumeService/AttachVolume",
            uuid=v.meta.uuid,
            instanceUuid=i.meta.uuid,
        )
        self.fails(
            Code.FAILED_PRECONDITION, "detach it first", "VolumeService/DeleteVolume", uuid=v.meta.uuid
        )
        self.fails(
            Code.FAILED_PRECONDITION,
            "root volume",
            "VolumeService/DeleteVolume",
            uuid=i.spec.root_volume_uuid,
        )
        op = self.call("VolumeService/ResizeVolume", uuid=v.meta.uuid, sizeBytes=2 * GIB)  # it does not run: the next start
        self.assertEqual((op.state, self.call("VolumeService/GetVolume", uuid=v.meta.uuid).spec.size_bytes), (2, 2 * GIB))
        for size, words in [(GIB, "only grows"), (2 * GIB + 1, "multiple of 512")]:
            self.fails(Code.INVALID_ARGUMENT, words, "VolumeService/ResizeVolume", uuid=v.meta.uuid, sizeBytes=size)
        self.fails(
            Code.FAILED_PRECONDITION,
            "before its image has been fetched",
            "VolumeService/ResizeVolume",
            uuid=i.spec.root_volume_uuid,
            sizeBytes=GIB,
        )
        self.call("VolumeService/DetachVolume", uuid=v.meta.uuid)
        op = self.call("VolumeService/DeleteVolume", uuid=v.meta.uuid)
        self.assertEqual(op.state, 2)
        self.fails(Code.NOT_FOUND, v.meta.uuid, "VolumeService/GetVolume", uuid=v.meta.uuid)


if __name__ == "__main__":
    api_case.main()
