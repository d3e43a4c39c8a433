"""Running programs, waiting for things, and ending cleanly on a signal."""

import os
import signal
import subprocess
import time

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class LabError(Exception):
    """A sentence for the person at the terminal."""


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP came: clean up and end."""

    def __init__(self, signum):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


def raise_on_signals():
    def handler(signum, _frame):
        ignore_signals()  # the clean-up that follows is not interrupted by an impatient second Ctrl-C
        raise Interrupted(signum)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, handler)


def ignore_signals():
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)


def run(*argv, check=True, timeout=60, text_in=None, shown=None):
    """Runs a short command to its end and returns what it printed; LabError tells what it said when it fails. shown: how
    the error names it."""
    argv = [str(a) for a in argv]
    shown = shown or " ".join(argv)
    try:
        done = subprocess.run(argv, env=ENVIRONMENT, timeout=timeout, capture_output=True, text=True, input=text_in,
                              stdin=None if text_in is not None else subprocess.DEVNULL, start_new_session=True,
                              errors="replace")
    except subprocess.TimeoutExpired:
        raise LabError(f"'{shown}' did not end within {timeout} s") from None
    if check and done.returncode != 0:
        raise LabError(f"'{shown}' failed: {(done.stderr or done.stdout).strip()}")
    return done


def wait_until(what, condition, timeout, interval=0.02):
    """Polls until condition() is true and returns its value; LabError names what did not happen."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"{what} did not happen within {timeout} s")
        time.sleep(interval)


def exe_name(pid):
    """The base name of a process's program, or "" when it is gone (or a kernel thread)."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except OSError:
        return ""


def namespace_pid(pid):
    """The process's number in its innermost pid namespace; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            for line in f:
                if line.startswith("NSpid:"):
                    return int(line.split()[-1])
    except OSError:
        pass
    return 0


def tail(path, lines=25):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])
    except OSError:
        return ""
