#!/usr/bin/python3
"""Starts a Ceph cluster in a network namespace of its own and runs the tests that need one: ceph_real_test.py LAB-DIR PROGRAM."""
import os
import subprocess
import sys
import tempfile

SKIPPED = 77


def main():
    lab, program = sys.argv[1:]
    sys.path.insert(0, lab)
    from holdlab import ceph, netns
    from holdlab.cgroup import Cgroup
    why = "it needs root, for a network namespace" if os.geteuid() != 0 else ceph.available()
    if why:
        print(why)
        return SKIPPED
    name = f"ceph-unit-{os.getpid()}"
    fabric, group, address = f"hf-{name}", Cgroup(f"holdfast-{name}"), "10.79.9.254"
    with tempfile.TemporaryDirectory(prefix=f"holdfast-{name}-", dir="/var/tmp") as directory:
        def spawn(argv, log):
            with open(os.path.join(directory, f"{log}.log"), "ab") as out:
                return subprocess.Popen(group.joining(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        was_mounted = netns.is_mounted()
        group.create()
        netns.create(fabric)
        try:
            netns.bridge(fabric, "mgmt", f"{address}/24")
            cluster = ceph.Ceph(directory, fabric, spawn, address).create()
            cluster.command({"prefix": "osd pool create", "pool": "unit", "pg_num": 8})
            done = subprocess.run(["ip", "netns", "exec", fabric, program], timeout=200, check=False,
                                  env=dict(os.environ, HF_CEPH_MON=address, HF_CEPH_KEY=cluster.key()))
            return done.returncode
        finally:
            group.kill_all()
            group.remove()
            netns.delete(fabric)
            if not was_mounted:
                netns.unmount_if_unused()


if __name__ == "__main__":
    sys.exit(main())
