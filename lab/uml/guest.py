"""Plays a QEMU on a file: writes a counter past the page cache, as a guest's disk with cache=none does, until it is killed.

    guest.py FILE PERIOD_MS [locked] [native] -name guest=<uuid> -uuid <uuid>

locked: with QEMU's image locks; native: by Linux' native AIO, as with io=native, else by a thread that waits for each write.
"""

import ctypes
import fcntl
import mmap
import os
import struct
import sys
import time

OFD_SETLK = 37
IO_SETUP, IO_GETEVENTS, IO_SUBMIT = 206, 208, 209  # x86-64
IOCB_CMD_PWRITE = 1
BLOCK = 4096
# QEMU's bytes: what it does (100 + …) and what it lets nobody else do (200 + …): 0 reads, 1 writes, 2 writes the same, 3 resizes.
LOCKED_BYTES = (100, 101, 102, 103, 201, 203)

libc = ctypes.CDLL(None, use_errno=True)


def call(number, *args):
    rc = libc.syscall(ctypes.c_long(number), *args)
    if rc < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return rc


class Native:
    """One request at a time."""

    def __init__(self, disk, block):
        self.context = ctypes.c_ulong(0)
        call(IO_SETUP, ctypes.c_long(1), ctypes.byref(self.context))
        address = ctypes.addressof(ctypes.c_char.from_buffer(block))
        # data, key, rw_flags, opcode, reqprio, fildes, buf, nbytes, offset, reserved, flags, resfd
        self.request = ctypes.create_string_buffer(
            struct.pack("QIIHhIQQqQII", 0, 0, 0, IOCB_CMD_PWRITE, 0, disk, address, BLOCK, 0, 0, 0, 0))
        self.event = ctypes.create_string_buffer(32)

    def write(self):
        requests = (ctypes.c_void_p * 1)(ctypes.addressof(self.request))
        call(IO_SUBMIT, self.context, ctypes.c_long(1), requests)
        call(IO_GETEVENTS, self.context, ctypes.c_long(1), ctypes.c_long(1), self.event, None)


def main():
    path, period_ms, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    block = mmap.mmap(-1, BLOCK)
    disk = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT | os.O_DSYNC, 0o644)
    for byte in LOCKED_BYTES if "locked" in words else ():
        fcntl.fcntl(disk, OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0))
    native = Native(disk, block) if "native" in words else None
    number = 0
    while True:
        number += 1
        block[:16] = b"%-15d\n" % number
        print(f"write {number}", flush=True)
        if native:
            native.write()
        else:
            os.pwritev(disk, [block], 0)
        print(f"written {number}", flush=True)
        time.sleep(period_ms / 1000)


if __name__ == "__main__":
    main()
