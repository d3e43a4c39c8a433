"""The canaries' checker on histories written by hand: it must see every double run, and only those."""

import struct

import pytest

import conftest  # noqa: F401  (the path to lab/)
from drills import canary
from drills.checker import Beat, Checker, Found, Landing, Record

VM = "52:54:00:00:00:01"
MS = 1_000_000


def beat(at_ms, token, counter, resumed=0, vm=VM):
    return Beat(at_ms * MS, Record(vm, token, counter, resumed))


def landing(at_ms, token, counter, resumed=0, host="h1", held=False, vm=VM):
    return Landing(at_ms * MS - 1, at_ms * MS, host, held, Record(vm, token, counter, resumed))


def found(at_ms, token, counter, resumed=0, vm=VM):
    return Found(at_ms * MS, Record(vm, token, counter, resumed))


def give(checker, facts):
    for fact in facts:
        {Beat: checker.beat, Landing: checker.landing, Found: checker.found}[type(fact)](fact)
    return checker


def judge(*facts, may_speak=False):
    return give(Checker(may_speak), facts).verdict()


def life(token, first, count, at_ms, resumed=0, host="h1"):
    """A run as it is: each record lands, then its beat arrives."""
    facts = []
    for i in range(count):
        t = at_ms + 50 * i
        facts += [landing(t, token, first + i, resumed, host), beat(t + 1, token, first + i, resumed)]
    return facts


def test_one_life_after_the_other_is_good():
    verdict = judge(*life("a", 1, 100, 0), *life("b", 101, 50, 20000, resumed=100, host="h2"), *life("c", 151, 9, 40000, 150))
    assert verdict.good and verdict.late == []


def test_other_instances_may_live_at_the_same_time():
    other = "52:54:00:00:00:02"
    assert judge(*life("a", 1, 100, 0), *(beat(i, "b", i, vm=other) for i in range(1, 90))).good


def test_the_order_in_which_facts_come_does_not_matter():
    facts = [*life("a", 1, 20, 0), *life("b", 21, 20, 5000, 20, "h2"), landing(5100, "a", 21)]
    assert len(judge(*facts).doubled) == len(judge(*reversed(facts)).doubled) == 1


def test_an_old_run_that_beats_on_is_doubled():
    verdict = judge(*life("a", 1, 100, 0), *life("b", 95, 10, 4800, resumed=100, host="h2"))
    assert any("lived on" in text for text in verdict.doubled)


@pytest.mark.parametrize("at_ms, doubled", [(4999, 0), (5001, 1)])
def test_one_write_of_an_old_run_after_the_first_of_the_new(at_ms, doubled):
    verdict = judge(*life("a", 1, 20, 0), landing(at_ms, "a", 21), *life("b", 21, 20, 5000, resumed=20, host="h2"))
    assert len(verdict.doubled) == doubled


def test_a_new_run_that_only_writes_and_never_sends_counts_as_alive():
    verdict = judge(*life("a", 1, 20, 0), landing(500, "b", 21, resumed=20, host="h2"))
    assert len(verdict.doubled) == 2  # beats and writes after it


def test_a_write_that_the_storage_held_is_named_and_no_double_run():
    verdict = judge(*life("a", 1, 20, 0), *life("b", 21, 20, 5000, 20, "h2"), landing(6000, "a", 21, held=True))
    assert verdict.good and len(verdict.late) == 1 and "h1" in verdict.late[0]


def test_a_held_write_that_lands_in_time_is_nothing():
    verdict = judge(*life("a", 1, 20, 0), landing(3000, "a", 21, held=True), *life("b", 22, 20, 5000, 21, "h2"))
    assert verdict.good and verdict.late == []


def test_an_acknowledged_counter_that_is_not_found_is_lost():
    assert len(judge(*life("a", 1, 20, 0), *life("b", 20, 20, 5000, resumed=19)).lost) == 1


def test_an_unacknowledged_write_may_be_gone():
    assert judge(*life("a", 1, 20, 0), landing(1100, "a", 21), *life("b", 21, 20, 5000, resumed=20)).good


def test_two_copies_of_one_run_count_the_same():
    verdict = judge(beat(0, "a", 1), beat(50, "a", 2), beat(60, "a", 2))
    assert len(verdict.doubled) == 1


def test_what_is_forgotten_is_judged_all_the_same():
    checker = give(Checker(), [*life("a", 1, 50, 0), *life("b", 51, 50, 5000, 50, "h2")])
    checker.forget_before_last()
    assert checker.verdict().good
    checker.landing(landing(9000, "a", 51))
    assert len(checker.verdict().doubled) == 1


def on_ceph(token, first, count, at_ms, resumed=0):
    """A run of which the disk shows what it wrote, a while later."""
    return [fact for i in range(count) for fact in (beat(at_ms + 50 * i, token, first + i, resumed),
                                                    found(at_ms + 50 * i + 2000, token, first + i, resumed))]


def test_what_stands_on_the_disk_is_read_later_and_no_double_run():
    verdict = judge(*on_ceph("a", 1, 20, 0), *on_ceph("b", 148, 20, 1200, resumed=20))
    assert verdict.good and verdict.spoke == []


@pytest.mark.parametrize("may_speak", [False, True])
@pytest.mark.parametrize("counter, doubled", [(20, 0), (21, 1)])
def test_a_write_that_the_next_run_has_not_found_was_late(counter, doubled, may_speak):
    verdict = judge(*on_ceph("a", 1, 19, 0), found(9000, "a", counter), *on_ceph("b", 148, 20, 5000, resumed=20),
                    may_speak=may_speak)
    assert len(verdict.doubled) == doubled


def test_a_late_write_of_a_forgotten_run_is_judged_all_the_same():
    checker = give(Checker(may_speak=True), [*on_ceph("a", 1, 50, 0), *on_ceph("b", 178, 50, 5000, 50)])
    checker.forget_before_last()
    assert checker.verdict().good
    assert len(give(checker, [found(9000, "a", 51)]).verdict().doubled) == 1
    checker.forget_before_last()
    assert checker.verdict().good


def test_a_run_that_cannot_write_may_say_what_it_has_written():
    facts = [*on_ceph("a", 1, 20, 0), beat(6000, "a", 21), *on_ceph("b", 149, 20, 5000, resumed=21)]
    assert len(judge(*facts).doubled) == 1
    verdict = judge(*facts, may_speak=True)
    assert verdict.good and len(verdict.spoke) == 1


def test_a_run_that_says_what_the_next_one_has_not_found_is_doubled():
    facts = [*on_ceph("a", 1, 20, 0), beat(6000, "a", 22), *on_ceph("b", 149, 20, 5000, resumed=21)]
    verdict = judge(*facts, may_speak=True)
    assert len(verdict.doubled) == 1 and len(verdict.lost) == 1


def packed(**changed):
    fields = dict(magic=b"HFCANARY", mac=bytes(range(6)), zero=b"\0\0", token=bytes(16), counter=7, resumed=3, boot_ns=9) | changed
    body = struct.pack("<8s6s2s16sQQQ", *fields.values())
    return body + struct.pack("<Q", canary.check_of(body))


def test_records_are_read_as_the_guest_writes_them():
    assert canary.decode(packed()) == Record("00:01:02:03:04:05", "0" * 32, 7, 3)


@pytest.mark.parametrize("data", [b"", packed()[:-1], packed(magic=b"HFCANARX"), packed()[:-1] + b"\xff"])
def test_what_is_no_record_is_none(data):
    assert canary.decode(data) is None
