"""Inside a User Mode Linux machine: carries out what the test orders over the serial line, one JSON object a line.

    {"id": 1, "argv": […], "timeout": 10}    runs it     → {"id": 1, "rc": 0, "out": "…"}; rc null: not ended by then
    {"id": 2, "argv": […], "log": "/x"}      starts it   → {"id": 2, "pid": 77}
    {"id": 3, "wait": 77, "timeout": 10}     of a started one → {"id": 3, "rc": -9}
    {"id": 4, "end": true}                   powers off

Each order has a thread of its own: one that hangs in the kernel holds up no other. The first line after each boot is
{"boot": "<boot id>"}.
"""

import json
import os
import subprocess
import sys
import threading
import tty

KILL_WAIT_S = 1


class Agent:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        self.lock = threading.Lock()
        self.started = {}

    def say(self, answer):
        data = (json.dumps(answer) + "\n").encode()
        with self.lock:
            while data:
                data = data[os.write(self.fd, data):]

    def run(self, order):
        child = subprocess.Popen(order["argv"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        try:
            out, rc = child.communicate(timeout=order["timeout"])[0], child.returncode
        except subprocess.TimeoutExpired:
            child.kill()
            try:
                out = child.communicate(timeout=KILL_WAIT_S)[0]
            except subprocess.TimeoutExpired:  # stuck in the kernel, or its children hold the pipe
                out = b""
            rc = None
        return {"rc": rc, "out": out.decode(errors="replace")}

    def start(self, order):
        with open(order["log"], "ab") as log:
            child = subprocess.Popen(order["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.started[child.pid] = child
        return {"pid": child.pid}

    def wait(self, order):
        try:
            return {"rc": self.started[order["wait"]].wait(order["timeout"])}
        except subprocess.TimeoutExpired:
            return {"rc": None}

    def carry_out(self, order):
        try:
            answer = (self.wait if "wait" in order else self.start if "log" in order else self.run)(order)
        except (OSError, KeyError) as e:
            answer = {"rc": 127, "out": str(e)}
        self.say({"id": order["id"], **answer})

    def serve(self):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
            self.say({"boot": f.read().strip()})
        for line in os.fdopen(os.dup(self.fd), encoding="utf-8"):
            order = json.loads(line)
            if "end" in order:
                return
            threading.Thread(target=self.carry_out, args=(order,), daemon=True).start()


if __name__ == "__main__":
    Agent(sys.argv[1]).serve()
    os._exit(0)  # threads that hang in the kernel are not waited for
