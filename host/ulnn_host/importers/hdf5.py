"""HDF5 files of strangers, read within bounds.

A file may point to other files (the class of CVE-2026-1669), declare sizes that are not there, and
nest without end.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.archives import check_total
from ..base.errors import UlnnError

DEPTH = 32  # of groups
OBJECTS = 100_000
DEFLATE_RATIO = 1032  # what deflate reaches at most
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}

Arrays = dict[str, NDArray[Any]]


def read_hdf5(file: Any) -> tuple[Arrays, list[str]]:
    """(the arrays of an open `h5py.File` by their paths, the paths of groups that hold nothing).

    Raises UlnnError for links and data outside of the file, for declared sizes that are not
    there, and for a file that is too large or too deep.
    """
    import h5py

    found: Arrays = {}
    empty: list[str] = []
    left = [("", file, 0)]
    objects = declared = 0
    while left:
        path, group, depth = left.pop()
        if depth > DEPTH:
            raise UlnnError(f"groups nest deeper than {DEPTH}: it is damaged")
        if not len(group):
            empty.append(path)
        for key in group:
            objects += 1
            if objects > OBJECTS:
                raise UlnnError(f"it holds more than {OBJECTS:,} objects: it is damaged")
            at = f"{path}/{key}" if path else key
            node = _linked(group, key, at)
            if isinstance(node, h5py.Group):
                left.append((at, node, depth + 1))
                continue
            declared += check_dataset(node, at)
            check_total(declared)
            found[at] = np.asarray(node[()])
    return dict(sorted(found.items())), sorted(empty)


def _linked(group: Any, key: str, at: str) -> Any:
    import h5py

    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise UlnnError(f"{at} is a link to elsewhere, perhaps to another file: refused")
    node = group[key]
    if not isinstance(node, (h5py.Group, h5py.Dataset)):
        raise UlnnError(f"{at} is neither a group nor an array")
    return node


def check_dataset(node: Any, at: str) -> int:
    """The bytes of a dataset that is whole in its file. Raises UlnnError."""
    if node.is_virtual or node.external:
        raise UlnnError(f"{at} keeps its data in other files: refused")
    if node.shape is None or node.dtype.kind not in "fiubc":
        raise UlnnError(f"{at} holds {node.dtype}, expected numbers")
    plan = node.id.get_create_plist()
    filters = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
    if not set(filters) <= set(FILTERS):
        raise UlnnError(
            f"{at} is packed in an unknown way, expected {', '.join(FILTERS.values())}"
        )
    check_total(math.prod(node.chunks or ()) * node.dtype.itemsize)
    declared = int(math.prod(node.shape) * node.dtype.itemsize)
    stored = node.id.get_storage_size()
    if declared > stored * (DEFLATE_RATIO if filters else 1):
        raise UlnnError(f"{at} declares {declared:,} bytes, but the file stores {stored:,}")
    return declared
