"""docs/safety.md names tests: they are there. In a cell, items are parted by semicolons: `file`: test, test; L:, F: and M: as the
page explains them. A name may end in * for all that begin with it."""

import fnmatch
import os
import re

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAMES = r"([a-zA-Z0-9_*-]+(?:, [a-zA-Z0-9_*-]+)*)"


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def scenarios(kind):
    return [name.removesuffix(".txt") for name in os.listdir(os.path.join(ROOT, "ha", "testdata", kind))]


def source(name):
    """The file of that name, wherever it is."""
    if "/" in name:
        return read(*name.split("/"))
    found = [os.path.join(at, name) for at, _, files in os.walk(ROOT)
             if name in files and not os.path.relpath(at, ROOT).startswith(("build", "."))]
    assert found, f"no file {name}"
    return read(os.path.relpath(found[0], ROOT))


def cells():
    """The last one of each row of a table with tests."""
    for line in read("docs", "safety.md").splitlines():
        if line.startswith("| ") and ("_test.c`" in line or re.search(r"[LFM]: ", line)):
            yield line.rstrip(" |").rsplit(" | ", 1)[1]


KNOWN = {"L": lambda: scenarios("lease"), "F": lambda: scenarios("fence"),
         "M": lambda: re.findall(r"^\*?([A-Za-z0-9_]+) +(?:pass|fail)", read("ha", "model", "expectations.txt"), re.M)}


@pytest.mark.parametrize("kind", "LFM")
def test_scenarios_and_models(kind):
    known, named = KNOWN[kind](), 0
    for names in (m.group(1) for cell in cells() for m in re.finditer(rf"\b{kind}: {NAMES}", cell)):
        for name in names.split(", "):
            assert fnmatch.filter(known, name), f"{kind}: {name}"
            named += 1
    assert named > 20


def test_functions():
    named = 0
    for file, names in (m.groups() for cell in cells() for m in re.finditer(rf"`([\w/]+(?:_test\.c|\.py))`: {NAMES}", cell)):
        text = source(file)
        for name in names.split(", "):
            assert re.search(rf"\b{re.escape(name).replace(chr(92) + '*', '[a-z_]*')}\(", text), f"{file}: {name}"
            named += 1
    assert named > 60
