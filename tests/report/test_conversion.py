"""A conversion does its long work once: the float network runs over the data, the file is
written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support.conversions import convert_to_file
from support.convert_cases import data, network
from ulnn_host.format import container
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.quantize.options import Options
from ulnn_host.report.conversion import Wishes


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often `FloatNetwork.run` and `container.write` were called."""
    counts: Counter[str] = Counter()

    def count(owner: object, name: str) -> None:
        function = getattr(owner, name)

        def counted(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            return function(*args, **options)

        monkeypatch.setattr(owner, name, counted)

    count(FloatNetwork, "run")
    count(container, "write")
    return counts


@pytest.mark.parametrize(
    ("wishes", "sequences", "runs", "files"),
    [
        pytest.param(Wishes(), 4, 1, 1, id="plain"),
        pytest.param(Wishes(bits=16, compare=True), 4, 1, 2, id="compare"),
        pytest.param(Wishes(max_bytes=4900), 4, 1, 1, id="budget"),
        # a sample of the data measures the trials
        pytest.param(Wishes(max_bytes=4900), 70, 2, 1, id="budget, much data"),
        pytest.param(Wishes(max_bytes=100_000), 4, 1, 1, id="budget for int16"),
        # one half calibrates the trials, the other measures them
        pytest.param(Wishes(calibration="search"), 4, 3, 1, id="search"),
        pytest.param(Wishes(finetune=2), 4, 1, 2, id="towards float"),
        pytest.param(Wishes(finetune=2, towards="labels"), 4, 1, 2, id="towards labels"),
    ],
)
def test_nothing_is_run_or_written_twice(
    wishes: Wishes, sequences: int, runs: int, files: int, calls: Counter[str], tmp_path: Path
) -> None:
    seen = data(3, count=sequences)
    report = convert_to_file(network("cfc-default"), seen, Options(), wishes, tmp_path / "m.ulnn")
    assert calls == {"run": runs, "write": files}
    assert report.model.file_bytes == (tmp_path / "m.ulnn").stat().st_size
