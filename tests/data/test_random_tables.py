"""Random tables in random dialects are read back equal, with pyarrow and without; damaged ones end
in an error of one line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.tables import Written
from ulnn_host.base.errors import UlnnError, UlnnWarning
from ulnn_host.data import text_table
from ulnn_host.data.logs import read
from ulnn_host.data.sequences import Sequences

pytest.importorskip("pyarrow")

NUMBERS = st.floats(-1e6, 1e6, width=32).filter(lambda v: v == 0 or abs(v) > 1e-30)
WORDS = st.sampled_from(["walk", "stand still", "Größe", "none", "x_1", "sit down!", "7"])
TIMES = [
    "seconds", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "iso", "iso_space", "iso_z",
    "iso_zone", "iso_comma", "iso_basic",
]  # fmt: skip


@st.composite
def dialects(draw: st.DrawFn) -> Written:
    separator = draw(st.sampled_from([",", ";", "\t", "|", " "]))
    time = draw(st.sampled_from([t for t in TIMES if separator != " " or t != "iso_space"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]))
    return Written(
        separator=separator,
        decimal=draw(st.sampled_from([".", ","])),
        encoding=encoding,
        newline=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        time=time,
        header=draw(st.sampled_from(["time", "Timestamp", "TIME", "t"])),
        index=draw(st.booleans()) and separator != " ",
        quoted=separator != " " and (time == "iso_comma" or draw(st.booleans())),
        comments=draw(st.integers(0, 2)),
        blanks=draw(st.booleans()),
        sep_line=draw(st.booleans()),
        final_newline=draw(st.booleans()),
        bom=encoding == "utf-8" and draw(st.booleans()),
    )


@contextmanager
def reading(fast: bool, block: int) -> Iterator[None]:
    """With pyarrow or without, in blocks of that many bytes."""
    with warnings.catch_warnings(), mock.patch.object(text_table, "BLOCK_BYTES", block):
        warnings.simplefilter("ignore", UlnnWarning)
        if fast:
            yield
        else:
            with mock.patch.dict(sys.modules, {"ulnn_host.data.arrow": None}):
                yield


def equal(a: Sequences, b: Sequences) -> bool:
    assert a.x.tobytes() == b.x.tobytes()
    assert a.dt.tobytes() == b.dt.tobytes()
    assert (a.channels, a.labels, a.length.tolist()) == (b.channels, b.labels, b.length.tolist())
    assert (a.y is None) == (b.y is None)
    return a.y is None or np.array_equal(a.y, b.y)


@settings(max_examples=150, deadline=None)
@given(st.data(), dialects(), st.integers(2, 60), st.integers(1, 4), st.integers(40, 5000))
def test_what_was_written_is_read(tmp_path_factory, data, how, rows, width, block):
    steps = data.draw(st.lists(st.integers(1_000_000, 30_000_000), min_size=rows, max_size=rows))
    nanoseconds = np.cumsum(steps) // 1_000_000 * 1_000_000 + np.arange(rows) * 1_000_000
    cells = st.lists(NUMBERS, min_size=rows, max_size=rows)
    columns = {f"c{k}": np.float32(data.draw(cells)).astype(float) for k in range(width)}
    words = data.draw(st.lists(WORDS, min_size=rows, max_size=rows))
    if how.separator == " ":
        words = [word.replace(" ", "") for word in words]
    path = tmp_path_factory.mktemp("t") / "a.csv"
    path.write_bytes(how.table(nanoseconds, columns | {"what": words}))
    found = []
    for fast in (True, False):
        with reading(fast, block):
            found.append(read(path, label="what", per="step"))
    assert equal(*found)
    assert found[0].channels == tuple(columns)
    assert np.array_equal(found[0].x[0], np.stack(list(columns.values()), 1).astype(np.float32))
    assert np.allclose(found[0].dt[0, 1:], np.diff(nanoseconds) / 1e9, rtol=1e-6, atol=5e-7)
    assert [found[0].labels[k] for k in found[0].y[0]] == words


@settings(max_examples=200, deadline=None)
@given(
    st.data(),
    dialects(),
    st.sampled_from(["refuse", "hold", "drop"]),
    st.sampled_from(["refuse", "split", "sort"]),
)
def test_damaged_tables_end_in_one_line(tmp_path_factory, data, how, missing, clock):
    rows = 12
    columns = {k: np.arange(rows) / 8 for k in ("a", "b")}
    content = bytearray(how.table(np.arange(rows) * 20_000_000, columns))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "drop", "double"]))
        if kind == "flip" and content:
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = data.draw(
                st.sampled_from([b"", b'"', b"\n", b"\r", b"\0", b",,", b"#", b"nan", b"\xff\xfe"])
            )
        elif kind == "drop":
            del content[at : at + 3]
        else:
            content[at:at] = content[at : at + 40]
    check(tmp_path_factory.mktemp("t") / "a.csv", bytes(content), missing, clock)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_any_bytes_end_in_one_line(tmp_path_factory, content):
    check(tmp_path_factory.mktemp("t") / "a.csv", content, "drop", "split")


def check(path: Path, content: bytes, missing: str, clock: str) -> None:
    """Both readers give the same data, or an error of one line each."""
    path.write_bytes(content)
    found: list[Sequences | str] = []
    for fast in (True, False):
        with reading(fast, 100):
            try:
                found.append(read(path, missing=missing, clock=clock))
            except UlnnError as error:
                found.append(str(error))
    fast_one, plain_one = found
    if isinstance(fast_one, str) or isinstance(plain_one, str):
        assert fast_one == plain_one
        assert str(fast_one).startswith(str(path))
        assert len(str(fast_one).splitlines()) == 1
    else:
        assert equal(fast_one, plain_one)
