"""Nothing that is shipped holds a planted bug or a rare path: shipped_test.py absent|present <mutant.h> <program>...

present: a build with HF_SIM, which has them; that shows that this test would see them."""

import re
import sys


def traces(header):
    """What a program with mutants cannot hide: the symbols behind the macros, and the sentences of the table."""
    with open(header, encoding="utf-8") as f:
        table = re.findall(r'^    X\((\w+), +"[^"]*", +"([^"]*)"\)', f.read(), re.MULTILINE)
    if len(table) < 20:
        sys.exit(f"{header}: only {len(table)} mutants were read from the table")
    return [b"hf_mutant_active", b"hf_buggify_draw"] + [how.encode() for _, how in table]


def main():
    expected, header, programs = sys.argv[1], sys.argv[2], sys.argv[3:]
    wanted = traces(header)
    wrong = 0
    for program in programs:
        with open(program, "rb") as f:
            content = f.read()
        seen = [w.decode() for w in wanted if w in content]
        if bool(seen) != (expected == "present"):
            print(f"{program}: " + (f"holds {seen[0]!r}" if seen else "holds no trace of a planted bug"))
            wrong = 1
    if not wrong:
        print(f"{len(programs)} programs: {expected}")
    sys.exit(wrong)


if __name__ == "__main__":
    main()
