"""One lab for all system tests: control nodes, hosts, storage, image and networks are made once a session."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "lab"))

from holdlab.cloud import Cloud  # noqa: E402
from holdlab.config import Config  # noqa: E402
from holdlab.lab import Lab, Lock, take_down  # noqa: E402
from holdlab.proc import tail  # noqa: E402

LAB_NAME = "check"
BUILD = os.environ.get("HOLDFAST_BUILD", os.path.join(ROOT, "build", "dev"))


@pytest.fixture(scope="session")
def cloud():
    if os.geteuid() != 0:
        pytest.skip("system tests make namespaces and bridges: they need root")
    image = subprocess.run([os.path.join(ROOT, "lab", "build-guest")], check=True, capture_output=True,
                           text=True).stdout.strip()
    with Lock(LAB_NAME):
        try:
            lab = Lab.create(Config(bin_dir=os.path.join(BUILD, "bin"), name=LAB_NAME, octet=78, profile="fast"))
            made = Cloud(lab, image)
            made.set_up()
            yield made
            assert sanitizer_reports(lab) == []
        finally:
            take_down(LAB_NAME)


def sanitizer_reports(lab):
    """Lines of the daemons' logs in which a build with sanitizers complains."""
    found = []
    for path in lab.logs():
        with open(path, encoding="utf-8", errors="replace") as f:
            found += [f"{os.path.basename(path)}: {line.strip()}" for line in f
                      if any(sign in line for sign in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:"))]
    return found


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of the lab's logs: the lab is gone when a person reads it."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when in ("setup", "call"):
        directory = Config(bin_dir="", name=LAB_NAME).log_dir
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            text = tail(os.path.join(directory, name), 15)
            if text.strip():
                report.sections.append((f"end of {name}", text))
