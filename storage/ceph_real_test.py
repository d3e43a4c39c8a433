#!/usr/bin/python3
"""Starts a Ceph cluster in a network namespace of its own and runs the tests that need one: ceph_real_test.py LAB-DIR PROGRAM..."""
import os
import subprocess
import sys

SKIPPED = 77


def main():
    lab, *programs = sys.argv[1:]
    sys.path.insert(0, lab)
    from holdlab import ceph_alone
    why = ceph_alone.unavailable()
    if why:
        print(why)
        return SKIPPED
    with ceph_alone.cluster("ceph-unit") as alone:
        machine, address = alone.machine(1)
        env = dict(os.environ, HF_CEPH_MON=alone.address, HF_CEPH_KEY=alone.ceph.key(), HF_CEPH_MACHINE=machine,
                   HF_CEPH_MACHINE_IP=address)
        codes = [subprocess.run(["ip", "netns", "exec", alone.fabric, program], timeout=200, check=False, env=env).returncode
                 for program in programs]
        return max(codes, key=abs)


if __name__ == "__main__":
    sys.exit(main())
