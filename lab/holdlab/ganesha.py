"""An NFS server in user space (nfs-ganesha) in the fabric of a lab: NFSv4 only, so it needs nothing beside itself."""

import os
import shutil
import signal
import socket

from . import netns
from .proc import wait_until

PROGRAM = "/usr/bin/ganesha.nfsd"
PORT = 2049
START_S = 30

CONFIG = """
NFS_CORE_PARAM {{
    Protocols = 4; NFS_Port = {port}; Bind_addr = {address}; Rquota_Port = 0;
    Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; mount_path_pseudo = true;
}}
NFSV4 {{
    Minor_Versions = 0,1,2; RecoveryBackend = fs; RecoveryRoot = {dir}/recovery;
    Lease_Lifetime = 10; Grace_Period = 10; Graceless = {graceless};
    Only_Numeric_Owners = true; IdmapConf = /dev/null;
}}
NFS_KRB5 {{ Active_krb5 = false; }}
EXPORT_DEFAULTS {{ SecType = sys; Squash = no_root_squash; Access_Type = RW; Protocols = 4; Transports = TCP; }}
{exports}
LOG {{ Default_Log_Level = EVENT; }}
"""
EXPORT = 'EXPORT {{ Export_Id = {number}; Path = {path}; Pseudo = /{name}; FSAL {{ Name = VFS; }} }}\n'


def available():
    return None if os.path.exists(PROGRAM) else f"{PROGRAM} is missing: install Debian's nfs-ganesha and nfs-ganesha-vfs"


class Ganesha:
    """exports: names; each is a directory of the machine (path(name)) and an export of the same name."""

    def __init__(self, lab, address, exports, graceless=True):
        self.lab, self.address, self.exports, self.graceless = lab, address, list(exports), graceless
        self.dir = os.path.join(lab.dir, "ganesha")
        self._child = None
        os.makedirs(os.path.join(self.dir, "recovery"))
        for name in self.exports:
            os.makedirs(self.path(name))

    def path(self, name):
        return os.path.join(self.dir, name)

    def url(self, name):
        return f"{self.address}:/{name}"

    def start(self, exports=None):
        """exports: fewer than at first, if given: the others are gone."""
        text = "".join(EXPORT.format(number=i + 1, path=self.path(name), name=name)
                       for i, name in enumerate(self.exports) if exports is None or name in exports)
        config = os.path.join(self.dir, "ganesha.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(port=PORT, address=self.address, dir=self.dir, exports=text,
                                  graceless=str(self.graceless).lower()))
        self._child = self.lab.serve([PROGRAM, "-F", "-f", config, "-L", os.path.join(self.dir, "log"), "-p",
                                      os.path.join(self.dir, "pid")], "ganesha.out")
        wait_until("the NFS server", self._listens, START_S)
        return self

    def _listens(self):
        def dial():
            with socket.create_connection((self.address, PORT), 1):
                return True
        try:
            return netns.call_in(self.lab.fabric, dial)
        except OSError:
            return False

    def _signal(self, number):
        os.kill(self._child.pid, number)

    def stop(self):
        """It stands still: takes connections, answers nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self):
        self._signal(signal.SIGCONT)

    def kill(self):
        """It is gone; start() makes the next."""
        self._signal(signal.SIGKILL)
        self._child.wait(START_S)

    def wipe(self, name):
        shutil.rmtree(self.path(name))
