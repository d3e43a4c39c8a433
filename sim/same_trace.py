"""The same seed gives the same trace, byte for byte. Arguments: two hf-sim, built in different ways (compiler, flags, machine). The
second one also finds another environment: time zone, locale, log level, and memory that is not zero before it is written."""
import hashlib
import os
import subprocess
import sys
import tempfile

SEEDS = ((1, "calm"), (2, "default"), (3, "default"), (4, "storm"))
ELSEWHERE = {"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "HOLDFAST_LOG": "debug", "MALLOC_CONF": "junk:true",
             "MALLOC_PERTURB_": "165"}


def trace(program, seed, profile, folder, env):
    path = os.path.join(folder, "trace")
    done = subprocess.run([program, "--seed", str(seed), "--profile", profile, "--trace", path, "--study", "0", "--twice-every", "0"],
                          cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # a seed that fails must do so alike
        sys.exit(f"{program}: {done.stderr}")
    with open(path, "rb") as f:
        return f.read()


def first_difference(a, b):
    for number, (x, y) in enumerate(zip(a.splitlines(), b.splitlines()), 1):
        if x != y:
            return f"line {number}:\n  {x.decode(errors='replace')}\n  {y.decode(errors='replace')}"
    return f"one ends after {min(len(a.splitlines()), len(b.splitlines()))} lines, the other goes on"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    differ = 0
    with tempfile.TemporaryDirectory(prefix="hf-sim-same-") as folder:
        for seed, profile in SEEDS:
            a = trace(os.path.abspath(sys.argv[1]), seed, profile, folder, dict(os.environ))
            b = trace(os.path.abspath(sys.argv[2]), seed, profile, folder, ELSEWHERE)
            print(f"seed {seed}, {profile}: {len(a.splitlines())} lines, sha256 {hashlib.sha256(a).hexdigest()}")
            if a != b:
                differ += 1
                print(f"  they differ at {first_difference(a, b)}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
