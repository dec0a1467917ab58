"""`make dist` gives the same bytes in every folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from support.environments import make_dist
from support.paths import ROOT
from ulnn_host.toolchain.micropython_source import find_micropython


def test_two_builds_in_two_folders_are_equal(
    dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "another"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.so", "dist")
    shutil.copytree(ROOT, other, ignore=lambda at, names: {*ignored(at, names), *_build(at)})
    monkeypatch.setenv("MPY_DIR", str(find_micropython()))
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    old = os.umask(0o077)
    try:
        make_dist(other, tmp_path / "dist")
    finally:
        os.umask(old)
    first, second = files(dist), files(tmp_path / "dist")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def _build(folder: str) -> set[str]:
    return {"build"} if Path(folder) == ROOT else set()


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_the_list_of_sums_is_right(dist: Path) -> None:
    content = files(dist)
    lines = content.pop("SHA256SUMS").decode().splitlines()
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    assert dict(reversed(line.split("  ")) for line in lines) == sums
