#!/usr/bin/python3
"""A client of the keeper in a few lines, and a guest that counts: for tests, also to be run inside a machine, and measurements.

    keeper.py prepare DIR [FILE]     epoch 1, a lease in DIR, a run with a guest that writes there, and to FILE;
                                     prints its process number
    keeper.py adopt                  waits until the keeper that is there renews what it found
    keeper.py view                   what the keeper says, as JSON
    keeper.py guest FILE[,FILE] …    the guest: its count at the start of each file, past all caches
"""
import json
import mmap
import os
import socket
import struct
import subprocess
import sys
import time

SOCKET = "/run/holdfast/keeper.sock"
VERSION = 4  # of ha/keeper_wire.h, whose layouts these are
MAGIC = 0x4B504648
VIEW, SET_EPOCH, ADD_STORAGE, BEGIN_RUN, REGISTER_RUN = 1, 2, 4, 6, 7
REPLY, VIEW_REPLY = 64, 65
HEAD = struct.Struct("=IHHQ")
HOST, CLUSTER, STORAGE, GUEST = (bytes([n]) * 16 for n in (0x11, 0x22, 0x33, 0x44))
FRESH_MS = 1500
PATIENCE_S = 30


class Keeper:
    def __init__(self):
        end = time.monotonic() + PATIENCE_S
        while True:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                self.socket.connect(SOCKET)
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _ask(self, packet, wanted):
        self.socket.send(packet)
        while True:
            answer = self.socket.recv(65536)
            if HEAD.unpack_from(answer)[2] == wanted:
                return answer[HEAD.size:]

    def request(self, op, subject, epoch=0, number=0, pid=0, storages=(), path=b""):
        packet = HEAD.pack(MAGIC, VERSION, op, 1) + subject + struct.pack("=QQi", epoch, number, pid)
        packet += bytes([0, 0 if op == SET_EPOCH else len(storages)]) + bytes(10)
        packet += b"".join(storages).ljust(16 * 16, b"\0") + path.ljust(1024, b"\0")
        answer = self._ask(packet, REPLY)
        code, _ = struct.unpack_from("=II", answer)
        return code, answer[8:].split(b"\0")[0].decode()

    def view(self):
        answer = self._ask(HEAD.pack(MAGIC, VERSION, VIEW, 1) + bytes(1328), VIEW_REPLY)
        text = lambda at, n: answer[at:at + n].split(b"\0")[0].decode()
        at = 40 + 16 + 8 + 8 + 8
        watchdog, problem, at = text(at, 16), text(at + 16, 160), at + 16 + 160 + 16
        n_storages, _ = struct.unpack_from("=II", answer, at)
        age = struct.unpack_from("=16sq", answer, at + 8)[1] if n_storages else None
        return {"clean": answer[73] == 1, "watchdog": watchdog, "problem": problem, "age_ms": age}


def until(what):
    end = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > end:
            sys.exit("waited too long")
        time.sleep(0.05)


def adopt(keeper):
    until(lambda: (keeper.view()["age_ms"] or 1 << 60) < FRESH_MS)


def must(answer):
    if answer[0] != 0:
        sys.exit(answer[1])


def prepare(folder, *more):
    keeper, name = Keeper(), GUEST.hex()
    until(lambda: keeper.view()["clean"])
    must(keeper.request(SET_EPOCH, HOST, epoch=1, storages=[CLUSTER]))
    must(keeper.request(ADD_STORAGE, STORAGE, number=1, path=folder.encode()))
    adopt(keeper)
    until(lambda: keeper.request(BEGIN_RUN, GUEST, epoch=1, number=1, storages=[STORAGE])[0] == 0)
    files = ",".join([os.path.join(folder, "guest"), *more])
    child = subprocess.Popen([sys.executable, __file__, "guest", files, "-name", f"guest={name}", "-uuid", name],
                             start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # The kernel shows its arguments a moment after Popen() has returned.
    until(lambda: keeper.request(REGISTER_RUN, GUEST, number=1, pid=child.pid)[0] == 0)
    return child.pid


def guest(paths):
    block = mmap.mmap(-1, 4096)
    fds = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT | os.O_DSYNC) for path in paths]
    count = 0
    while True:
        count += 1
        block[:8] = struct.pack("<Q", count)
        for fd in fds:
            os.pwritev(fd, [block], 0)
        time.sleep(0.02)


def main():
    verb = sys.argv[1]
    if verb == "prepare":
        print(prepare(*sys.argv[2:]))
    elif verb == "adopt":
        adopt(Keeper())
    elif verb == "view":
        print(json.dumps(Keeper().view()))
    else:
        guest(sys.argv[2].split(","))


if __name__ == "__main__":
    main()
