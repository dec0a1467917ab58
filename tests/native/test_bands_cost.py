"""What features cost on a virtual Cortex-M7."""

from __future__ import annotations

import pytest

import count_machines as machines
from count_bands import count_bands


@pytest.mark.board
def test_features_of_256_samples_take_few_instructions() -> None:
    if not machines.available(machines.CORTEX_M7):
        pytest.skip(f"needs {machines.CORTEX_M7.packages}")
    (count,) = (c for c in count_bands() if c["N"] == 256)
    assert 30_000 < int(str(count["read"])) <= 60_000
    assert int(str(count["feed"])) <= 45 * 256
    assert int(str(count["filtered"])) <= 450 * 256
