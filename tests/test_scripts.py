"""scripts/backports-source: where libraft's source comes from, for every way in which a machine may name its mirror."""

import os
import subprocess

from conftest import ROOT

HOST = "http://mirror.example"
MIRROR = f"{HOST}/debian/"
DEB822 = f"""\
# comment
Types: deb deb-src
URIs: {HOST}/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: {HOST}/debian-security
Suites: bookworm-security
Components: main
"""
ONE_LINE = f"""\
deb cdrom:[Debian 12]/ bookworm main
# deb {HOST}/commented/debian bookworm main
deb-src {HOST}/debian/ bookworm main
deb [signed-by=/usr/share/keyrings/k.gpg arch=amd64,i386] {HOST}/debian/ bookworm main non-free # mine
"""


def source(tmp_path, **files):
    paths = []
    for name, text in files.items():
        path = tmp_path / name.replace("_", ".")
        path.write_text(text)
        paths.append(str(path))
    return subprocess.run([os.path.join(ROOT, "scripts", "backports-source"), "bookworm", MIRROR, *paths],
                          capture_output=True, text=True, check=False)


def test_deb822_stanza_with_an_embedded_key(tmp_path):
    done = source(tmp_path, debian_sources=DEB822)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("Types: deb\nSuites: bookworm-backports\nComponents: main\n"
                           f"URIs: {HOST}/debian\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n")


def test_one_line_entry_with_options(tmp_path):
    done = source(tmp_path, sources_list=ONE_LINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("Types: deb\nSuites: bookworm-backports\nComponents: main\n"
                           f"URIs: {MIRROR}\nsigned-by: /usr/share/keyrings/k.gpg\nArchitectures: amd64 i386\n")


def test_backports_that_are_there_already_are_left_alone(tmp_path):
    done = source(tmp_path, debian_sources=DEB822, b_list=f"deb {HOST}/debian bookworm-backports main\n")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_disabled_source_does_not_count(tmp_path):
    done = source(tmp_path, debian_sources=DEB822.replace("Types: deb deb-src", "Enabled: no\nTypes: deb"))
    assert done.returncode == 1


def test_a_machine_without_the_mirror(tmp_path):
    done = source(tmp_path, other_list=f"deb {HOST}/vendor bookworm main\n")
    assert (done.returncode, done.stdout) == (1, "")
