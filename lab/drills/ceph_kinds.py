"""The ways in which a host on Ceph fails in a drill, and in which the cluster itself does. Nothing of a host hangs on the cluster
in its kernel: QEMU and the keeper's helper talk to it themselves, by the host's cable to the storage network."""

import os
import signal
import time

from .kinds import (ANY_EPOCH, SAME_EPOCH, STAYS, HostdDies, HostFreezes, KeeperDies, KeeperFreezes,
                    KeeperStaysDead, Kind, LibvirtdDies, Partition, Power)

OSDS, MON = ("osd.0", "osd.1"), "mon.a"
HELPER = "hf-rados-lease"
TCP_BACKOFF = 2        # an outage may last so many times as long for who waits for TCP's next try


def restart_osds(lab):
    for osd in OSDS:
        if not lab.ceph.runs(osd):
            lab.ceph.start(osd)
    lab.ceph.wait_clean()


class StorageCut(Kind):
    """The host alone does not reach the cluster: it kills by itself at L+K and says so, nothing is fenced."""
    name = "storage"
    epoch = ANY_EPOCH

    def inject(self, host):
        host.unplug("storage")

    def heal(self, host):
        host.plug("storage")


class StorageComesBack(Kind):
    """The host's cable is out for less than the profile has to ride out."""
    name = "storage-back"
    promise, epoch = STAYS, SAME_EPOCH

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.hold_s = (timing.lease_s - timing.renew_s - timing.io_s) / TCP_BACKOFF * rng.uniform(0.5, 1)

    def describe(self):
        return f"for {self.hold_s:.1f} s"

    def inject(self, host):
        host.unplug("storage")

    def heal(self, host):
        host.plug("storage")


class PartitionAndStorage(Kind):
    """Both cables are out, the host itself lives on with its guests: what a takeover on a promise not to write is about."""
    name = "both"

    def inject(self, host):
        host.unplug()
        host.unplug("storage")

    def heal(self, host):
        host.plug("storage")
        host.plug()


class StillWriting(Kind):
    """Nobody hears of the host and its record stands still, because the keeper's helper does; but its guests reach the cluster and write
    for as long as their keeper lets them, or until the cluster refuses them."""
    name = "still-writing"

    def inject(self, host):
        host.unplug()
        self._signal(host, signal.SIGSTOP)

    def heal(self, host):
        self._signal(host, signal.SIGCONT)
        host.plug()

    @staticmethod
    def _signal(host, number):
        for pid in host.pids(HELPER):
            os.kill(pid, number)


class HelperDies(KeeperDies):
    """The process beside the keeper that holds the connection; the keeper starts another one."""
    name = "lease-helper"
    program = HELPER

    def heal(self, host):
        pass


class OsdRestarts(Kind):
    """One of the two is killed and started again: the other one serves meanwhile."""
    name = "osd"
    promise, epoch = STAYS, SAME_EPOCH

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.osd = rng.choice(OSDS)
        self.hold_s = rng.uniform(0, timing.takeover_s)

    def describe(self):
        return f"for {self.hold_s:.1f} s"

    def inject(self, host):
        self.lab.ceph.kill(self.osd)

    def heal(self, host):
        restart_osds(self.lab)


class MonsWithoutQuorum(Kind):
    """The OSDs serve whom they know: what runs goes on, and so do the leases."""
    name = "mon"
    promise, epoch = STAYS, SAME_EPOCH
    nobody_fenced = True

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.hold_s = rng.uniform(timing.lease_s, timing.takeover_s + 2)

    def describe(self):
        return f"for {self.hold_s:.1f} s"

    def inject(self, host):
        self.lab.ceph.freeze(MON)

    def heal(self, host):
        self.lab.ceph.thaw(MON)


class ClusterOutage(MonsWithoutQuorum):
    """No OSD answers. Runs whose leases lapse are ended by their own hosts' keepers, and nobody fences anybody."""
    name = "outage"
    epoch = ANY_EPOCH
    everybody = True

    def inject(self, host):
        for osd in OSDS:
            self.lab.ceph.freeze(osd)

    def heal(self, host):
        for osd in OSDS:
            self.lab.ceph.thaw(osd)


class PowerAndOsd(Power):
    """An OSD is killed in the middle of the takeover, and started again."""
    name = "power-osd"

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.osd = rng.choice(OSDS)
        self.before_s = rng.uniform(0, timing.silence_s)
        self.hold_s = rng.uniform(0.1, timing.lease_s)

    def describe(self):
        return f"after {self.before_s:.1f} for {self.hold_s:.1f} s"

    def hold(self, host):
        time.sleep(self.before_s)
        self.lab.ceph.kill(self.osd)
        time.sleep(self.hold_s)
        self.lab.ceph.start(self.osd)

    def heal(self, host):
        restart_osds(self.lab)


class PowerAndMons(Power):
    """The MONs have no quorum when the host is lost: no fence can be confirmed until they have."""
    name = "power-mon"

    def __init__(self, rng, timing):
        super().__init__(rng, timing)
        self.hold_s = rng.uniform(1, timing.takeover_s + 2)

    def describe(self):
        return f"for {self.hold_s:.1f} s"

    def inject(self, host):
        self.lab.ceph.freeze(MON)
        super().inject(host)

    def hold(self, host):
        time.sleep(self.hold_s)
        self.lab.ceph.thaw(MON)

    def heal(self, host):
        self.lab.ceph.thaw(MON)


KINDS = {k.name: k for k in (Power, Partition, StorageCut, StorageComesBack, PartitionAndStorage, StillWriting, HostdDies, LibvirtdDies,
                             KeeperDies, KeeperStaysDead, HelperDies, HostFreezes, KeeperFreezes, OsdRestarts, MonsWithoutQuorum,
                             ClusterOutage, PowerAndOsd, PowerAndMons)}
