"""Texts of others are printed as they are: no markup, and nothing that a terminal would obey."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from support import convert_cases
from ulnn_host.base.console import Terminal
from ulnn_host.base.errors import one_line, printable
from ulnn_host.base.progress import bars, status
from ulnn_host.board.discover import SerialPort
from ulnn_host.cli.main import app
from ulnn_host.format import container

# markup, the end of a tag that is not open, colours, a title, a cleared screen, C1, bidi, ...
EVIL = (
    "[/b]",
    "[red]x[/]",
    "[link=file:///x]y[/link]",
    "\x1b[2J\x1b[31m",
    "\x1b]0;title\x07",
    "a\x9b31mb",
    "\u202egnp.exe",
    "a\r\nb\tc\x00",
    "$\\frac{$",
    ":bomb:",
)


def evil_model(folder: Path, name: str = "m") -> Path:
    """A model whose metadata are EVIL, keys as well."""
    model = convert_cases.model("cfc-default")
    labels = [f"{k}{EVIL[k % len(EVIL)]}" for k in range(model.output_size)]
    channels = [f"{k}{EVIL[-1 - k]}" for k in range(model.input_size)]
    meta = {"labels": labels, "channels": channels, "readout": "last"}
    meta |= {text: text for text in EVIL}
    path = folder / f"{name}.ulnn"
    path.write_bytes(container.write(replace(model, meta=meta)))
    return path


def check(text: str) -> None:
    assert printable(text) == text
    assert "\x1b" not in text


def printed(*things: object) -> str:
    out = io.StringIO()
    Terminal(file=out, width=200).print(*things)
    return out.getvalue()


@pytest.mark.parametrize("text", EVIL)
def test_a_terminal_prints_text_and_nothing_else(text: str) -> None:
    table = Table("what")
    table.add_row(text)
    table.add_row(Text(text))
    for thing in (text, Text(text), table):
        got = printed(thing)
        check(got)
        assert all(word in got for word in one_line(text).split())


def test_styles_still_work() -> None:
    out = io.StringIO()
    Terminal(file=out, force_terminal=True, color_system="standard").print(Text("x", "green"))
    assert out.getvalue() == "\x1b[32mx\x1b[0m\n"


def test_info_prints_what_a_model_says_of_itself(tmp_path: Path) -> None:
    path = evil_model(tmp_path)
    done = CliRunner().invoke(app, ["info", str(path)])
    assert done.exit_code == 0, done.exception
    check(done.output)
    assert "[/b]" in done.output
    assert ":bomb:" in done.output
    for ending in ("svg", "png"):
        words = ["info", str(path), "--graph", str(tmp_path / f"g.{ending}")]
        assert CliRunner().invoke(app, words).exit_code == 0


def test_info_says_the_version_of_the_file(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["info", str(evil_model(tmp_path))])
    row = next(line for line in done.output.splitlines() if "│ format" in line)
    assert row.split("│")[2].strip().startswith("1.")


def test_run_with_names_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = evil_model(tmp_path, "m[red]")
    size = convert_cases.model("cfc-default").input_size
    np.savez("d.npz", x=np.zeros((5, size)), dt=np.full(5, 0.1))
    done = CliRunner().invoke(app, ["run", path.name, "d.npz", "-o", "o[red].csv"])
    assert done.exit_code == 0, done.exception
    assert "o[red].csv: 5 steps" in done.output


def test_ports_that_answer_with_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        SerialPort("/dev/ttyX", text, "", answer, "") for text in EVIL for answer in (text, None)
    ]
    monkeypatch.setattr("ulnn_host.board.discover.serial_ports", lambda ask: found)
    done = CliRunner().invoke(app, ["ports"])
    assert done.exit_code == 0, done.exception
    check(done.output)
    assert "[/b]" in done.output


@pytest.mark.parametrize("text", EVIL)
def test_progress_takes_any_label(text: str) -> None:
    with bars() as shown:
        shown.bar(text, 3).update(1, note=text)
    with status() as say:
        say(text)
