"""The durations of a timing profile in seconds, as hf-ha-table prints them from ha/ha_timing.h: nothing else names them."""

import dataclasses
import os
import re

from holdlab.proc import LabError, run

PATTERNS = {
    "renew_s": r"renewal period R ([\d.]+) s",
    "io_s": r"a write hangs after ([\d.]+) s",
    "lease_s": r"lease L ([\d.]+) s",
    "kill_s": r"kill deadline K ([\d.]+) s",
    "watchdog_s": r"watchdog set to ([\d.]+) s",
    "watchdog_reset_s": r"W at worst ([\d.]+) s",
    "pet_s": r"petted every ([\d.]+) s",
    "silence_s": r"silence that proves T ([\d.]+) s",
    "takeover_s": r"take-over within ([\d.]+) s",
}


@dataclasses.dataclass(frozen=True)
class Timing:
    renew_s: float
    io_s: float
    lease_s: float
    kill_s: float
    watchdog_s: float
    watchdog_reset_s: float
    pet_s: float
    silence_s: float
    takeover_s: float


def parse(text):
    found = {name: re.search(pattern, text) for name, pattern in PATTERNS.items()}
    missing = [name for name, match in found.items() if not match]
    if missing:
        raise LabError(f"hf-ha-table does not say {', '.join(missing)}")
    return Timing(**{name: float(match[1]) for name, match in found.items()})


def load(bin_dir, profile):
    return parse(run(os.path.join(bin_dir, "hf-ha-table"), profile).stdout)
