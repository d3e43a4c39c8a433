"""Gathering drills over several sittings, and adding them up."""

import json
import os
import random

import pytest

import conftest  # noqa: F401  (the path to lab/)
from drills import ceph_kinds, kinds, timing
from drills.kinds import STAYS, HostFreezes
from drills.results import Book, Result, spread, table
from holdlab.proc import LabError, run

HEADER = {"storage": "file", "takeover": "strict", "profile": "fast", "seed": 7, "commit": "abc"}
TIMES = timing.Timing(renew_s=0.5, io_s=0.9, lease_s=3, kill_s=1, watchdog_s=2, watchdog_reset_s=2.2, pet_s=0.4, silence_s=8, takeover_s=10)


def result(number, **changed):
    return Result(number, "power", "", "h1", "elsewhere", **changed)


def test_percentiles_are_values_that_occurred():
    assert spread([5]) == {"n": 1, "p50": 5, "p99": 5, "max": 5}
    assert spread(list(range(1, 101))) == {"n": 100, "p50": 50, "p99": 99, "max": 100}
    assert spread([]) is None


def test_a_series_goes_on_where_it_ended(tmp_path):
    path = str(tmp_path / "drills.json")
    first = Book.resume(path, HEADER)
    first.add(result(1, running_ms=[8000, 8100]))
    again = Book.resume(path, {**HEADER, "commit": "def"})
    again.add(result(2, running_ms=[9000], late_writes=2))
    with open(path, encoding="utf-8") as f:
        kept = json.load(f)
    assert kept["drills"] == 2 and kept["late_writes"] == 2 and kept["commit"] == "abc, def"
    assert kept["kinds"]["power"] == {"n": 2, "running_ms": {"n": 3, "p50": 8100, "p99": 9000, "max": 9000},
                                      "guest_ms": None, "gap_ms": None}
    assert "2 drills" in table(again.summary())


@pytest.mark.parametrize("word, value", [("seed", 8), ("profile", "default"), ("storage", "ceph"), ("takeover", "write-fenced")])
def test_another_series_is_not_mixed_in(tmp_path, word, value):
    path = str(tmp_path / "drills.json")
    Book.resume(path, HEADER).add(result(1))
    with pytest.raises(ValueError, match=word):
        Book.resume(path, {**HEADER, word: value})


@pytest.mark.parametrize("bad", [{"doubled": ["x"]}, {"lost": ["x"]}, {"needless": ["x"]}, {"failed": ["x"]}])
def test_one_bad_drill_spoils_the_series(bad):
    book = Book(None, HEADER)
    book.add(result(1))
    assert book.good
    book.add(result(2, **bad))
    assert not book.good


def test_an_old_run_that_cannot_write_is_counted_and_no_fault():
    book = Book(None, HEADER)
    book.add(result(1, running_ms=[4000], overlap_ms=[700], fencing_ms=[60]))
    assert book.good and book.summary()["takeovers"] == 1
    assert book.summary()["kinds"]["power"]["overlap_ms"]["max"] == 700


def test_late_writes_are_counted_and_no_fault():
    book = Book(None, HEADER)
    book.add(result(1, late_writes=3))
    assert book.good and book.summary()["late_writes"] == 3


def test_pauses_fall_on_both_sides_of_every_deadline():
    drawn = [HostFreezes(random.Random(i), TIMES) for i in range(300)]
    for deadline in (TIMES.watchdog_s, TIMES.lease_s, TIMES.lease_s + TIMES.kill_s, TIMES.silence_s):
        near = [k.hold_s - deadline for k in drawn if abs(k.hold_s - deadline) < 0.31]
        assert min(near) < -0.1 and max(near) > 0.1
    assert {k.promise for k in drawn} == {"elsewhere", "stays", "either"}
    assert all(k.hold_s < TIMES.watchdog_s - TIMES.pet_s for k in drawn if k.promise == STAYS)


def test_every_kind_is_drawn_alike_for_a_seed():
    for kind in (*kinds.KINDS.values(), *ceph_kinds.KINDS.values()):
        a, b = kind(random.Random(3), TIMES), kind(random.Random(3), TIMES)
        assert (a.describe(), a.promise, a.hold_s) == (b.describe(), b.promise, b.hold_s)


def test_the_durations_are_read_from_the_table():
    table_program = os.path.join(conftest.BUILD, "bin", "hf-ha-table")
    times = timing.parse(run(table_program, "default").stdout)
    assert (times.lease_s, times.watchdog_s, times.takeover_s) == (8, 5, 23.89)
    with pytest.raises(LabError, match="lease_s"):
        timing.parse("lease of no length")
