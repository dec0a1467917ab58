"""The dialect of a text table: encoding, separator, sign of decimals, header; found in its first
lines, or said.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import UlnnError
from .clocks import is_iso
from .options import DataOptions

SAMPLE_BYTES = 1 << 18
SAMPLE_LINES = 400
PREAMBLE = 40  # lines above the header, at most
MISSING = ("", "nan", "na", "n/a", "null", "none", "-", "?", "#n/a", "<na>", "-nan")

_NUMBER = {
    ".": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII),
    ",": re.compile(r"[+-]?(\d+,?\d*|,\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII),
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS = (
    (b"PK\x03\x04", "a zip or spreadsheet file: export it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet file: export it as CSV"),
    (b"\x1f\x8b", "a gzip file: unpack it first"),
    (b"PAR1", "a Parquet file: its name should end in .parquet"),
    (b"\x93NUMPY", "a .npy file: save x and dt with np.savez"),
    (b"\x89HDF", "an HDF5 file: export it as CSV, or save x and dt with np.savez"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file with git lfs pull"),
    (b"<!", "a page of HTML or XML"),
    (b"<html", "a page of HTML"),
    (b"<?xml", "XML: export it as CSV"),
    (b"{", "JSON: export it as CSV"),
)


@dataclass(frozen=True)
class Dialect:
    """How a text table is written. names: its columns; skip: lines above the first sample; rows:
    fields of the first samples. cr: lines end in CR alone.
    """

    encoding: str
    separator: str
    decimal: str
    names: tuple[str, ...]
    skip: int
    rows: tuple[tuple[str, ...], ...]
    cr: bool = False

    def text(self) -> str:
        """What is unusual, in words; empty where nothing is."""
        said = {",": "", "\t": "tabs", " ": "spaces"}.get(
            self.separator, f"separator {self.separator}"
        )
        decimal = "decimal comma" if self.decimal == "," else ""
        encoding = "" if self.encoding.startswith("utf-8") else self.encoding
        return ", ".join(part for part in (said, decimal, encoding) if part)


def is_number(text: str, decimal: str = ".") -> bool:
    """Is a field a number? Neither NaN nor infinity is, nor 1_000."""
    return bool(_NUMBER[decimal].fullmatch(text))


def is_missing(text: str) -> bool:
    """Does a field say that there is no number?"""
    return text.casefold() in MISSING


def split(line: str, separator: str) -> list[str]:
    """The fields of one line; quotes hold a separator."""
    if separator == " " and '"' not in line:
        return line.split()
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
        except csv.Error:
            pass  # no table: each field is then found to be wrong
    return line.split(separator)


def read_dialect(path: Path, options: DataOptions) -> Dialect:
    """The dialect of a file. Raises UlnnError, with the file's name, when it is no table."""
    try:
        with path.open("rb") as file:
            head = file.read(SAMPLE_BYTES)
            whole = not file.read(1)
    except FileNotFoundError:
        raise UlnnError(f"{path}: no such file") from None
    except OSError as error:
        raise UlnnError(f"{path}: cannot be read: {(error.strerror or 'error').lower()}") from None
    try:
        return _dialect(head, whole, options)
    except UlnnError as error:
        raise UlnnError(f"{path}: {error}") from None


def _dialect(head: bytes, whole: bool, options: DataOptions) -> Dialect:
    if not head.strip():
        raise UlnnError("the file is empty")
    for magic, what in _OTHERS:
        if head.lstrip(b" \r\n\t").startswith(magic):
            raise UlnnError(f"this is {what}")
    encoding = options.encoding or _encoding(head)
    text = decode(head, encoding)
    cr = "\n" not in text and "\r" in text
    lines = text.replace("\r", "\n").split("\n") if cr else text.split("\n")
    if not whole and len(lines) > 1:
        lines.pop()
    lines = [line.rstrip("\r") for line in lines]
    skip, separator = 0, options.separator
    said = re.fullmatch(r'"?sep=(.|\\t)"?', lines[0].strip(" \0"), re.IGNORECASE)
    if said:
        skip, separator = 1, separator or ("\t" if said[1] == "\\t" else said[1])
    numbered = [(k, line) for k, line in enumerate(lines) if k >= skip and line.strip()]
    comments = [(k, line) for k, line in numbered if line.startswith("#")]
    plain = [(k, line) for k, line in numbered if not line.startswith("#")][:SAMPLE_LINES]
    if not plain:
        raise UlnnError("there is no line but comments")
    form = _form([line for _, line in plain], separator, options.decimal)
    at, names, rows = _header(plain, comments, form)
    if not rows:
        raise UlnnError("expected a line with the names of the columns and lines of samples")
    return Dialect(encoding, form.separator, form.decimal, names, at, tuple(rows), cr)


def _encoding(head: bytes) -> str:
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    sample = head[:4096]
    zeros = [sample[k::2].count(0) for k in (0, 1)]
    if max(zeros) > 0.4 * len(sample) / 2 and min(zeros) < 0.1 * len(sample) / 2:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    return "utf-8"


def decode(data: bytes, encoding: str) -> str:
    """Text of the first bytes of a file; a character that is cut off at their end is left out.
    Raises UlnnError with the line that does not fit.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        return decoder.decode(data)
    except (UnicodeError, ValueError) as error:
        raise undecodable(error, data, encoding, 1) from None


def undecodable(error: Exception, data: bytes, encoding: str, line: int) -> UlnnError:
    """The error for bytes that are no text of an encoding."""
    start = error.start if isinstance(error, UnicodeDecodeError) else 0
    line += data[:start].count(b"\n")
    if not encoding.startswith("utf-8"):
        return UlnnError(f"line {line} is not {encoding}: give another encoding")
    byte = f" (byte {data[start]:02x})" if start < len(data) else ""
    return UlnnError(f'line {line} is not UTF-8{byte}: give its encoding, such as "cp1252"')


@dataclass(frozen=True)
class _Form:
    """A separator and a sign of decimals, and how well they fit."""

    separator: str
    decimal: str
    width: int
    score: float


def _form(lines: Sequence[str], separator: str, decimal: str) -> _Form:
    found = []
    for candidate in [separator] if separator else [",", ";", "\t", "|", " "]:
        rows = [split(line, candidate) for line in lines]
        widths = Counter(len(row) for row in rows[1:] or rows)
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        if width < 2 and not separator:
            continue
        for sign in [decimal] if decimal else [".", ","]:
            if sign == candidate and not any('"' in line for line in lines):
                continue
            fields = [f.strip() for row in rows[1:] if len(row) == width for f in row]
            good = sum(is_missing(f) or is_number(f, sign) or is_iso(f) for f in fields)
            fit = good / max(1, len(fields)) * count / max(1, len(rows) - 1)
            # the header has the same width, which decides where the samples leave a doubt
            fit += 0.25 * (len(rows[0]) == width)
            found.append(_Form(candidate, sign, width, round(fit, 6)))
    if not found:
        raise UlnnError("no separator was found between columns: give separator")
    return max(found, key=lambda form: (form.score, form.decimal == ".", form.width))


def _header(
    plain: Sequence[tuple[int, str]], comments: Sequence[tuple[int, str]], form: _Form
) -> tuple[int, tuple[str, ...], list[tuple[str, ...]]]:
    """(lines above the first sample, names of the columns, fields of the first samples)."""
    rows = [[f.strip() for f in split(line, form.separator)] for _, line in plain]
    first = next((k for k, row in enumerate(rows) if len(row) == form.width), None)
    if first is None or first > PREAMBLE:
        raise UlnnError("no line with the names of the columns was found")
    names = rows[first]
    if all(is_missing(f) or is_number(f, form.decimal) or is_iso(f) for f in names):
        above = [line.lstrip("# \t") for k, line in comments if k < plain[first][0]]
        parted = [[f.strip() for f in split(line, form.separator)] for line in above[-1:]]
        if first == 0 and parted and len(parted[0]) == form.width:
            names, first = parted[0], -1
        else:
            line = plain[first][0] + 1
            what = f"line {line} holds numbers, expected the names of the columns"
            if first:
                above_width = len(rows[first - 1])
                what = (
                    f"line {line} has {form.width} fields, the line above {above_width}; "
                    "is the separator or the decimal sign another one?"
                )
            raise UlnnError(what)
    names = [" ".join(name.split()) for name in names]
    if not all(name.isprintable() for name in names):
        raise UlnnError(
            "the names of the columns hold control characters: give encoding, if it is another one"
        )
    skip = plain[first][0] + 1 if first >= 0 else plain[0][0]
    return skip, tuple(names), [tuple(row) for row in rows[first + 1 :]]
