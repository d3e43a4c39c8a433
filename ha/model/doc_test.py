"""docs/model.md says what is: the functions that it names are in their files, its runs and switches are those of
expectations.txt, its table of T is what the runs and ha_timing.h say. Needs no spin."""

import os
import re
import sys
import tempfile

from run import HERE, ROOT, Table, header_T

PAGE = os.path.join(ROOT, "docs", "model.md")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def rows_below(page, heading):
    """The cells of the tables between this heading and the next one of its level."""
    level = re.match(r"#+", heading)[0]
    part = page.split(f"\n{heading}\n", 1)[1].split(f"\n{level} ", 1)[0]
    lines = [line for line in part.split("\n") if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def check_functions(page):
    """In the second column `dir/file.c` is followed by the functions that are in it."""
    count = 0
    for step, code, *_ in rows_below(page, "## Model and code"):
        text = None
        for word in re.findall(r"`([^`]+)`", code):
            if "/" in word:
                path = os.path.join(ROOT, word)
                if not os.path.exists(path):
                    yield f"'{step}' names {word}, which is not there"
                    break
                text = read(path)
            elif text is None or not re.search(rf"^[a-z][^\n;=]*\b{word}\(", text, re.M):
                yield f"'{step}' names {word}(), which is not in that file"
            count += 1
    if count < 80:
        yield f"only {count} names in the tables of model and code: they were not found"


def check_switches(page, table):
    runs = {f"{r.model}/{r.name}": r for r in table.rows}
    rows = [row for row in rows_below(page, "## Rules, switches, findings") if row[1].startswith("`")]
    named = [row[1].strip("`") for row in rows]
    there = re.findall(r"^#define (R\d+_\w+) 1$", read(os.path.join(HERE, "switches.h")), re.M)
    for switch in set(named) ^ set(there):
        yield f"switch {switch} is only in one of switches.h and the page"
    for _, switch, _, text in rows:
        switch, model = switch.strip("`"), None
        found = re.findall(r"(?:\b(\w+)/)?\b(\w+)", text.split("(")[0].split(":")[0])
        for model_named, name in found:
            model = model_named or model
            run = runs.get(f"{model}/{name}")
            off = run and f"-D{switch}=0" in run.flags
            if text.startswith("none"):
                break
            if not run or run.expect != "fail" or (not off and "fails with it" not in text):
                yield f"{switch}: {model}/{name} is no run that fails with it off"


def check_T(page, table):
    said = [[int(c.split("/")[-1]) for c in row] for row in rows_below(page, "## The smallest safe T") if row[0] != "L"]
    with tempfile.TemporaryDirectory() as work:
        headers = header_T(work, table.smallest)
    found = [[*row.numbers, row.least, header] for row, header in zip(table.smallest, headers)]
    for row in found:
        if row not in said:
            yield f"the table of T lacks L, K, W, drift, F | T | header's T = {row}"
    for row in said:
        if row not in found:
            yield f"the table of T has {row}, which no run shows"


def main():
    page, table = read(PAGE), Table(os.path.join(HERE, "expectations.txt"))
    wrong = [*check_functions(page), *check_switches(page, table), *check_T(page, table)]
    for text in wrong:
        print(f"docs/model.md: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
