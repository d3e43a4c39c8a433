#!/usr/bin/python3
"""What is linked into the keeper: few enough lines to be read in a day, and nothing but the C library.

    keeper_size_test.py SOURCE-DIR LINK-MAP PROGRAM

Counted are the .c files that the linker took, by its own map, without base/ (status, log, memory, UUIDs, checksum). A line
of code is any but an empty one, a comment, a brace alone or an #include.
"""
import os
import re
import subprocess
import sys

LINES_MAX = 2500
LIBRARIES = re.compile(r"lib(c|pthread|asan|ubsan|tsan|m|gcc_s)\.so|ld-linux")


def objects(link_map):
    """(folder, name) of each .c file that was linked: by itself, or out of a library of its folder."""
    with open(link_map, encoding="utf-8", errors="replace") as f:
        text = f.read()
    alone = re.findall(r"^LOAD (\S+)/CMakeFiles/[^/]+\.dir/(\w+\.c)\.o$", text, re.M)
    return set(alone) | set(re.findall(r"(\S+)/lib\w+\.a\((\w+\.c)\.o\)", text))


def count(path):
    """Lines of code; with braces and includes; all."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    bare = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    lines = [line.strip() for line in bare.splitlines() if line.strip()]
    code = [line for line in lines if line not in ("{", "}", "};") and not line.startswith("#include")]
    return len(code), len(lines), len(text.splitlines())


def main():
    root, link_map, program = sys.argv[1:]
    linked = sorted(f"{folder}/{name}" for folder, name in objects(link_map))
    counted = [(path, *count(os.path.join(root, path))) for path in linked if not path.startswith("base/")]
    for path, code, lines, whole in counted:
        print(f"{path:28} {code:5} {lines:5} {whole:5}")
    total, *more = (sum(column) for column in list(zip(*counted))[1:])
    print(f"{len(counted)} files: {total} lines of code, {more[0]} with braces and includes, {more[1]} in all")
    assert "hostd/hf_lease.c" in linked and "ha/lease_rules.c" in linked, "the map is not the keeper's"
    assert total < LINES_MAX, f"the keeper has {total} lines of code: under {LINES_MAX} is what a reader can hold"

    needed = re.findall(r"NEEDED.*\[(.*)\]", subprocess.run(["readelf", "-d", program], check=True, capture_output=True,
                                                            text=True).stdout)
    print("libraries:", *needed)
    assert needed and all(LIBRARIES.match(n) for n in needed), f"the keeper links {needed}: nothing but the C library may be"


if __name__ == "__main__":
    main()
