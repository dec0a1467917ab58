"""`ulnn convert` replays the golden vectors in the C engine before it leaves a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import ulnn
from support.conversions import convert_to_file
from support.convert_cases import data, network
from support.raw_file import GOLDEN, File
from ulnn_host.base.errors import UlnnError
from ulnn_host.quantize import golden
from ulnn_host.quantize.options import Options
from ulnn_host.report.conversion import Wishes
from ulnn_host.report.convert_report import ConvertReport


def converted(output: Path) -> ConvertReport:
    net = network("cfc-default")
    return convert_to_file(net, data(net.input_size), Options(), Wishes(), output)


def in_json(report: ConvertReport) -> object:
    return json.loads(json.dumps(report.to_dict()))["native_self_test"]


def test_the_report_says_how_many_steps_are_repeated(tmp_path: Path) -> None:
    report = converted(tmp_path / "m.ulnn")
    assert in_json(report) == report.native_self_test
    assert report.native_self_test == ulnn.load(str(tmp_path / "m.ulnn")).self_test()
    assert 0 < report.native_self_test <= golden.STEPS


def test_a_difference_is_one_line_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An engine that computes something else, as one whose golden vectors are others."""

    def load(content: bytes) -> object:
        f = File.read(content)
        k = f.find(GOLDEN)
        end = len(f.sections[k].data)
        return ulnn.load(f.swap(k, f.sections[k].patched(end - 2, "h", 12345)).write())

    monkeypatch.setitem(sys.modules, "ulnn", SimpleNamespace(load=load))
    expected = r"does not compute what the converter does \(self test: state differs\), expected"
    with pytest.raises(UlnnError, match=expected) as caught:
        converted(tmp_path / "new.ulnn")
    assert "\n" not in str(caught.value)
    (tmp_path / "old.ulnn").write_bytes(b"old")
    with pytest.raises(UlnnError, match=expected):
        converted(tmp_path / "old.ulnn")
    assert [path.name for path in tmp_path.iterdir()] == ["old.ulnn"]
    assert (tmp_path / "old.ulnn").read_bytes() == b"old"


def test_an_engine_that_refuses_the_file_is_a_difference(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    load = lambda content: ulnn.load(content[:-1])  # noqa: E731
    monkeypatch.setitem(sys.modules, "ulnn", SimpleNamespace(load=load))
    with pytest.raises(UlnnError, match=r"converter does \(file size \d+ bytes, expected"):
        converted(tmp_path / "m.ulnn")
    assert list(tmp_path.iterdir()) == []


def test_without_the_extension_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ulnn", None)  # an import fails
    report = converted(tmp_path / "m.ulnn")
    assert in_json(report) is report.native_self_test is None
    assert (tmp_path / "m.ulnn").is_file()


def test_an_extension_without_the_cells_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def load(content: bytes) -> object:
        raise ValueError("layer 0: kind 6 not supported")

    monkeypatch.setitem(sys.modules, "ulnn", SimpleNamespace(load=load))
    assert converted(tmp_path / "m.ulnn").native_self_test is None
