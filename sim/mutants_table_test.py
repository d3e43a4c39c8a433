"""Every planted bug stands once in the table of what must find it, and in the docs: mutants_table_test.py <source folder>"""

import os
import re
import sys


def read(*path):
    with open(os.path.join(sys.argv[1], *path), encoding="utf-8") as f:
        return f.read()


def main():
    planted = re.findall(r'^    X\((\w+), +"', read("base", "mutant.h"), re.MULTILINE)
    tables = {
        "sim/testdata/mutants.txt": re.findall(r"^(\w+) ", read("sim", "testdata", "mutants.txt"), re.MULTILINE),
        "docs/mutants.md": re.findall(r"^\| ([A-Z_]+) \|", read("docs", "mutants.md"), re.MULTILINE),
    }
    used = set()
    for folder in ("ha", "consensus", "control", "hostd", "storage"):
        for name in sorted(os.listdir(os.path.join(sys.argv[1], folder))):
            if name.endswith(".c"):
                used.update(re.findall(r"HF_MUTANT\((\w+)\)", read(folder, name)))
    wrong = [f"{path} has {names.count(m)} lines about {m}" for path, names in tables.items() for m in planted
             if names.count(m) != 1]
    wrong += [f"{path}: there is no {name}" for path, names in tables.items() for name in names if name not in planted]
    wrong += [f"{m} stands nowhere in the code" for m in planted if m not in used]
    print("\n".join(wrong) or f"{len(planted)} planted bugs")
    sys.exit(1 if wrong or len(planted) < 20 else 0)


if __name__ == "__main__":
    main()
