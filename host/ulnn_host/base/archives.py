"""Archives of strangers, read within bounds.

An archive may unpack to more than the memory, and a header may declare a size that is not there.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .errors import UlnnError

LIMIT = 1 << 28  # bytes of a checkpoint, and of all that it unpacks to


def check_size(path: Path, limit: int = LIMIT) -> None:
    """Refuse what is no file, empty or too large. Raises UlnnError."""
    if path.is_dir():
        raise UlnnError("it is a folder (a SavedModel of TensorFlow? save it as .keras)")
    if not path.is_file():
        raise UlnnError("it is no file")
    size = path.stat().st_size
    if size == 0:
        raise UlnnError("the file is empty: copy it again")
    if size > limit:
        raise UlnnError(f"it has {size:,} bytes, expected at most {limit:,}")


def check_total(size: int, limit: int = LIMIT) -> None:
    """Refuse contents of more bytes than the limit. Raises UlnnError."""
    if size > limit:
        raise UlnnError(f"it unpacks to {size:,} bytes, expected at most {limit:,}")


def open_zip(file: Path | IO[bytes], limit: int = LIMIT) -> zipfile.ZipFile:
    """A zip archive whose members, as it declares them, are within the limit; reading a member
    never gives more than it declares. Raises UlnnError."""
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        what = "it is no archive" if "not a zip" in str(error) else "it is damaged"
        raise UlnnError(f"{what}, or its end is cut off: copy it again") from error
    members = archive.infolist()
    check_total(sum(member.file_size for member in members), limit)
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise UlnnError("it holds two members of the same name: it is damaged")
    return archive


def read_npz(path: Path, limit: int = LIMIT) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file. Raises UlnnError for one that declares another size than it
    has, or that holds objects."""
    with open_zip(path, limit) as archive:
        return {
            name.removesuffix(".npy"): _npy(name, archive.read(name))
            for name in archive.namelist()
        }


def _npy(name: str, content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise UlnnError(f"{name} is of .npy version {version}, expected 1.0 or 2.0")
    shape, fortran, dtype = readers[version](stream)
    if dtype.hasobject:
        raise UlnnError(f"{name} holds pickled objects, expected numbers")
    declared, stored = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if declared != stored:
        raise UlnnError(f"{name} declares {declared:,} bytes, but holds {stored:,}")
    flat = np.frombuffer(content[stream.tell() :], dtype) if declared else np.zeros(0, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")
