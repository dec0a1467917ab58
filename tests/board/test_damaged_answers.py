"""A damaged answer of a board is one clear line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from ulnn_host.base.errors import UlnnError
from ulnn_host.board import bench, discover
from ulnn_host.board.link import Board, BoardError

ANSWERS = [
    "",
    "1 +",
    "{[]: 1}",
    "\x1b[2J\x00",
    "(" * 5000,
    "-" * 100000 + "1",
    "machine()",
    "\x04\xa5(1, 2",
]


class Said(Board):
    """A board that prints one text, whatever it is asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.name = "/dev/ttyX"

    def exec(self, code: str, *, timeout: float = 10) -> str:
        return self.text

    def make_folders(self, path: str) -> None:
        pass

    def write_file(self, path: str, data: bytes, progress: object = None) -> None:
        pass


def one_line_of(action: Any, *arguments: Any) -> str:
    with pytest.raises(UlnnError) as caught:
        action(*arguments)
    text = str(caught.value)
    assert text.startswith("port /dev/ttyX: the board printed ")
    assert text.isprintable()
    assert len(text) < 400
    return text


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_an_answer_that_is_no_value_is_one_line(answer: str) -> None:
    one_line_of(Said(answer).eval, "x")
    one_line_of(bench.time_model, Said(answer), 8, 16)


@pytest.mark.parametrize("answer", ["None", "'12'", "(1, 2)", "1.5", "True"])
def test_an_answer_of_another_kind_is_one_line(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_line_of(Said(answer).whole, "free()")
    one_line_of(bench.time_model, Said(answer), 8, 16)
    if answer != "None":
        one_line_of(Said(answer).read_file, "/a")

    @contextlib.contextmanager
    def opened(port: str, **_: Any) -> Iterator[Board]:
        yield Said(answer)

    monkeypatch.setattr(Board, "open", opened)
    answered, problem = discover._asked("/dev/ttyX")
    assert answered is None
    assert "the board printed" in problem


@pytest.mark.parametrize("remote", ["", "\r\n", "Traceback\r\n\x1b[31mValueError: \x07 no"])
def test_a_traceback_that_is_damaged_is_one_line(remote: str) -> None:
    error = BoardError("/dev/ttyX", remote)
    assert str(error).isprintable()
    assert error.line in str(error)
