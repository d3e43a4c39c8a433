"""hf-sim itself: what it says, what it writes, how it ends. Argument: hf-sim-fake, whose worlds only pretend (fake_world.c)."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="hf-sim-test-")
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def run_sim(self, *words, code=0):
        done = subprocess.run([PROGRAM, *words], cwd=self.folder.name, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def refused(self, *words):
        said = self.run_sim(*words, code=2).stderr
        self.assertTrue(said.startswith("hf-sim: "), said)
        return said


    def all_kinds(self):
        printed = self.run_sim("--print-profile", "default").stdout
        return re.findall(r"^(\S+) .*= (?:off|.* per hour)", printed, re.M)


class Runs(Case):
    def test_good_seeds(self):
        out = self.run_sim("--seeds", "2", "--seed", "11").stdout
        self.assertIn("2 seeds from 11 on, profile default, commit unknown", out)
        self.assertIn("4 failovers", out)
        self.assertIn("0 seeds failed", out)
        self.assertRegex(out, r"fault +struck")

    def test_json_on_standard_output_is_json_alone(self):
        done = self.run_sim("--seeds", "2", "--seed", "11", "--commit", "abc", "--json")
        numbers = json.loads(done.stdout)
        for name in ("seeds", "violations", "wall_s", "virtual_s", "failovers", "faults"):
            self.assertIn(name, numbers)
        self.assertEqual((numbers["seeds"], numbers["violations"], numbers["failovers"]), (2, 0, 4))
        self.assertEqual(numbers["virtual_s"], 200)
        self.assertEqual(numbers["commit"], "abc")
        self.assertIn("host-power", numbers["faults"])
        self.assertIn("0 seeds failed", done.stderr)

    def test_json_in_a_file(self):
        self.run_sim("--seeds", "1", "--json", self.path("n.json"))
        self.assertEqual(json.loads(self.read("n.json"))["seeds"], 1)

    def test_jobs_do_not_change_the_sums(self):
        sums = []
        for jobs in ("0", "1", "4"):
            numbers = json.loads(self.run_sim("--seeds", "3", "--seed", "20", "--jobs", jobs, "--json").stdout)
            sums.append((numbers["faults"], numbers["failovers"], numbers["virtual_s"]))
        self.assertEqual(sums[0], sums[1])
        self.assertEqual(sums[0], sums[2])

    def test_time_box(self):
        out = self.run_sim("--seconds", "1", "--seed", "0", "--until-failure", "--profile", "calm", "--shrink", "0", "--jobs", "1",
                           code=1).stdout
        self.assertIn("seed 4 failed", out)

    def test_trace_of_one_seed(self):
        self.run_sim("--seed", "1", "--trace", self.path("t"))
        self.assertEqual(self.read("t"), "# seed 1, profile default\n     1.000000  h1            boots\n")

    def test_some_run_twice(self):
        numbers = json.loads(self.run_sim("--seeds", "3", "--seed", "20", "--twice-every", "1", "--json").stdout)
        self.assertEqual(numbers["ran_twice"], 3)


class Failures(Case):
    def test_violation_is_told_with_all_that_is_needed(self):
        kinds = ("host-power", "wall-jump", "net-cut", "guest-crash")
        profile = self.write("few.profile", "seconds = 60\n" + "".join(f"{kind} = 600 per hour for 5..9\n" for kind in kinds)
                             + "".join(f"{kind} = off\n" for kind in self.all_kinds() if kind not in kinds))
        done = self.run_sim("--seeds", "1", "--seed", "3", "--profile", profile, "--commit", "abc", "--json", self.path("j"),
                            code=1)
        self.assertIn("seed 3 failed: two-copies: instance 'i1' runs on h1 and h2", done.stdout)
        self.assertIn("commit    abc", done.stdout)
        failed = json.loads(self.read("j"))["failed"][0]
        self.assertEqual((failed["seed"], failed["kind"]), (3, "two-copies"))
        faults = [line for line in self.read(failed["schedule"]).splitlines() if not line.startswith("#")]
        self.assertEqual(sorted(line.split()[1] for line in faults), ["host-power", "wall-jump"])
        self.assertIn("boots", self.read(failed["trace"]))
        self.assertRegex(done.stdout, r"\(2 of \d+ are needed\)")
        self.assertFalse([n for n in os.listdir(self.path("sim-failures")) if ".try." in n])
        words = failed["command"].split()
        self.assertEqual(words[:2], ["./check", "sim"])
        again = self.run_sim(*words[2:], "--study", "0", code=1).stdout
        self.assertIn("two-copies", again)

    def test_assertion_in_a_world_is_a_failure_of_its_seed(self):
        out = self.run_sim("--seeds", "3", "--seed", "23", "--shrink", "0", "--profile", "calm", code=1).stdout
        self.assertRegex(out, r"seed 24 failed: the program ended by signal 6 .*the world is round")
        self.assertNotIn("seed 23 failed", out)
        self.assertIn("the world is round", self.read("sim-failures/seed-24.said"))

    def test_run_that_is_not_the_same_twice(self):
        done = self.run_sim("--seed", "5", "--twice-every", "1", code=1).stdout
        self.assertIn("seed 5 FAILED: its two runs differ", done)
        self.assertRegex(done, r"seed 5 diverges: its runs part at line 3 of their traces .*time 2\.000000.*: '.*process \d+' / '")

    def test_run_without_an_end(self):
        out = self.run_sim("--seed", "6", "--limit", "1", code=1).stdout
        self.assertIn("seed 6 failed: the run did not end within 1 s", out)

    def test_world_that_cannot_be_set_up(self):
        out = self.run_sim("--seed", "7", "--shrink", "1", code=1).stdout
        self.assertIn("seed 7 failed: seed 7: the world was not ready", out)

    def test_until_failure(self):
        numbers = json.loads(self.run_sim("--seeds", "50", "--seed", "4", "--jobs", "1", "--until-failure", "--study", "0",
                                          "--json", code=1).stdout)
        self.assertEqual(numbers["seeds"], 1)


class BadInput(Case):
    def test_numbers(self):
        self.assertIn("--seed 'x' is no whole number", self.refused("--seed", "x"))
        self.assertIn("--seed '-1' is no whole number", self.refused("--seed", "-1"))
        self.assertIn("--seed '18446744073709551616' is no", self.refused("--seed", "18446744073709551616"))
        self.assertIn("--seeds '0' is no whole number from 1", self.refused("--seeds", "0"))
        self.assertIn("--seeds '1.5' is no", self.refused("--seeds", "1.5"))
        self.assertIn("--jobs '65' is no", self.refused("--jobs", "65"))
        self.assertIn("there are no 2 seeds from there on", self.refused("--seed", "18446744073709551615", "--seeds", "2"))

    def test_words(self):
        self.assertIn("'--sedes' is no option", self.refused("--sedes", "3"))
        self.assertIn("'--seed' is no option, or its value is missing", self.refused("--seed"))
        self.assertIn("'17' is not expected", self.refused("17"))

    def test_profiles(self):
        self.assertIn("there is no profile 'hurricane': name one of default, calm, storm, speed",
                      self.refused("--profile", "hurricane"))
        self.assertIn("cannot read './mine'", self.refused("--profile", "./mine"))
        self.assertIn(":2: there is no 'hots'",
                      self.refused("--profile", self.write("p.profile", "nodes = 3\nhots = 3\n")))
        self.assertIn("there is no room", self.refused("--profile", self.write("p.profile", "hosts = 3\ninstances = 500\n")))
        self.assertIn("without a host", self.refused("--profile", self.write("p.profile", "hosts = 0\n")))
        self.assertIn("there is no storage", self.refused("--profile", self.write("p.profile", "shared_storages = 0\n")))

    def test_schedules(self):
        bad = self.write("s", "1 host-power h1 for 3\n2 host-power h99 for 3\n")
        self.assertRegex(self.refused("--seed", "1", "--schedule", bad), r"/s:2: host-power: there is no 'h99' in this world")
        self.assertIn("belongs to one seed", self.refused("--seeds", "2", "--schedule", bad))
        self.assertIn("cannot read", self.refused("--seed", "1", "--schedule", self.path("none")))

    def test_files_that_cannot_be_written(self):
        self.assertIn("cannot write the trace to '/nowhere/t'", self.refused("--seed", "1", "--trace", "/nowhere/t"))
        self.assertIn("cannot write the numbers to '/nowhere/n'", self.refused("--seed", "1", "--json", "/nowhere/n"))
        self.assertIn("--trace is of one seed", self.refused("--seeds", "2", "--trace", self.path("t")))

    def test_mutants(self):
        self.refused("--mutant", "NO_SUCH_BUG")


class Lists(Case):
    def test_runs_each_line(self):
        self.write("f.faults", "1 host-power h1 for 3\n")
        self.write("small.profile", "hosts = 3\n")
        path = self.write("list", "# all that ever failed\n11 default - one\n12 ./small.profile f.faults two words\n")
        out = self.run_sim("--list", path).stdout
        self.assertIn("2 seeds", out)
        self.assertRegex(out, r"host-power +\d+")

    def test_empty_list(self):
        self.assertIn("0 seeds failed", self.run_sim("--list", self.write("list", "# none yet\n")).stdout)

    def test_malformed_lines(self):
        for line, expected in (("11 default -", "list:1: a line is 'seed profile"), ("x default - why", "'x' is no seed"),
                               ("1 hurricane - why", "there is no profile 'hurricane'"),
                               ("1 default none.faults why", "none.faults'"), ("hello", "a line is")):
            self.assertIn(expected, self.refused("--list", self.write("list", line + "\n")))
        self.assertIn("leave out --seed", self.refused("--list", self.write("list", ""), "--seed", "1"))


class Shows(Case):
    def test_help_names_every_option(self):
        out = self.run_sim("--help").stdout
        for option in ("seeds", "seed", "seconds", "profile", "schedule", "trace", "json", "jobs", "list", "mutant", "folder",
                       "faults", "profiles", "print-profile", "print-schedule", "twice-every", "limit", "study", "shrink"):
            self.assertIn(f"--{option}", out)

    def test_printed_profile_is_one(self):
        names = [line.split()[0] for line in self.run_sim("--profiles").stdout.splitlines()]
        self.assertEqual(names, ["default", "calm", "storm", "speed"])
        for name in names:
            path = self.write("p.profile", self.run_sim("--print-profile", name).stdout)
            self.assertEqual(self.run_sim("--print-profile", path).stdout, self.read("p.profile"))

    def test_printed_schedule_is_one(self):
        out = self.run_sim("--seed", "9", "--profile", "storm", "--print-schedule").stdout
        path = self.write("s", out)
        self.assertGreater(len(out.splitlines()), 20)
        one, other = (json.loads(self.run_sim("--seed", "9", "--profile", "storm", *more, "--json").stdout)["faults"]
                      for more in ((), ("--schedule", path)))
        self.assertEqual(one, other)

    def test_every_kind_of_fault_is_explained(self):
        out = self.run_sim("--faults").stdout
        for kind in self.all_kinds():
            self.assertIn(f"\n{kind}", out)


if __name__ == "__main__":
    unittest.main(verbosity=1)
