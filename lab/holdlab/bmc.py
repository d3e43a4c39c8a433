"""The power devices of a lab's hosts: one process outside of all of them, asked by lab/agents/fence_lab over a socket in the lab's
directory. Started by Lab.start_power_devices(): python3 -m holdlab.bmc LAB"""

import json
import os
import socketserver
import sys
import threading
import time

from .lab import Lab
from .proc import LabError

USER = ("lab", "lab")
SOCKET = "bmc.socket"


class Device(socketserver.StreamRequestHandler):
    def handle(self):
        options = json.loads(self.rfile.readline())
        try:
            answer = {"on": self.act(options, options.get("mode", "works"), options.get("action"))}
        except LabError as e:
            answer = {"error": str(e)}
        self.wfile.write(json.dumps(answer).encode() + b"\n")

    def act(self, options, mode, action):
        """Does it and says whether the host is on."""
        if (options.get("username"), options.get("password")) != USER:
            raise LabError("wrong user name or password")
        if mode == "hangs":
            time.sleep(3600)
        if action not in ("status", "on", "off"):
            raise LabError(f"'{action}' is not status, on or off")
        with self.server.hand:
            host = self.server.lab.host(options.get("plug", ""))
            if action != "status" and mode == "works" and host.is_on() != (action == "on"):
                (host.power_on if action == "on" else host.power_off)()
            return host.is_on() and mode != "lies"


class Devices(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, lab):
        self.lab = lab
        self.hand = threading.Lock()  # one hand presses one button
        super().__init__(os.path.join(lab.config.dir, SOCKET), Device)


if __name__ == "__main__":
    Devices(Lab.attach(sys.argv[1])).serve_forever()
