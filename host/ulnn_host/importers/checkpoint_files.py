"""Files of trained arrays, told by their content: safetensors, torch, NumPy, Keras."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..base import archives
from ..base.errors import UlnnError, one_line
from ..base.extras import explained
from ..network.layers import Array
from . import import_keras, torch_files
from .import_cells import Arrays
from .state_dict import check_type
from .state_dict_forms import below

EXPECTED = "torch.save(model.state_dict(), ...), .safetensors, .npz, .keras or .weights.h5"
HDF5 = b"\x89HDF\r\n\x1a\n"
# (start of the content, what it is and the way out)
OTHERS = {
    b"version https://git-lfs": "a pointer of Git LFS; run git lfs pull to get the file itself",
    b"../": "a pointer of git-annex; run git annex get to get the file itself",
    b"/annex/objects/": "a pointer of git-annex; run git annex get to get the file itself",
    b"<": "a page of HTML, as of a login or an error; download the file itself",
    b"ULNN": "an integer model; expected the checkpoint from which it was converted",
    b"\x1f\x8b": "packed by gzip; unpack it first",
    b"7z\xbc\xaf": "packed by 7-Zip; unpack it first",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it first",
}
Reader = Callable[[Path, str], Arrays]


def read(path: Path, wanted: str = "") -> Arrays:
    """The arrays of a file, and what it says about its layers. wanted: which state dict, where it
    holds several. Raises UlnnError."""
    if not path.exists():
        raise UlnnError(
            f"{path}: no such file; expected a checkpoint (.safetensors, .pt, .npz, .keras or "
            ".weights.h5)"
        )
    try:
        archives.check_size(path)
        with explained(f"{path.name}: reading it"):
            return _reader(path)(path, wanted)
    except UlnnError as error:
        text = one_line(str(error))
        if text.startswith((path.name, str(path))):
            raise
        raise UlnnError(f"{path.name}: {text}") from error
    except Exception as error:  # libraries raise anything for damaged files
        reason = one_line(str(error)) or type(error).__name__
        raise UlnnError(
            f"{path.name}: cannot be read ({reason[:120]}); expected {EXPECTED}"
        ) from error


def _reader(path: Path) -> Reader:
    with path.open("rb") as file:
        start = file.read(512)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(HDF5):
        return _keras
    if start.startswith(b"PK\x03\x04"):
        return _of_archive(path)
    if torch_files.is_safetensors(start, path.stat().st_size):
        return _safetensors
    for head, what in OTHERS.items():
        if text.startswith(head):
            raise UlnnError(f"it is {what}")
    if not text.translate(None, string.printable.encode()):
        line = " ".join(text.decode().split())[:40]
        raise UlnnError(f"it is text ({line!r}); download or save the file itself")
    return _torch


def _of_archive(path: Path) -> Reader:
    with archives.open_zip(path) as archive:
        names = archive.namelist()
        last = {name.rpartition("/")[2] for name in names}
        # torch does not look at checksums; whoever reads the others does
        damaged = archive.testzip() if "data.pkl" in last else None
    if damaged is not None:
        raise UlnnError(f"it is damaged: {damaged} does not fit its checksum; copy it again")
    if "model.weights.h5" in last:
        return _keras
    if "constants.pkl" in last:
        raise UlnnError("it is TorchScript; save the weights: torch.save(model.state_dict(), ...)")
    if "data.pkl" in last:
        return _torch
    if names and all(name.endswith(".npy") for name in names):
        return _npz
    raise UlnnError(f"it is an archive of {names[0] if names else 'nothing'}; expected {EXPECTED}")


def _keras(path: Path, wanted: str) -> Arrays:
    if wanted:
        raise UlnnError("it holds one model; expected no --weights")
    return import_keras.read(path)


def _torch(path: Path, wanted: str) -> Arrays:
    return Arrays(torch_files.read_torch(path, wanted))


def _safetensors(path: Path, wanted: str) -> Arrays:
    return Arrays(torch_files.read_safetensors(path, wanted))


def _npz(path: Path, wanted: str) -> Arrays:
    arrays = archives.read_npz(path)
    return Arrays(floats(below(arrays, wanted) if wanted else arrays))


def floats(arrays: dict[str, np.ndarray]) -> dict[str, Array]:
    """float64 of arrays that hold weights. Raises UlnnError for other numbers."""
    for key, value in arrays.items():
        check_type(key, value.dtype.name, value.ndim)
    return {key: np.asarray(value, np.float64) for key, value in arrays.items()}
