#!/usr/bin/python3
"""hf-ceph's fence and unfence on a real cluster, against clients that have an address of their own:
ceph_fence_real_test.py LAB-DIR HF-CEPH."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

SKIPPED = 77
DEADLINE_S = 60
RECORD = "heartbeat-file-kvm-host-x.hb"

# Opens an image as a guest's QEMU does; each line it reads is an order, each answer a line: "ok", "refused", or what else.
CLIENT = """
import sys, time
import rados, rbd
config, pool, name, lock = sys.argv[1:]
def say(what):
    print(what, flush=True)
def verdict(e):
    return "refused" if "108" in str(e) or "shutdown" in str(e).lower() else f"{type(e).__name__}: {e}"
try:
    c = rados.Rados(conffile=config, conf={"admin_socket": "", "log_file": "", "rbd_cache": "false"})
    c.connect()
    io = c.open_ioctx(pool)
    image = rbd.Image(io, name)
    if lock == "lock":
        image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
    say(c.get_addrs())
except Exception as e:
    say(verdict(e))
    sys.exit(1)
for line in sys.stdin:
    try:
        if line.strip() == "read":
            say(image.read(0, 1).decode())
        else:
            image.write(line.strip().encode() * 512, 0)
            say("ok")
    except Exception as e:
        say(verdict(e))
image.close()
"""


class Client:
    """One in a namespace. at: its address and number, or "refused"."""

    def __init__(self, alone, netns, image, lock=True):
        self.child = subprocess.Popen(
            alone.group.joining(["ip", "netns", "exec", netns, "/usr/bin/python3", "-B", "-c", CLIENT, alone.ceph.config,
                                 "unit", image, "lock" if lock else "-"]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.at = self.child.stdout.readline().strip()

    def ask(self, order):
        self.child.stdin.write(order + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def signal(self, number):
        os.kill(self.child.pid, number)

    def leave(self):
        """Gives the lock back: who is killed is believed to have it for half a minute."""
        self.child.stdin.close()
        self.child.wait(DEADLINE_S)

    def end(self):
        with contextlib.suppress(OSError):
            self.child.kill()
        self.child.wait(DEADLINE_S)
        self.child.stdin.close()
        self.child.stdout.close()


class Fencing(unittest.TestCase):
    alone = program = None  # set by main()

    def setUp(self):
        self.h1, self.h1_ip = self.alone.machine(1)
        self.h2, self.h2_ip = self.alone.machine(2)
        self.alone.ceph.command({"prefix": "osd blocklist clear"})

    def client(self, netns, image, lock=True):
        client = Client(self.alone, netns, image, lock)
        self.addCleanup(client.end)
        return client

    def image(self, name):
        def make(rbd, io):
            rbd.RBD().create(io, name, 8 << 20, old_format=False,
                             features=rbd.RBD_FEATURE_LAYERING | rbd.RBD_FEATURE_EXCLUSIVE_LOCK)
        self.alone.ceph._in_pool("unit", make)  # pylint: disable=protected-access
        return name

    def start(self, verb, **question):
        child = subprocess.Popen(["ip", "netns", "exec", self.alone.fabric, self.program], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        json.dump({"verb": verb, "monitors": [self.alone.address], "user": "admin", "key": self.alone.ceph.key(), "fsid": "",
                   **question}, child.stdin)
        child.stdin.close()
        child.stdin = None
        return child

    def ask(self, verb, **question):
        """(answer, "") or (None, the error)."""
        child = self.start(verb, **question)
        out, err = child.communicate(timeout=DEADLINE_S)
        return (json.loads(out) if child.returncode == 0 else None), err.strip()

    def fence(self, *addresses, images=(), others=(), **more):
        answer, err = self.ask("fence", addresses=list(addresses), others=list(others),
                               images=[{"pool": "unit", "image": i} for i in images], **more)
        self.assertIsNotNone(answer, err)
        self.assertLessEqual(set(answer["entries"]), set(self.alone.ceph.blocklist()))
        return answer

    def unfence(self, entries, in_s=60):
        return self.ask("unfence", entries=entries, until_ms=int((time.clock_gettime(time.CLOCK_BOOTTIME) + in_s) * 1000))

    def test_a_whole_address(self):
        """Every client of it, present, stopped and to come, and nobody else; until it is taken off again."""
        images = [self.image("whole-1"), self.image("whole-2"), self.image("whole-3")]
        live, stopped = self.client(self.h1, images[0]), self.client(self.h1, images[1])
        self.assertEqual([live.ask("a"), stopped.ask("a")], ["ok", "ok"])
        self.assertTrue(live.at.startswith(self.h1_ip + ":0/"), live.at)
        stopped.signal(signal.SIGSTOP)
        answer = self.fence(self.h1_ip, images=images, others=[self.h2_ip])
        self.assertEqual((answer["entries"], answer["by_clients"], answer["shared_with"]), ([f"{self.h1_ip}:0/0"], False, ""))
        epoch = self.alone.ceph.command({"prefix": "osd dump"})["epoch"]
        self.assertTrue(0 < answer["osdmap_epoch"] <= epoch)
        stopped.signal(signal.SIGCONT)
        for _ in range(20):
            self.assertEqual([live.ask("b"), stopped.ask("b")], ["refused", "refused"])
        self.assertEqual(self.client(self.h1, images[2]).at, "refused")
        for image in images:  # the next owner waits for nobody
            taker = self.client(self.h2, image)
            self.assertEqual(taker.ask("c"), "ok")
            self.assertEqual(taker.ask("read"), "c")
            taker.leave()
        self.assertEqual([live.ask("d"), stopped.ask("d")], ["refused", "refused"])
        # It may be repeated, and does not end by itself: Ceph does not prolong what is there.
        self.fence(self.h1_ip, images=images)
        until = self.alone.ceph.command({"prefix": "osd dump"})["blocklist"][f"{self.h1_ip}:0/0"]
        self.assertGreater(int(until[:4]), time.gmtime().tm_year + 8)
        for _ in range(2):
            removed, err = self.unfence([f"{self.h1_ip}:0/0"])
            self.assertEqual(err, "")
            self.assertGreater(removed["osdmap_epoch"], answer["osdmap_epoch"])
        self.assertNotIn(f"{self.h1_ip}:0/0", self.alone.ceph.blocklist())
        fresh = self.client(self.h1, images[2])
        self.assertEqual(fresh.ask("e"), "ok")

    def test_a_removal_that_comes_too_late(self):
        """Who asked for it stood still meanwhile, or has not said how long it counts."""
        entry = f"{self.h1_ip}:0/0"
        self.fence(self.h1_ip)
        for answer, err in (self.unfence([entry], in_s=-0.001), self.ask("unfence", entries=[entry])):
            self.assertIsNone(answer)
            self.assertIn("too late", err)
        self.assertIn(entry, self.alone.ceph.blocklist())

    def test_nothing_lands_behind_the_next_owners_first_write(self):
        """The victim writes without pause while it is fenced. What the next owner has written stays, whenever the fence fell."""
        image = self.image("pause")
        for _ in range(4):
            victim = self.client(self.h1, image)
            said, over = [], threading.Event()

            def write(victim=victim, said=said, over=over):
                while not over.is_set() and said[-1:] != ["refused"]:
                    said.append(victim.ask("v"))
            writer = threading.Thread(target=write)
            writer.start()
            try:
                while len(said) < 5:
                    time.sleep(0.005)
                self.fence(self.h1_ip, images=[image])
                taker = self.client(self.h2, image)
                self.assertEqual(taker.ask("t"), "ok")
                before = len(said)
                for _ in range(50):
                    self.assertEqual(taker.ask("read"), "t")
            finally:
                over.set()
                writer.join(DEADLINE_S)
            self.assertNotIn("ok", said[before + 1:])  # one may have been answered before it was counted
            self.assertEqual(said[-1] if said[-1] != "ok" else victim.ask("v"), "refused")
            taker.leave()
            victim.end()
            self.assertIsNotNone(self.unfence([f"{self.h1_ip}:0/0"])[0])

    def test_addresses_that_nobody_told(self):
        """The host moved: one is found by an open volume, one by the lease record."""
        image = self.image("moved")
        self.assertEqual(self.client(self.h1, image).ask("a"), "ok")
        self.alone.ceph._in_pool("unit", lambda _rbd, io: (  # pylint: disable=protected-access
            io.write(RECORD, b"x"), io.set_xattr(RECORD, "holdfast.client", f"{self.h2_ip}:0/7".encode())))
        answer = self.fence("10.1.1.1", images=[image], record={"pool": "unit", "object": RECORD})
        self.assertEqual(answer["entries"], ["10.1.1.1:0/0", f"{self.h2_ip}:0/0", f"{self.h1_ip}:0/0"])
        answer, err = self.ask("fence", addresses=[], others=[], images=[{"pool": "gone", "image": "x"}],
                               record={"pool": "unit", "object": "none"})
        self.assertIsNone(answer)
        self.assertIn("nothing tells at which addresses", err)

    def test_shared_addresses(self):
        """With the cluster's daemons, or with another host: the clients that are known, nobody else."""
        for netns, ip, others, who in ((self.alone.fabric, self.alone.address, [], f"osd.0 at {self.alone.address}"),
                                       (self.h1, self.h1_ip, [self.h1_ip], f"another host or control node at {self.h1_ip}")):
            images = [self.image(f"shared-{ip}-{n}") for n in range(2)]
            victim, bystander = self.client(netns, images[0]), self.client(netns, images[1])
            self.assertEqual([victim.ask("a"), bystander.ask("a")], ["ok", "ok"])
            answer = self.fence(ip, images=images[:1], others=others)
            self.assertEqual((answer["entries"], answer["by_clients"], answer["shared_with"]), ([victim.at], True, who))
            self.assertEqual([victim.ask("b"), bystander.ask("b")], ["refused", "ok"])
        self.alone.ceph.wait_up()

    def test_an_osd_that_restarts_meanwhile(self):
        """What is known is refused at once; the answer waits for the OSD, and so do the victim's writes, which then fail."""
        image = self.image("restart")
        victim = self.client(self.h1, image)
        self.assertEqual(victim.ask("a"), "ok")
        victim.signal(signal.SIGSTOP)
        self.alone.ceph.kill("osd.0")
        child = self.start("fence", addresses=[self.h1_ip], others=[], images=[{"pool": "unit", "image": image}])
        end = time.monotonic() + DEADLINE_S
        while self.alone.ceph.blocklist() == [] and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(self.alone.ceph.blocklist(), [f"{self.h1_ip}:0/0"])
        self.alone.ceph.start("osd.0")
        victim.signal(signal.SIGCONT)
        self.assertEqual(victim.ask("b"), "refused")
        out, err = child.communicate(timeout=DEADLINE_S)
        if child.returncode != 0:  # the OSD took longer than its patience, which is said; then it is asked again
            self.assertIn(image, err)
            out = json.dumps(self.fence(self.h1_ip, images=[image]))
        self.assertEqual(json.loads(out)["entries"], [f"{self.h1_ip}:0/0"])
        self.assertEqual(victim.ask("c"), "refused")
        self.alone.ceph.wait_up()

    def test_no_monitor(self):
        self.alone.ceph.freeze("mon.a")
        try:
            child = subprocess.run(["ip", "netns", "exec", self.alone.fabric, self.program], text=True, capture_output=True,
                                   timeout=DEADLINE_S, check=False, input=json.dumps({
                                       "verb": "fence", "monitors": [self.alone.address], "user": "", "addresses": [self.h1_ip]}))
        finally:
            self.alone.ceph.thaw("mon.a")
        self.assertEqual(child.returncode, 1)
        self.assertIn("no monitor at", child.stderr)

    def test_what_cannot_be(self):
        for question, says in (({"addresses": ["fd00::1"]}, "no IPv4"), ({"addresses": [7]}, "no IPv4"),
                               ({"addresses": ["10.0.0.1"], "others": ["h2"]}, "'h2'")):
            answer, err = self.ask("fence", **question)
            self.assertIsNone(answer)
            self.assertIn(says, err)
        for entries in (None, ["10.0.0.1:0/0", "x"], ["10.0.0.1:0/0"] * 257):
            self.assertIsNone(self.unfence(entries)[0])
        self.assertEqual(self.alone.ceph.blocklist(), [])


def main():
    lab, Fencing.program = sys.argv[1:3]
    sys.path.insert(0, lab)
    from holdlab import ceph_alone
    why = ceph_alone.unavailable()
    if why:
        return SKIPPED
    with ceph_alone.cluster("ceph-fence") as Fencing.alone:
        done = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], exit=False, verbosity=2)
    return 0 if done.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
