"""A guest as its network sees it: the pages of lab/guest/http, asked from the fabric's tenant bridge."""

import json
import urllib.error
import urllib.request

from . import netns
from .proc import LabError, wait_until


class Guest:
    def __init__(self, fabric, address):
        self.fabric = fabric
        self.address = address

    def page(self, path, timeout=20):
        """A page of the guest, decoded; OSError or ValueError when it does not answer as it should."""
        def fetch():
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://{self.address}{path}", timeout=timeout) as answer:
                return json.load(answer)
        return netns.call_in(self.fabric, fetch)

    def status(self, timeout=2):
        """hostname, ip, boots, counter, boot_id, uptime_s; None when it does not answer."""
        try:
            return self.page("/status", timeout)
        except (OSError, urllib.error.URLError, ValueError):
            return None

    def wait_status(self, timeout=120, interval=0.1):
        return wait_until(f"an answer of the guest at {self.address}", lambda: self.status(timeout=1), timeout, interval)

    def ping(self, to, timeout=20):
        """Lets the guest ping another address; returns the answer with its fields ok and summary."""
        try:
            return self.page(f"/ping?to={to}", timeout)
        except (OSError, urllib.error.URLError, ValueError) as e:
            raise LabError(f"ask the guest at {self.address} to ping {to}: {e}") from e

    def power_off(self):
        try:
            self.page("/poweroff", 5)
        except (OSError, urllib.error.URLError, ValueError) as e:
            raise LabError(f"ask the guest at {self.address} to power itself off: {e}") from e
