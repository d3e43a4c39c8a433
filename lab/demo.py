#!/usr/bin/python3
"""./demo: makes the lab, tells the story in it, and takes it down again."""

import argparse
import json
import os
import sys

from drills.sites import SITES
from failure_story import CEPH_FAILURES, FAILURES_ON, FailureStory
from holdlab import config
from holdlab.cli import Cli, Teller
from holdlab.config import Config
from holdlab.lab import Lab, Lock, take_down
from holdlab.primary import STORAGES, TAKEOVERS
from holdlab.proc import Interrupted, LabError, ignore_signals, raise_on_signals, tail
from story import Story

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAME = "demo"


def arguments():
    p = argparse.ArgumentParser(prog="./demo", description="Brings up a whole cloud on this machine and shows that an instance "
                                "which must never stop survives a power cut of its host. Installs and builds what is missing "
                                "first. Needs root.")
    p.add_argument("--unattended", action="store_true", help="plain output, for a run without a terminal")
    p.add_argument("--report", metavar="FILE", help="write what was measured as JSON")
    p.add_argument("--profile", choices=("fast", "default", "san"), default="default",
                   help="timing of leases and fencing; fast: takeover within 10 s of a power cut, default: 24 s")
    p.add_argument("--storage", choices=tuple(STORAGES), default="file", help="what the guests' disks lie on: a directory that all "
                   "hosts share (file, the default), or a Ceph cluster that is started for it")
    p.add_argument("--takeover", choices=TAKEOVERS, help="when a lost host's guests start elsewhere: when nothing of them runs "
                   "(strict, the default), or as soon as nothing of them can write (write-fenced; on Ceph)")
    p.add_argument("--failure", choices=tuple(CEPH_FAILURES), help="tell of this failure of a host instead: what happens, how long "
                   "it takes, and that nothing ran twice")
    p.add_argument("--keep", action="store_true", help="leave the cloud running at the end, also when something went wrong")
    p.add_argument("--down", action="store_true", help="end a cloud that --keep left, and do nothing else")
    p.add_argument("--build", metavar="DIR", default=os.path.join(ROOT, "build", "dev"), help=argparse.SUPPRESS)
    p.add_argument("--image", metavar="FILE", default=os.path.join(ROOT, ".cache", "guest", "guest.qcow2"),
                   help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.takeover == "write-fenced" and args.storage != "ceph":
        p.error("files cannot be fenced: --takeover write-fenced goes with --storage ceph")
    if args.failure and args.failure not in FAILURES_ON[args.storage]:
        p.error(f"--failure {args.failure} goes with --storage ceph")
    return args


def how_to_talk(lab, teller):
    c = lab.config
    program = os.path.relpath(os.path.join(c.bin_dir, "holdfast"))
    teller.heading("The cloud goes on running")
    teller.line(f"  export HOLDFAST_CONTROL={c.control_list}")
    teller.line(f"  {program} instance list                        # or --help: all it can do")
    teller.line("  lab/labctl run h2 virsh list --all             # a command on a host; labctl --help: power, cables, logs")
    teller.line("  lab/labctl guest 172.20.108.40 /status         # a guest's page, asked from its network")
    teller.line(f"  ip netns exec {c.fabric} ping 172.20.108.40   # the same network by hand")
    teller.line("  ./demo --down                                  # ends it")


def show_logs(lab, teller):
    for path in lab.logs():
        text = tail(path, 12)
        if text.strip():
            teller.heading(f"the end of {os.path.basename(path)}")
            teller.line(text.rstrip("\n"))


def write_report(path, report):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(report, f, indent=2)
        f.write("\n")


def play(args, teller):
    lab = None
    keep = False
    try:
        if config.load(NAME):
            teller.say("removing what an earlier run left")
        site = SITES[args.storage](args.takeover)
        lab = Lab.create(Config(bin_dir=os.path.join(args.build, "bin"), name=NAME, profile=args.profile,
                                **(site.config if args.failure else site.primary.config())))
        cli = Cli(lab.config, teller)
        if args.failure:
            report = FailureStory(lab, cli, teller, args.image, args.failure, site).play()
        else:
            report = Story(lab, cli, teller, args.image, site.primary, site.takeover).play()
        if args.report:
            write_report(args.report, report)
        keep = args.keep
        if keep:
            how_to_talk(lab, teller)
    except LabError:
        if lab:
            show_logs(lab, teller)
        keep = args.keep  # to look at what went wrong
        raise
    finally:
        ignore_signals()
        if not keep:
            take_down(NAME)


def main():
    args = arguments()
    teller = Teller()
    if args.unattended:
        teller.colored = False
    if os.geteuid() != 0:
        sys.exit("demo: it makes namespaces, bridges and cgroups: run it as root")
    raise_on_signals()
    try:
        with Lock(NAME):
            if args.down:
                take_down(NAME)
            else:
                play(args, teller)
    except LabError as e:
        sys.exit(f"demo: {e}")
    except Interrupted as e:
        print(f"demo: ended by {e}, everything is cleaned up", file=sys.stderr)
        sys.exit(128 + e.signum)


if __name__ == "__main__":
    main()
