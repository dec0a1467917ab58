"""Tables in the dialects that people write."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

START = 1_714_564_800  # 2024-05-01T12:00:00Z


@dataclass(frozen=True)
class Written:
    """How a table is written.

    time: "seconds", "ms", "us", "ns" (whole numbers since the start), "epoch_s" ... "epoch_ns",
    "iso", "iso_space", "iso_z", "iso_zone", "iso_comma", "iso_basic".
    """

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    newline: str = "\n"
    time: str = "seconds"
    header: str = "timestamp"
    index: bool = False
    quoted: bool = False
    comments: int = 0
    blanks: bool = False
    sep_line: bool = False
    final_newline: bool = True
    bom: bool = False

    def table(
        self,
        nanoseconds: NDArray[np.int64],
        columns: dict[str, Sequence[object]],
    ) -> bytes:
        """The file. nanoseconds: times since the start; columns: numbers or words."""
        out = io.StringIO()
        lines = [f"sep={self.separator}"] if self.sep_line else []
        lines += [f"# logger 1.{k}{self.separator}x" for k in range(self.comments)]
        lines.append(self._line([*([""] if self.index else []), self.header, *columns]))
        for row, at in enumerate(nanoseconds):
            fields = [str(row)] if self.index else []
            fields += [self._time(int(at))]
            fields += [self._value(column[row]) for column in columns.values()]
            lines.append(self._line(fields))
            if self.blanks and row % 3 == 1:
                lines.append("")
        out.write(self.newline.join(lines) + (self.newline if self.final_newline else ""))
        text = ("\ufeff" if self.bom else "") + out.getvalue()
        return text.encode(self.encoding)

    def _line(self, fields: Sequence[str]) -> str:
        if self.quoted or self.decimal == self.separator:
            fields = [f'"{field}"' for field in fields]
        return self.separator.join(fields)

    def _value(self, value: object) -> str:
        if isinstance(value, (float, np.floating)):
            return "" if np.isnan(value) else self._number(repr(float(value)))
        return str(value)

    def _number(self, text: str) -> str:
        return text.replace(".", self.decimal)

    def _time(self, at: int) -> str:
        size = {"ns": 1, "us": 1_000, "ms": 1_000_000}.get(self.time.removeprefix("epoch_"))
        if self.time == "seconds":
            return self._number(f"{at // 10**9}.{at % 10**9:09d}")
        if self.time == "epoch_s":
            return self._number(f"{START + at // 10**9}.{at % 10**9:09d}")
        if size:
            epoch = START * 10**9 if self.time.startswith("epoch") else 0
            return str((epoch + at) // size)
        fraction = f"{at % 10**9:09d}"
        moment = datetime.fromtimestamp(START + at // 10**9, UTC)
        if self.time == "iso_zone":
            moment = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
            return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction}+05:30"
        if self.time == "iso_basic":
            return f"{moment:%Y%m%dT%H%M%S}.{fraction}Z"
        mark = " " if self.time == "iso_space" else "T"
        point = "," if self.time == "iso_comma" else "."
        return f"{moment:%Y-%m-%d}{mark}{moment:%H:%M:%S}{point}{fraction}" + (
            "Z" if self.time == "iso_z" else ""
        )
