"""Threads that keep asking while something fails elsewhere, and remember when they were answered."""

import threading
import time

from .cli import CommandFailed


def now_ms():
    return int(time.time() * 1000)


class GuestProbe:
    """When a guest answers again, in a boot other than the one before."""

    def __init__(self, guest, boot_id_before):
        self.guest = guest
        self.boot_id_before = boot_id_before
        self.up_at_ms = None
        self.status = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            status = self.guest.status(timeout=0.5)
            if status and status["boot_id"] != self.boot_id_before:
                self.up_at_ms = now_ms()
                self.status = status
                return
            self._stop.wait(0.1)

    def stop(self):
        self._stop.set()
        self._thread.join(5)


class WriteProbe:
    """One small write after the other. Keeps which were acknowledged, and when each began and ended."""

    def __init__(self, cli, prefix):
        self.cli = cli
        self.prefix = prefix
        self.acknowledged = []  # (name, began ms, ended ms)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        number = 0
        while not self._stop.is_set():
            number += 1
            name = f"{self.prefix}-{number}"
            began = now_ms()
            try:
                self.cli.run("zone", "create", name, timeout=60)
                self.acknowledged.append((name, began, now_ms()))
            except CommandFailed:
                pass
            self._stop.wait(0.1)

    def stop(self):
        self._stop.set()
        self._thread.join(90)

    def gap_after(self, at_ms):
        """From that moment to the first acknowledgement of a write that ended after it; None when there is none."""
        ends = [ended for _name, began, ended in self.acknowledged if began >= at_ms or ended > at_ms + 50]
        return min(ends) - at_ms if ends else None
