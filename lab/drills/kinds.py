"""The ways in which a host fails in a drill, and what the rules promise for each.

A kind draws its numbers, injects the failure, heals it. Its promise is where the victim's instances are in the end:
ELSEWHERE (one new run, on another host), STAYS (the same run, never ended), or EITHER (the failure is as long as a deadline
is; one of the two, whole). The host is back afterwards: in the same epoch when nothing was fenced, else in the next.
"""

import os
import signal
import time

from holdlab.proc import wait_until

from .timing import Timing

ELSEWHERE, STAYS, EITHER = "elsewhere", "stays", "either"
SAME_EPOCH, NEXT_EPOCH, ANY_EPOCH = "same", "next", "any"


class Kind:
    """Draws what varies from rng in its constructor; the rest of a drill sees promise and epoch, and calls inject and heal."""
    promise = ELSEWHERE
    epoch = NEXT_EPOCH
    hold_s = 0.0            # STAYS, EITHER: for how long the failure lasts
    lab = None              # given by the drill before it injects
    everybody = False       # concerns all hosts: what runs elsewhere may restart, too
    nobody_fenced = False   # and no host is given up for it, whatever it costs
    unproven = False        # ELSEWHERE: no silence proves it, so nothing may start elsewhere before it is healed, with an alarm
    back_first = False      # ELSEWHERE: the host is well again before its instances restart, so it may take them itself
    late_writes = False     # what the storage holds lands only after the next run has begun: not excluded on file storage

    def __init__(self, rng, timing: Timing):
        self.rng = rng
        self.timing = timing

    def describe(self):
        return ""

    def inject(self, host):
        raise NotImplementedError

    def hold(self, host):
        """STAYS, EITHER: lets the failure last."""
        time.sleep(self.hold_s)

    def heal(self, host):
        """Ends the failure; a host that has lost its power meanwhile is switched on again by the drill."""


class Power(Kind):
    name = "power"

    def inject(self, host):
        host.power_off()


class Partition(Kind):
    """Long past every deadline: the record moves, so the host lives and keeps what runs on it."""
    name = "partition"
    promise, epoch = STAYS, SAME_EPOCH

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.hold_s = rng.uniform(timing.takeover_s + 0.5, timing.takeover_s + 2)

    def inject(self, host):
        host.unplug()

    def heal(self, host):
        host.plug()


class StorageErrors(Kind):
    """The host kills by itself at L+K and says so: nothing is fenced."""
    name = "storage-eio"
    epoch = ANY_EPOCH

    def inject(self, host):
        host.storage.fault("eio")

    def heal(self, host):
        host.storage.land()


class StorageHangs(StorageErrors):
    """As an NFS server that does not answer: who waits for it can be killed, but for QEMU's asynchronous writes. What the storage
    had taken lands when it comes back."""
    name = "storage-hang"
    late_writes = True

    def inject(self, host):
        host.storage.killable(True)
        host.storage.fault("hang")


class StorageComesBack(Kind):
    """As a path that fails over: the storage answers nothing for as long as the profile has to ride out, then everything."""
    name = "storage-back"
    promise, epoch = STAYS, SAME_EPOCH

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.hold_s = (timing.lease_s - timing.renew_s - timing.io_s) * rng.uniform(0.5, 1)

    def describe(self):
        return f"for {self.hold_s:.1f} s"

    def inject(self, host):
        host.storage.fault("hang")

    def heal(self, host):
        host.storage.land()


class StorageFailsBriefly(StorageComesBack):
    """The same with errors, at which QEMU stops the guests; their host lets them go on."""
    name = "storage-blip"

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.fault = rng.choice((("eio",), ("enospc", "w")))

    def describe(self):
        return f"{self.fault[0]}, {super().describe()}"

    def inject(self, host):
        host.storage.fault(*self.fault)


class StuckWriter(Kind):
    """The guests' writes hang in the kernel, SIGKILL does not end them: the keeper cannot say "killed", the watchdog resets."""
    name = "stuck-writer"
    late_writes = True

    def inject(self, host):
        host.storage.killable(False)
        host.storage.fault("hang", "ws")

    def heal(self, host):
        host.storage.land()


class PartitionAndStorage(Kind):
    name = "both"

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.fault = rng.choice(("eio", "hang"))
        self.late_writes = self.fault == "hang"

    def describe(self):
        return self.fault

    def inject(self, host):
        host.unplug()
        host.storage.killable(True)
        host.storage.fault(self.fault)

    def heal(self, host):
        host.storage.land()
        host.plug()


class LateWrites(Kind):
    """The storage has taken writes, the host loses its power, and the writes land: in time, or only when the next run lives."""
    name = "late-writes"

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.late_writes = rng.random() < 0.5

    def describe(self):
        return "land after the restart" if self.late_writes else "land at once"

    def inject(self, host):
        host.storage.fault("hang", "w")
        time.sleep(self.rng.uniform(0.2, 1.0))
        host.power_off()
        if not self.late_writes:
            host.storage.land()

    def heal(self, host):
        host.storage.land()


class HostdDies(Kind):
    name = "hostd"
    promise, epoch = STAYS, SAME_EPOCH
    program = "hostd"

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.hold_s = rng.uniform(0.2, timing.takeover_s)

    def describe(self):
        return f"for {self.hold_s:.1f} s"

    def inject(self, host):
        host.kill(self.program)

    def heal(self, host):
        if not host.pids(self.program):
            host.start(self.program)


class LibvirtdDies(HostdDies):
    name = "libvirtd"
    program = "libvirtd"

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.hold_s = rng.uniform(0.2, 4)


class KeeperDies(HostdDies):
    """And is started again at once, as systemd does: it has K to renew before anything is lost."""
    name = "keeper"
    program = "hf-lease"

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.hold_s = rng.uniform(0, 0.1)


class KeeperStaysDead(Kind):
    """The watchdog resets the host."""
    name = "keeper-gone"

    def inject(self, host):
        host.kill("hf-lease")


class Pause(Kind):
    """Something stands still for a while around a deadline, and then goes on as if nothing had happened. What is shorter than the
    watchdog allows costs nothing; longer, and the watchdog has reset the host before it can go on."""

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        t = timing
        self.hold_s = max(0.1, rng.choice((
            t.pet_s, t.watchdog_s - t.pet_s, t.watchdog_s, t.lease_s, t.lease_s + t.kill_s, t.silence_s)) +
            rng.uniform(-0.3, 0.3))
        if self.hold_s < t.watchdog_s - 2 * t.pet_s - 0.2:
            self.promise, self.epoch = STAYS, SAME_EPOCH
        elif self.hold_s <= t.watchdog_reset_s + 0.3:
            self.promise, self.epoch = EITHER, ANY_EPOCH

    def describe(self):
        return f"for {self.hold_s:.2f} s"


class HostFreezes(Pause):
    name = "freeze"

    def inject(self, host):
        host.freeze()

    def hold(self, host):
        time.sleep(self.hold_s)
        host.thaw()

    def heal(self, host):
        host.thaw()


class KeeperFreezes(Pause):
    name = "keeper-freeze"

    def _signal(self, host, sig):
        for pid in host.pids("hf-lease"):
            os.kill(pid, sig)

    def inject(self, host):
        self._signal(host, signal.SIGSTOP)
        wait_until("the keeper's stop", lambda: host.pids("hf-lease"), timeout=5)

    def hold(self, host):
        time.sleep(self.hold_s)
        self._signal(host, signal.SIGCONT)

    def heal(self, host):
        self._signal(host, signal.SIGCONT)


class UnwatchedHostFreezes(Kind):
    """A whole host without a watchdog stands still, past T, and goes on: what no silence can prove. So nothing may start elsewhere
    meanwhile, and there is an alarm. How long its guests go on before its keeper ends them is what is measured: so long two
    copies would have run, had a person's word said that the host is off."""
    name = "unwatched-freeze"
    epoch = NEXT_EPOCH
    unproven = back_first = True

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.hold_s = timing.silence_s + rng.uniform(2, 5)

    def describe(self):
        return f"for {self.hold_s:.2f} s"

    def inject(self, host):
        host.freeze()

    def hold(self, host):
        time.sleep(self.hold_s)

    def heal(self, host):
        host.thaw()


UNWATCHED_KINDS = {UnwatchedHostFreezes.name: UnwatchedHostFreezes}   # on a lab whose hosts have no watchdog
KINDS = {k.name: k for k in (Power, Partition, StorageErrors, StorageHangs, StorageComesBack, StorageFailsBriefly, StuckWriter,
                             PartitionAndStorage, LateWrites, HostdDies, LibvirtdDies, KeeperDies, KeeperStaysDead, HostFreezes, KeeperFreezes)}
