#!/usr/bin/python3
"""What hf-ceph does for image servers, on a Ceph cluster that it starts: ceph_images_real_test.py LAB-DIR PROGRAM. The pool and its
key, storages' hosts that may read it and clone from it, deleted images that leave it."""
import json
import subprocess
import sys
import unittest

SKIPPED = 77
DEADLINE_S = 60
SNAP, SIZE = "holdfast", 4 << 20
SERVER, HOST, IMAGE, OTHER = (f"{n:032x}" for n in (1, 2, 3, 4))

# As a host: clones the image into the storage's pool, then tries to write and to delete in the server's.
AS_HOST = """
import sys, rados, rbd
where, key, image, snap = sys.argv[1:]
cluster = rados.Rados(rados_id="holdfast-%s", conf={"mon_host": where, "key": key, "keyring": "/dev/null"})
cluster.connect(timeout=10)
bak, cache = cluster.open_ioctx("bak"), cluster.open_ioctx("cache")
rbd.RBD().clone(bak, image, snap, cache, image)
with rbd.Image(cache, image) as copy:
    assert copy.read(0, 3) == b"abc"
    copy.create_snap(snap)
    copy.protect_snap(snap)
for bad in (lambda: bak.write_full("x", b"x"), lambda: rbd.RBD().create(bak, "mine", 1 << 20),
            lambda: rbd.RBD().rename(bak, image, "stolen")):
    try:
        bad()
    except (rados.Error, rbd.Error):
        continue
    sys.exit("it may write in the server's pool")
""" % HOST


class Images(unittest.TestCase):
    alone = program = None  # set by main()

    def ask(self, verb, **question):
        text = json.dumps({"verb": verb, "monitors": [self.alone.address], "user": "admin", "key": self.alone.ceph.key(), "fsid": "",
                           **question})
        done = subprocess.run(["ip", "netns", "exec", self.alone.fabric, self.program], input=text, capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def prepare(self, pools, hosts, read=(), **more):
        return self.ask("prepare", pools=[{"name": p, "make": True} for p in pools], hosts=hosts, read=list(read),
                        **{"revoke": [], **more})

    def remove(self, *images):
        return self.ask("remove-images", pool="bak", images=list(images))

    def put(self, name, whole=True):
        def make(rbd, io):
            rbd.RBD().create(io, name, SIZE, old_format=False)
            with rbd.Image(io, name) as image:
                image.write(b"abc", 0)
                if whole:
                    image.create_snap(SNAP)
                    image.protect_snap(SNAP)
        self.alone.ceph._in_pool("bak", make)  # pylint: disable=protected-access

    def clone(self, pool, name, to, clone):
        import rados

        def make(rbd, io):
            cluster = rados.Rados(rados_id="admin", conf={"mon_host": self.alone.address, "key": self.alone.ceph.key()})
            cluster.connect(timeout=10)
            with cluster.open_ioctx(to) as there:
                rbd.RBD().clone(io, name, SNAP, there, clone)
            cluster.shutdown()
        self.alone.ceph._in_pool(pool, make)  # pylint: disable=protected-access

    def test_an_image_server(self):
        ceph = self.alone.ceph
        answer = self.prepare(["bak"], [SERVER])
        self.assertEqual([k["user"] for k in answer["keys"]], [f"holdfast-{SERVER}"])
        self.assertEqual(ceph.entities()[f"client.holdfast-{SERVER}"]["osd"], "profile rbd pool=bak")
        self.assertEqual(answer["fsid"], ceph.fsid)
        self.assertGreaterEqual(answer["total_bytes"], answer["available_bytes"])

        # A host of another cluster's storage reads, until its copy is done (what its caps allow: storage/ceph_copy_test.c).
        reader = f"holdfast-{HOST}-{SERVER}"
        answer = self.prepare(["bak"], [SERVER], server=SERVER, readers=[HOST])
        self.assertEqual([(k["host"], k["user"]) for k in answer["keys"]], [(SERVER, f"holdfast-{SERVER}"), (HOST, reader)])
        self.assertEqual(ceph.entities()[f"client.{reader}"],
                         {"mon": "profile simple-rados-client", "osd": "profile rbd-read-only pool=bak"})
        self.assertEqual([k["host"] for k in self.prepare(["bak"], [SERVER], server=SERVER, revoke=[reader])["keys"]], [SERVER])
        self.assertNotIn(f"client.{reader}", ceph.entities())

        answer = self.prepare(["cache", "root"], [HOST], read=["bak"])
        self.assertEqual(ceph.entities()[f"client.holdfast-{HOST}"]["osd"],
                         "profile rbd pool=cache, profile rbd pool=root, profile rbd-read-only pool=bak")
        self.put(IMAGE)
        done = subprocess.run(["ip", "netns", "exec", self.alone.fabric, sys.executable, "-B", "-c", AS_HOST, self.alone.address,
                               answer["keys"][0]["key"], IMAGE, SNAP], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(ceph.image("cache", IMAGE)["parent"], ("bak", IMAGE, SNAP))

        # A volume keeps it all; then it goes, with what a crashed host has left, and nothing else.
        self.clone("cache", IMAGE, "root", "volume")
        self.put(f"{IMAGE}.by-{HOST}", whole=False)
        self.put(OTHER)
        kept = self.remove(IMAGE)
        self.assertEqual((kept["removed"], kept["kept"][0]["image"]), ([], IMAGE))
        self.assertIn("'root/volume': delete or flatten", kept["kept"][0]["why"])
        self.assertEqual(ceph.images("cache"), [IMAGE])
        ceph._in_pool("root", lambda rbd, io: rbd.RBD().remove(io, "volume"))  # pylint: disable=protected-access
        for _ in range(2):  # it may be repeated
            self.assertEqual(self.remove(IMAGE), {"removed": [IMAGE], "kept": []})
        self.assertEqual((ceph.images("bak"), ceph.images("cache"), ceph.trash("bak")), ([OTHER], [], []))
        self.clone("bak", OTHER, "root", "somebody's")
        self.assertIn("'root/somebody's' is a clone of it", self.remove(OTHER)["kept"][0]["why"])


def main():
    lab, Images.program = sys.argv[1:]
    sys.path.insert(0, lab)
    from holdlab import ceph_alone
    why = ceph_alone.unavailable()
    if why:
        print(why)
        return SKIPPED
    with ceph_alone.cluster("ceph-img") as Images.alone:
        result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(Images))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
