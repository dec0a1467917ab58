"""Writing files: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ulnn_host.base import files
from ulnn_host.base.errors import UlnnError


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def write_half(path: Path) -> None:
    with files.replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError


def test_content_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    files.write(path, "old")
    path.chmod(0o640)
    files.write(path, "näw")
    assert path.read_bytes() == "näw".encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert names(path.parent) == ["a.txt"]


def test_new_files_have_the_usual_rights(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    files.write(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == usual.stat().st_mode


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    files.write(path, b"old")
    with pytest.raises(ZeroDivisionError):
        write_half(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    files.write(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UlnnError, match=r"a\.bin cannot be written: no space left on device"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UlnnError, match="b cannot be written"):
        files.write(tmp_path / "file" / "b", b"")
    with pytest.raises(UlnnError, match="it is a folder"):
        files.write(tmp_path, b"")
    with pytest.raises(UlnnError, match="it is a folder"):
        files.check_output(tmp_path)


def test_outputs_are_tried_before_and_are_no_inputs(tmp_path: Path) -> None:
    source = tmp_path / "a.toml"
    source.write_text("x = 1")
    files.check_output(tmp_path / "new" / "b", source, None, tmp_path / "missing")
    assert names(tmp_path / "new") == []
    (tmp_path / "link.toml").symlink_to(source)
    for same in (source, tmp_path / "link.toml"):
        with pytest.raises(UlnnError, match="is an input and would be overwritten"):
            files.check_output(same, source)
    assert source.read_text() == "x = 1"
