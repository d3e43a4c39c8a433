"""What a drill or a failure's story stands on: a storage, the ways in which a host fails on it, and what the storage shows of its
canaries' writes."""

from holdlab.primary import CephPools, SharedDirectory

from . import ceph_kinds, kinds
from .canary import Volumes, WriteLogs


class FileSite:
    """Shared files, of which every host has a mount of its own whose daemon tells each write that landed."""
    kinds, unwatched_kinds = kinds.KINDS, kinds.UNWATCHED_KINDS

    may_overlap = False

    def __init__(self, takeover):
        self.takeover = takeover
        self.primary = SharedDirectory()
        self.config = {"own_storage": True}
        self._logs = None

    def watch(self, lab, _cli, _names):
        self._logs = WriteLogs(lab.hosts)

    def tell(self, checker):
        """Gives the checker what came since the last call; returns the landings among it."""
        landings = self._logs.take()
        for landing in landings:
            checker.landing(landing)
        return landings

    def mend(self, host):
        """What a failed host's storage may still hold lands, and every fault ends."""
        host.storage.land()

    def stop(self):
        pass


class CephSite:
    """A Ceph cluster, of which every host has a cable of its own; the canaries' volumes are read all the time."""
    kinds, unwatched_kinds = ceph_kinds.KINDS, {}

    def __init__(self, takeover):
        self.takeover = takeover
        self.may_overlap = takeover == "write-fenced"   # a run is over when it cannot write
        self.primary = CephPools()
        self.config = self.primary.config()
        self._volumes = None

    def watch(self, _lab, cli, names):
        volumes = [cli.get("instance", name)["spec"]["rootVolumeUuid"] for name in names]
        paths = [cli.get("volume", volume)["status"]["installPath"].removeprefix("ceph://").split("/") for volume in volumes]
        self._volumes = Volumes(self.primary.cluster, paths[0][0], [image for _pool, image in paths])

    def tell(self, checker):
        for found in self._volumes.take():
            checker.found(found)
        return []

    def mend(self, host):
        host.plug("storage")

    def stop(self):
        if self._volumes:
            self._volumes.stop()


SITES = {"file": FileSite, "ceph": CephSite}
