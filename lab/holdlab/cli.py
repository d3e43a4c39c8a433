"""The holdfast command line, shown as it runs, and what it prints as JSON for those who only want to know."""

import json
import os
import shlex
import subprocess
import sys
import time

from .proc import ENVIRONMENT, LabError


class CommandFailed(LabError):
    def __init__(self, words, code, message):
        super().__init__(f"'holdfast {shlex.join(words)}' failed ({code}): {message}")
        self.code = code
        self.message = message


class Teller:
    """Prints the story: headings, sentences, commands. Colours only on a terminal."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.colored = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def _style(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colored else text

    def heading(self, text):
        self.line("\n" + self._style("1;36", text))

    def say(self, text):
        self.line(self._style("2", f"# {text}"))

    def prompt(self, command):
        self.line(self._style("1", f"$ {command}"))

    def line(self, text=""):
        print(text, file=self.out, flush=True)


class Cli:
    def __init__(self, config, teller=None):
        self.program = os.path.join(config.bin_dir, "holdfast")
        self.environment = dict(ENVIRONMENT, HOLDFAST_CONTROL=config.control_list)
        self.teller = teller

    def show(self, *words, timeout=300):
        """Runs a command in view of the reader."""
        words = [str(w) for w in words]
        self.teller.prompt(f"holdfast {shlex.join(words)}")
        done = subprocess.run([self.program, *words], env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False,
                              errors="replace")
        if done.stdout:
            self.teller.line(done.stdout.rstrip("\n"))
        if done.returncode != 0:
            raise CommandFailed(words, done.returncode, done.stdout.strip())

    def run(self, *words, timeout=300):
        """Runs a command quietly and returns what it printed on standard output."""
        words = [str(w) for w in words]
        done = subprocess.run([self.program, *words], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout, check=False, errors="replace")
        if done.returncode != 0:
            raise CommandFailed(words, done.returncode, done.stderr.strip())
        return done.stdout

    def json(self, *words, timeout=300):
        return json.loads(self.run("-o", "json", *words, timeout=timeout))

    def get(self, noun, name):
        return self.json(noun, "get", name)

    def leader_id(self):
        """The control node that leads; None while there is none."""
        return next((int(n["id"]) for n in self.json("control", "status") if n.get("role") == "leader"), None)

    def all_controls_in(self):
        return all(n.get("role") in ("leader", "follower") for n in self.json("control", "status"))

    def wait(self, what, condition, timeout=120, interval=0.2):
        """Polls until condition(), which asks the API, is true; a control plane without a leader is waited out."""
        end = time.monotonic() + timeout
        last = ""
        while time.monotonic() < end:
            try:
                value = condition()
                if value:
                    return value
            except CommandFailed as e:
                last = f"; last answer: {e.message}"
            time.sleep(interval)
        raise LabError(f"{what} did not happen within {timeout} s{last}")


class Watch:
    """'holdfast watch' in view of the reader, until stopped."""

    def __init__(self, cli, *kinds):
        words = ["watch"]
        for kind in kinds:
            words += ["--kind", kind]
        cli.teller.prompt(f"holdfast {' '.join(words)}")
        self.child = subprocess.Popen([cli.program, *words], env=cli.environment, stdin=subprocess.DEVNULL,
                                      start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.child.terminate()
        try:
            self.child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
