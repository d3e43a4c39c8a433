#!/usr/bin/python3
"""Starts two Ceph clusters in network namespaces of their own and runs the tests that need them: ceph_real_test.py LAB-DIR PROGRAM..."""
import os
import subprocess
import sys

SKIPPED = 77
READER = "reader"
READER_CAPS = ["mon", "profile simple-rados-client", "osd", "profile rbd-read-only pool=unit"]  # as control/ceph_prepare.c gives them


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
        far = alone.far(2)
        reader = far.command({"prefix": "auth get-or-create", "entity": f"client.{READER}", "caps": READER_CAPS})[0]["key"]
        env = dict(os.environ, HF_CEPH_MON=alone.address, HF_CEPH_KEY=alone.ceph.key(), HF_CEPH_MACHINE=machine,
                   HF_CEPH_MACHINE_IP=address, HF_CEPH_FAR_MON=far.address, HF_CEPH_FAR_KEY=far.key(), HF_CEPH_READER=READER,
                   HF_CEPH_READER_KEY=reader, HF_CEPH_FAR_OSD=str(far.process("osd.0")))
        codes = [subprocess.run(["ip", "netns", "exec", alone.fabric, program], timeout=200, check=False, env=env).returncode
                 for program in programs]
        return max(codes, key=abs)


if __name__ == "__main__":
    sys.exit(main())
