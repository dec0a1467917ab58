"""The one way in which files are written: whole or not at all.

New content goes to a file beside the target, which replaces the target when it is on the disk. So
a full disk, an error or a power cut leaves the old file as it was.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .errors import UlnnError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that becomes `path` when the block ends without an error. Folders are made.

    Raises UlnnError, with the file's name, where it cannot be written.
    """
    target = Path(path)
    with named(target):
        handle, part = _beside(target)
    try:
        with named(target), os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with named(target):
            part.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write(path: str | Path, content: bytes | str) -> None:
    """Write a whole file; text as UTF-8. Raises UlnnError."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: str | Path, content: Any) -> None:
    """Write an indented JSON file. Raises UlnnError."""
    write(path, json.dumps(content, indent=2) + "\n")


def check_output(path: str | Path, *inputs: Path | None) -> None:
    """Try, before long work, whether a file can be written later, and that it is none of the
    inputs. Leaves nothing behind but folders. Raises UlnnError.
    """
    target = Path(path)
    for source in (found for found in inputs if found is not None and found.exists()):
        if target.exists() and target.samefile(source):
            raise UlnnError(
                f"{target} is an input and would be overwritten: choose another output"
            )
    with named(target):
        if target.is_file() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "permission denied")
        handle, part = _beside(target)
        os.close(handle)
        part.unlink()


def _beside(target: Path) -> tuple[int, Path]:
    """An open new file in the folder of the target, which is made; raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    return handle, Path(name)


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """The name of the file in every error of the operating system."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UlnnError(f"{path} cannot be written: {reason}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
