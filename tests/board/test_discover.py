"""Which port is meant by `auto`, and what `ulnn ports` says."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from ulnn_host.base.errors import UlnnError
from ulnn_host.board import discover
from ulnn_host.cli.main import app


@dataclass
class Plugged:
    device: str
    vid: int | None = None
    pid: int | None = None
    description: str = "n/a"


def plug(
    monkeypatch: pytest.MonkeyPatch, ports: list[Plugged], boards: dict[str, str] | None = None
) -> None:
    """Ports of this PC; those of `boards` answer."""

    def asked(device: str) -> tuple[str | None, str]:
        answer = (boards or {}).get(device)
        return answer, "" if answer else "no answer at all"

    monkeypatch.setattr(discover.list_ports, "comports", lambda: ports)
    monkeypatch.setattr(discover, "_asked", asked)


PICO = Plugged("/dev/ttyACM1", 0x2E8A, 5, "Board in FS mode")
GPS = Plugged("/dev/ttyACM0", 0x1546, 0x1A7, "u-blox")
BUILT_IN = Plugged("/dev/ttyS0")


def test_a_named_port_stays() -> None:
    assert discover.resolve("COM3") == "COM3"
    assert discover.resolve("virtual:rv32") == "virtual:rv32"


def test_the_only_usb_port_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, [BUILT_IN, GPS])
    assert discover.resolve("auto") == GPS.device


def test_the_port_that_answers_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, [GPS, PICO, BUILT_IN], {PICO.device: "Pico"})
    assert discover.resolve("auto") == PICO.device


def test_none_and_several_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, [BUILT_IN])
    with pytest.raises(UlnnError, match="no USB serial port"):
        discover.resolve("auto")
    plug(monkeypatch, [GPS, PICO], {PICO.device: "Pico", GPS.device: "Other"})
    with pytest.raises(UlnnError, match=r"2 boards here .*ttyACM0, /dev/ttyACM1"):
        discover.resolve("auto")


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, [BUILT_IN, GPS, PICO], {PICO.device: "Pico, micropython 1.27.0"})
    text = CliRunner().invoke(app, ["ports"]).output
    assert "Pico, micropython 1.27.0" in text
    assert "no answer at all" in text
    found = json.loads(CliRunner().invoke(app, ["ports", "--no-ask", "--json"]).output)
    assert [port["device"] for port in found] == [GPS.device, PICO.device, BUILT_IN.device]
    assert found[1]["usb"] == "2e8a:0005"
    plug(monkeypatch, [])
    assert "no serial port here" in CliRunner().invoke(app, ["ports"]).output
