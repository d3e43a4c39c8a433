#!/usr/bin/python3
"""hf-ceph with several monitors on a cluster that it starts: one whose clock is out of step, ones that go and come back, and askers
whose own clock is wrong: ceph_mons_real_test.py LAB-DIR HF-CEPH."""
import json
import subprocess
import sys
import time
import unittest

SKIPPED = 77
DEADLINE_S = 60
MONS = 3
SKEW = "+0.5s"   # Ceph allows for 0.05 s; beyond the monitors' own lease (5 s if not told otherwise) it would answer nobody
HOST = "10.0.0.5:0/0"
NOTHING = {"pools": [{"name": "unit", "make": False}], "hosts": [], "revoke": [], "read": []}   # is prepared


class Mons(unittest.TestCase):
    alone = program = key = None  # set by main()

    def ask(self, verb, clock=None, monitors=None, **question):
        """(answer, "") or (None, the error). clock: how far the asker's is ahead."""
        text = json.dumps({"verb": verb, "monitors": monitors or [self.alone.ceph.monitor(n) for n in range(MONS)], "user": "admin",
                           "key": self.key, "fsid": "", **question})
        done = subprocess.run(["ip", "netns", "exec", self.alone.fabric, *self.with_clock(clock), self.program], input=text,
                              capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        return (json.loads(done.stdout) if done.returncode == 0 else None), done.stderr.strip()

    def fence_and_take_off(self, **how):
        answer, err = self.ask("fence", addresses=["10.0.0.5"], others=["10.0.0.6"], images=[], **how)
        self.assertIsNotNone(answer, err)
        self.assertEqual(answer["entries"], [HOST])
        self.assertIn(HOST, self.alone.ceph.blocklist())
        until_ms = int((time.clock_gettime(time.CLOCK_BOOTTIME) + DEADLINE_S) * 1000)  # a clock that nobody sets
        answer, err = self.ask("unfence", entries=[HOST], until_ms=until_ms, **how)
        self.assertIsNotNone(answer, err)
        self.assertNotIn(HOST, self.alone.ceph.blocklist())

    def wait_health(self, what, is_so):
        """Monitors that have lost one of them answer nobody until they have found together again."""
        end, said = time.monotonic() + DEADLINE_S, ""
        while True:
            answer, said = self.ask("prepare", **NOTHING)
            if answer and is_so(answer["health_message"]):
                return
            self.assertLess(time.monotonic(), end, f"{what}: {answer or said}")
            time.sleep(0.2)

    def test_a_monitor_whose_clock_is_out_of_step(self):
        """Ceph's own word on it is passed on, and the blocklist goes on as if nothing were."""
        ceph = self.alone.ceph
        ceph.kill("mon.c")
        ceph.start("mon.c", clock=SKEW)
        try:
            self.wait_health("a word about the clock", lambda said: "clock skew detected on mon.c" in said)
            for _ in range(6):  # some of them by that monitor
                self.fence_and_take_off()
        finally:
            ceph.kill("mon.c")
            ceph.start("mon.c")
        self.wait_health("the end of that word", lambda said: "clock skew" not in said)

    def test_an_asker_whose_clock_is_wrong(self):
        """By minutes, a day, or years: what is fenced stays so, as the cluster's clock counts."""
        for clock in ("+5m", "-1d", "+20y"):
            with self.subTest(clock=clock):
                answer, err = self.ask("fence", clock, addresses=["10.0.0.5"], others=[], images=[])
                self.assertIsNotNone(answer, err)
                until = self.alone.ceph.command({"prefix": "osd dump"})["blocklist"][HOST]
                self.assertIn(int(until[:4]) - time.gmtime().tm_year, (9, 10))
                self.fence_and_take_off(clock=clock)

    def test_monitors_that_go(self):
        """One of those named is enough while the others have a quorum; without one nothing is confirmed, and later it is."""
        ceph = self.alone.ceph
        ceph.kill("mon.a")
        try:
            self.wait_health("a quorum of two", lambda _said: True)
            self.fence_and_take_off()
            answer, err = self.ask("fence", monitors=[ceph.monitor(0)], addresses=["10.0.0.5"], others=[], images=[])
            self.assertIsNone(answer)
            self.assertIn(f"no monitor at {ceph.monitor(0)} answers as Ceph", err)
            ceph.kill("mon.b")
            try:
                answer, err = self.ask("fence", addresses=["10.0.0.5"], others=[], images=[])
                self.assertIsNone(answer)
                self.assertRegex(err, "quorum|timed out")
            finally:
                ceph.start("mon.b")
            self.wait_health("the quorum again", lambda _said: True)
            self.fence_and_take_off()
        finally:
            ceph.start("mon.a")
        self.wait_health("the first one again", lambda _said: self.ask("prepare", monitors=[ceph.monitor(0)], **NOTHING)[0])


def main():
    lab, program = sys.argv[1:]
    sys.path.insert(0, lab)
    from holdlab import ceph, ceph_alone
    why = ceph_alone.unavailable() or ceph.no_other_clocks()
    if why:
        print(why)
        return SKIPPED
    with ceph_alone.cluster("ceph-mons", mons=MONS) as alone:
        Mons.alone, Mons.program, Mons.key, Mons.with_clock = alone, program, alone.ceph.key(), staticmethod(ceph.with_clock)
        result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(Mons))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
