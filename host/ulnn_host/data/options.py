"""What a person may say about files of data: the same keys in recipes, Python and commands."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base.errors import UlnnError

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "space": " ", "pipe": "|"}


def _key(help: str, *words: str, default: Any = "") -> Any:
    """A key. words: what may be said beside nothing; none: anything."""
    return field(default=default, metadata={"help": help, "words": words})


TABLES_ONLY = ("label", "group", "time", "separator", "decimal", "encoding")


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How files are read. An empty value is not said: the file decides, or is refused.

    A name of a column fits in any case. A pattern, for label and group, is the end of a path with
    {} for the part that is meant and * for anything: "{}_*.csv", "{}/*.csv". Lists of names are
    tuples. Making one checks it: UlnnError names the first key that is wrong.
    """

    time: str = _key("column of the time; else it is known by its name: timestamp, t, time_ms ...")
    unit: str = _key("of the time: s, ms, us, ns; else the column's name has it", *UNITS)
    label: str = _key("column of the targets, or a part of the file's name: '{}_*.csv'")
    group: str = _key("column of the groups (people, machines), or a part of the file's name")
    channels: tuple[str, ...] = _key("columns of the samples, in this order", default=())
    separator: str = _key("between the columns: a character, tab or space; else it is found")
    decimal: str = _key("sign of decimals: . or , (else it is found)", ".", ",")
    encoding: str = _key("of the text: utf-8, utf-16, cp1252 ...")
    missing: str = _key(
        "missing values: refuse, hold the value before, or drop the sample",
        "refuse", "hold", "drop", default="refuse",
    )  # fmt: skip
    missing_values: tuple[float, ...] = _key("numbers that mean a missing one: -9999", default=())
    gap: float = _key("seconds: a longer step starts a new recording; 0: none does", default=0.0)
    clock: str = _key(
        "a time that goes back or repeats: refuse, split the recording, or sort it",
        "refuse", "split", "sort", default="refuse",
    )  # fmt: skip
    target: str = _key(
        "what is learnt: a class, a value, or the next sample", "class", "value", "next"
    )
    mask: str = _key("policy (JSON): what it keeps from the network is not read, the rest masked")
    features: str = _key("recipe (.toml) of features that are computed of the samples")
    beats: str = _key("recipe (.toml) of the beats that are found in an ECG, a step for each")
    per: str = _key("a target belongs to each sequence or each step", "sequence", "step")

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(DataOptions):
            value, words = getattr(self, spec.name), spec.metadata["words"]
            if words and value not in ("", *words):
                expected = ", ".join(words[:-1]) + f" or {words[-1]}"
                raise UlnnError(f"{spec.name} is {value!r}, expected {expected}")
        if not (math.isfinite(self.gap) and self.gap >= 0):
            raise UlnnError(f"gap is {self.gap} s, expected 0 or more")
        if any(not math.isfinite(value) for value in self.missing_values):
            raise UlnnError(f"missing_values is {self.missing_values}, expected finite numbers")
        separator = SEPARATORS.get(self.separator, self.separator)
        if len(separator) > 1 or separator in ("\n", "\r", '"', "#"):
            raise UlnnError(
                f"separator is {self.separator!r}, expected one character, tab or space"
            )
        object.__setattr__(self, "separator", separator)
        if self.decimal and self.decimal == separator:
            raise UlnnError(f"separator and decimal are both {separator!r}")
        if self.encoding:
            try:
                "a".encode(self.encoding)
            except (LookupError, UnicodeError, ValueError):
                raise UlnnError(f"encoding {self.encoding!r} is not known") from None
        names = [name.strip().casefold() for name in self.channels]
        if len(set(names)) < len(names):
            raise UlnnError(f"channels has a column twice: {', '.join(self.channels)}")
        if self.features and self.beats:
            raise UlnnError("features and beats are two recipes of the inputs: say one of them")
        if self.target == "next" and (self.label or self.per == "sequence"):
            raise UlnnError(
                'target = "next" is the next sample of each step: leave label and '
                'per = "sequence" away'
            )

    @property
    def label_pattern(self) -> bool:
        """Is the label a part of the file's name?"""
        return "{}" in self.label

    @property
    def group_pattern(self) -> bool:
        """Is the group a part of the file's name?"""
        return "{}" in self.group

    def for_arrays(self) -> DataOptions:
        """Without what only tables have."""
        none: dict[str, Any] = dict.fromkeys(TABLES_ONLY, "")
        return dataclasses.replace(self, **none)

    def for_events(self) -> DataOptions:
        """With what events mean, where nothing was said: margins of decisions, by device."""
        said: dict[str, Any] = {"time": "when", "group": "device", "channels": ("margin",)}
        said = {key: value for key, value in said.items() if not getattr(self, key)}
        missing = "drop" if "channels" in said and self.missing == "refuse" else self.missing
        clock = "sort" if self.clock == "refuse" else self.clock
        return dataclasses.replace(self, **said, missing=missing, clock=clock)

    def for_readout(self, readout: str) -> DataOptions:
        """With what a network's readout says about targets, where nothing was said."""
        if self.per or self.target == "next":
            return self
        return dataclasses.replace(self, per="step" if readout == "each" else "sequence")


def for_both(
    options: DataOptions | None, data: Any, test: Any
) -> tuple[DataOptions | None, DataOptions | None]:
    """The options for each: where one is a table and one an .npz file, what only tables have is
    for the table.
    """
    paths = [Path(source) for source in (data, test) if isinstance(source, str | Path)]
    arrays = [path.suffix.lower() == ".npz" for path in paths]
    if options is None or len(paths) < 2 or arrays[0] == arrays[1]:
        return options, options
    both = [options.for_arrays() if array else options for array in arrays]
    return both[0], both[1]
