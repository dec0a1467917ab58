"""The C loader: every text of SPEC.md section 4 in each of its builds, and 10,000 mutants."""

from __future__ import annotations

import subprocess
from array import array
from pathlib import Path

import numpy as np
import pytest

import ulnn
from support.core_tools import core_cli, programs, seed_files
from support.loader_cases import good_cases, loader_cases, rich_file
from support.unix import unix_load
from ulnn_host.format import container
from ulnn_host.toolchain import natmod


def native_load(data: bytes) -> str:
    try:
        ulnn.load(data)
    except ValueError as error:
        return str(error)
    return "ok"


def reader(data: bytes) -> str:
    try:
        container.read(data, as_engine=True)
    except ValueError as error:
        return str(error)
    return "ok"


def all_cases() -> list[tuple[str, bytes, str]]:
    data = rich_file()
    return [*loader_cases(data), *((name, good, "ok") for name, good in good_cases(data))]


def test_every_check_in_the_extension() -> None:
    for name, data, text in all_cases():
        assert native_load(data) == text, name


def test_every_check_in_the_core_under_sanitizers(tmp_path: Path) -> None:
    cases = all_cases()
    paths = []
    for k, (_, data, _) in enumerate(cases):
        paths.append(tmp_path / f"{k}.ulnn")
        paths[-1].write_bytes(data)
    said = core_cli("check", *paths).splitlines()
    for (name, _, text), got in zip(cases, said, strict=True):
        assert got == text, name


def test_every_check_in_the_native_module(tmp_path: Path) -> None:
    cases = all_cases()
    said = unix_load((data for _, data, _ in cases), natmod.build("x64").parent, tmp_path)
    for (name, _, text), got in zip(cases, said, strict=True):
        assert got == text, name


def test_good_files_step() -> None:
    for name, good in good_cases(rich_file()):
        y = array("h", [0, 0])
        ulnn.load(good).step(array("h", [1, 2, 3]), y, 100)
        assert len(y) == 2, name


def test_ten_thousand_mutants_under_sanitizers(tmp_path: Path, full: bool) -> None:
    """Loaded ones also step, with their buffer overwritten underneath (fuzz/exercise.c)."""
    count = 200_000 if full else 10_000
    done = subprocess.run(
        [programs() / "mutate", "--count", str(count), *seed_files(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    words = done.stdout.split()
    loaded, reasons = int(words[2]), int(words[7])
    assert words[:2] == [str(count), "files:"]
    assert 0.05 * count < loaded < 0.9 * count
    assert reasons >= 45, done.stdout


def test_all_readers_agree_on_mutants(tmp_path: Path, full: bool) -> None:
    count = 10_000 if full else 1500
    done = subprocess.run(
        [
            programs() / "mutate",
            *("--seed", "2", "--count", str(count), "--texts", "--dump", str(tmp_path)),
            *seed_files(tmp_path),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    texts = [line.partition(" ")[2] for line in done.stdout.splitlines()[:-1]]
    files = [(tmp_path / f"{k:05}.ulnn").read_bytes() for k in range(count)]
    assert len(texts) == count
    for k, (data, text) in enumerate(zip(files, texts, strict=True)):
        assert reader(data) == text, k
        assert native_load(data) == text, k
    assert unix_load(files, natmod.build("x64").parent, tmp_path) == texts


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    large = tmp_path / "large.ulnn"
    with large.open("wb") as file:
        file.write(rich_file())
        file.truncate(5 << 30)  # sparse
    with pytest.raises(ValueError, match=r"^file too large: 5368709120 bytes, expected at most"):
        ulnn.load(str(large))


@pytest.mark.parametrize("offset", range(5))
def test_buffers_at_any_address(offset: int) -> None:
    data = rich_file()
    block = np.zeros(len(data) + 16, np.uint8)
    start = -block.ctypes.data % 8 + offset
    inside = block[start : start + len(data)]
    inside[:] = np.frombuffer(data, np.uint8)
    model = ulnn.load(inside)
    assert model.self_test() == 4
    info = model.info()
    assert info["in_place"] is (offset % 4 == 0)
    assert info["ram"] < 2000 if offset % 4 == 0 else info["ram"] > len(data)
