"""The runner bites: it tells a table that cannot be read, a run that came out wrong, a search that proves nothing."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import spin_run
from run import BadTable, Checker, HERE, Row, Table

TWO_TICKS = """#include "switches.h"
byte n;
active proctype p()
{
end:
    do
    :: n < 2 -> n++
    :: n == 2 && R19_PROOF -> event(two)
    :: n == 3 -> event(three)
    od
}
"""


class TableTest(unittest.TestCase):
    def read(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write(text)
            f.flush()
            return Table(f.name)

    def test_words_become_options(self):
        table = self.read("let A = X Y=2\n[m]\n*one pass $A -R1_TERM never:e | why\n")
        row = table.rows[0]
        self.assertEqual((row.model, row.name, row.quick), ("m", "one", True))
        self.assertEqual(row.flags, ["-DX", "-DY=2", "-DR1_TERM=0"])
        self.assertEqual(row.never, {"e"})

    def test_rows_of_T_become_two_runs(self):
        table = self.read("[smallest_T m X]\n 3 1 3 0 2 | 8\n")
        self.assertEqual([(r.expect, r.flags[-1]) for r in table.smallest[0].rows()], [("fail", "-DT=7"), ("pass", "-DT=8")])

    def test_what_cannot_be_read_is_named(self):
        for text in ("[m]\none maybe X | why\n", "[m]\none pass $NOT | why\n", "[smallest_T m]\n 3 1 | 8\n"):
            with self.assertRaisesRegex(BadTable, r":2: "):
                self.read(text)

    def test_the_table_fits_the_models(self):
        for model in Table(os.path.join(HERE, "expectations.txt")).models():
            self.assertTrue(os.path.exists(os.path.join(HERE, f"{model}.pml")), model)


class CommandTest(unittest.TestCase):
    def command(self, *words, **env):
        return subprocess.run([sys.executable, "-B", os.path.join(HERE, "run.py"), *words], capture_output=True, text=True,
                              check=False, env=dict(os.environ, **env))

    def test_without_spin_it_names_the_package(self):
        done = self.command(PATH="/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Debian's package 'spin'", done.stderr)

    @unittest.skipUnless(shutil.which("spin"), "no spin")
    def test_an_unknown_name_lists_those_that_there_are(self):
        self.assertIn("there is no 'lease'; there is: lease_time, ", self.command("lease").stderr)
        self.assertIn("fence_mark/per_epoch", self.command("fence_mark/x").stderr)


@unittest.skipUnless(shutil.which("spin"), "no spin")
class SpinTest(unittest.TestCase):
    def judge(self, model, expect, flags=(), never=(), text=None):
        """What the runner prints of one run."""
        with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()) as out:
            checker = Checker(work)
            if text is not None:
                make = checker.directory
                checker.directory = lambda: self.with_model(make(), model, text)
            checker.run([Row(model, "x", expect, list(flags), set(never), "", False)])
            self.assertEqual(os.listdir(work), [])
            self.assertEqual(checker.passed + checker.failed, 1)
        return out.getvalue()

    @staticmethod
    def with_model(directory, model, text):
        with open(os.path.join(directory, f"{model}.pml"), "w", encoding="utf-8") as f:
            f.write(text)
        return directory

    def test_as_expected(self):
        self.assertTrue(self.judge("fence_mark", "pass").startswith("ok "))
        self.assertTrue(self.judge("fence_mark", "fail", ["-DR12_MARK_PER_EPOCH=0"]).startswith("ok "))

    def test_an_unexpected_failure_shows_its_steps(self):
        out = self.judge("fence_mark", "pass", ["-DR12_MARK_PER_EPOCH=0"])
        self.assertTrue(out.startswith("FAIL"))
        self.assertRegex(out, r"leaders +\[.*take_over\].* copy2=1")

    def test_an_unexpected_pass(self):
        self.assertIn("must fail, and passes", self.judge("fence_mark", "fail"))

    def test_liveness_has_steps_too(self):
        self.assertRegex(self.judge("neverstop", "pass", ["-DR10_THAW=0"]), r"keeper +copy1=frozen")

    def test_events_must_be_reached(self):
        self.assertIn("never reached: three", self.judge("m", "pass", text=TWO_TICKS))
        self.assertIn("never reached: two", self.judge("m", "pass", ["-DR19_PROOF=0"], ["three"], TWO_TICKS))
        self.assertIn("against 'never': two", self.judge("m", "pass", [], ["two", "three"], TWO_TICKS))
        self.assertTrue(self.judge("m", "pass", [], ["three"], TWO_TICKS).startswith("ok "))

    def test_a_search_that_was_cut_short_proves_nothing(self):
        with mock.patch.object(spin_run, "DEPTH", 10):
            self.assertIn("cut short", self.judge("fence_mark", "pass"))

    def test_a_model_that_stands_still(self):
        self.assertIn("nothing follows", self.judge("m", "fail", text="active proctype p() { byte n; n == 1 }"))

    def test_a_model_that_does_not_compile(self):
        self.assertIn("spin: ", self.judge("m", "fail", text="proctype p( { }"))

    def test_an_interrupt_ends_the_children_and_cleans_up(self):
        with tempfile.TemporaryDirectory() as tmp:
            child = subprocess.Popen([sys.executable, "-B", os.path.join(HERE, "run.py"), "log_orders/two_terms"],
                                     env=dict(os.environ, TMPDIR=tmp), stderr=subprocess.DEVNULL)
            while not os.listdir(tmp):
                time.sleep(0.05)
            child.terminate()
            self.assertEqual(child.wait(30), 130)
            self.assertEqual(os.listdir(tmp), [])


if __name__ == "__main__":
    unittest.main()
