"""Where the MicroPython source tree is.

``MPY_DIR`` names one; otherwise a pinned release is fetched once into ``build/micropython``, first
from upstream, else as Debian's source package through apt. Both are checked against a SHA-256.

    python -m ulnn_host.toolchain.micropython_source
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ..base.errors import UlnnError
from ..base.paths import project_root

MIN_VERSION = (1, 25)
PINNED_VERSION = "1.25.0"
UPSTREAM_TIMEOUT_S = 5.0
APT_TIMEOUT_S = 300.0
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBIAN_SUITE = "trixie"


@dataclass(frozen=True)
class Archive:
    """A source archive: a file name (or URL) and the SHA-256 it must have."""

    name: str
    sha256: str


UPSTREAM = Archive(
    "https://github.com/micropython/micropython/releases/download/"
    f"v{PINNED_VERSION}/micropython-{PINNED_VERSION}.tar.xz",
    "9fe99ad5808e66bb40d374f5cad187c32c7d1c49cf47f72b38fd453c28c2aebe",
)
DEBIAN = Archive(
    f"micropython_{PINNED_VERSION}+ds.orig.tar.xz",
    "7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea",
)


def micropython_version(tree: Path) -> tuple[int, int, int]:
    """The version in a tree's ``py/mpconfig.h``; raises UlnnError when there is none."""
    header = tree / "py" / "mpconfig.h"
    try:
        text = header.read_text(encoding="utf-8")
    except OSError as error:
        raise UlnnError(
            f"{tree} is not a MicroPython tree ({error.strerror} for py/mpconfig.h): "
            "set MPY_DIR to a MicroPython checkout"
        ) from error
    found = dict(re.findall(r"#define MICROPY_VERSION_(MAJOR|MINOR|MICRO)\s+(\d+)", text))
    if set(found) != {"MAJOR", "MINOR", "MICRO"}:
        raise UlnnError(
            f"{header} states no version: set MPY_DIR to a MicroPython tree, 1.25 or newer"
        )
    return int(found["MAJOR"]), int(found["MINOR"]), int(found["MICRO"])


def mpy_abi(tree: Path) -> str:
    """The .mpy version a tree loads, such as "6.3"."""
    text = (tree / "py" / "persistentcode.h").read_text(encoding="utf-8")
    found = dict(re.findall(r"#define (MPY_VERSION|MPY_SUB_VERSION)\s+(\d+)", text))
    return f"{found.get('MPY_VERSION', '?')}.{found.get('MPY_SUB_VERSION', '?')}"


def find_micropython(root: Path | None = None) -> Path:
    """The MicroPython tree to build with, fetched on first use; raises UlnnError.

    root: the project's checkout, for tests; the pinned tree is kept in its ``build`` folder.
    """
    named = os.environ.get("MPY_DIR")
    if named:
        tree = Path(named).expanduser().resolve()
        version = micropython_version(tree)
        if version[:2] < MIN_VERSION:
            raise UlnnError(
                f"MPY_DIR={named} is MicroPython {'.'.join(map(str, version))}, 1.25 or newer is "
                "needed: update that checkout, or unset MPY_DIR to use the pinned release"
            )
        return tree
    build = (root or project_root()) / "build" / "micropython"
    tree = build / f"micropython-{PINNED_VERSION}"
    if tree.is_dir():
        return tree
    build.mkdir(parents=True, exist_ok=True)
    with FileLock(build / ".lock"):
        if not tree.is_dir():
            _fetch(build, tree)
    return tree


def _fetch(build: Path, tree: Path) -> None:
    reasons = []
    with tempfile.TemporaryDirectory(dir=build) as scratch:
        for label, download in (
            ("upstream release", _download_upstream),
            ("Debian source package", _download_debian),
        ):
            try:
                _unpack(download(Path(scratch)), Path(scratch), tree)
                return
            except UlnnError as error:
                reasons.append(f"{label}: {error}")
    raise UlnnError(
        f"no MicroPython {PINNED_VERSION} source ({'; '.join(reasons)}): set MPY_DIR to a "
        "MicroPython checkout, 1.25 or newer"
    )


def _download_upstream(scratch: Path) -> Path:
    target = scratch / "upstream.tar.xz"
    try:
        with (
            urllib.request.urlopen(UPSTREAM.name, timeout=UPSTREAM_TIMEOUT_S) as reply,
            target.open("wb") as out,
        ):
            shutil.copyfileobj(reply, out)
    except (urllib.error.URLError, OSError) as error:
        raise UlnnError(f"not reachable ({getattr(error, 'reason', error)})") from error
    return _checked(target, UPSTREAM)


def _download_debian(scratch: Path) -> Path:
    if shutil.which("apt-get") is None or not DEBIAN_KEYRING.is_file():
        raise UlnnError("no apt-get with Debian's archive keyring here")
    lists = scratch / "lists"
    cache = scratch / "cache"
    for folder in (lists / "partial", cache / "archives" / "partial"):
        folder.mkdir(parents=True)
    sources = scratch / "sources.list"
    sources.write_text(
        f"deb-src [signed-by={DEBIAN_KEYRING}] {_debian_mirror()} {DEBIAN_SUITE} main\n"
    )
    private = [
        f"Dir::Etc::sourcelist={sources}",
        "Dir::Etc::sourceparts=-",
        f"Dir::State::Lists={lists}",
        f"Dir::Cache={cache}",
        "APT::Sandbox::User=root",
    ]
    options = [word for option in private for word in ("-o", option)]
    _apt(["apt-get", "-q", *options, "update"], scratch)
    _apt(["apt-get", "-q", *options, "source", "--download-only", "micropython"], scratch)
    return _checked(scratch / DEBIAN.name, DEBIAN)


def _debian_mirror() -> str:
    """The Debian archive this machine already uses, so that no host is named here."""
    listing = _apt(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"], Path.cwd()
    )
    for line in listing.splitlines():
        origin, label, uri = [*line.split("|"), "", ""][:3]
        if (origin, label) == ("Debian", "Debian") and uri:
            return uri
    raise UlnnError("apt on this machine has no Debian archive configured")


def _apt(command: list[str], cwd: Path) -> str:
    try:
        result = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=APT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UlnnError(f"apt-get took longer than {APT_TIMEOUT_S:.0f} s") from error
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.startswith("E:")]
        raise UlnnError(f"apt-get failed ({lines[0] if lines else result.returncode})")
    return result.stdout


def _checked(path: Path, archive: Archive) -> Path:
    if not path.is_file():
        raise UlnnError(f"{path.name} was not among the downloaded files")
    with path.open("rb") as file:
        seen = hashlib.file_digest(file, "sha256").hexdigest()
    if seen != archive.sha256:
        raise UlnnError(
            f"{path.name} has SHA-256 {seen[:16]}..., {archive.sha256[:16]}... was expected"
        )
    return path


def _unpack(archive: Path, scratch: Path, tree: Path) -> None:
    unpacked = scratch / f"{archive.name}.d"
    with tarfile.open(archive) as tar:
        # Debian 12's Python 3.11.2 has no data_filter; the archive's hash was checked either way.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(unpacked)
    folders = [path for path in unpacked.iterdir() if (path / "py" / "mpconfig.h").is_file()]
    if len(folders) != 1:
        raise UlnnError(f"{archive.name} holds no MicroPython tree")
    readme = folders[0] / "lib" / "micropython-lib" / "README.md"
    if not readme.exists():
        # MicroPython's build looks for this file before it freezes anything.
        readme.parent.mkdir(parents=True, exist_ok=True)
        readme.write_text("Stub: this source archive comes without micropython-lib.\n")
    folders[0].rename(tree)


def main() -> None:
    """Prints the tree's path, or one line on stderr and exit status 1."""
    try:
        print(find_micropython())
    except UlnnError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
