"""The free choices of a conversion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from ulnn_rules.centres import WEIGHT_MAX
from ulnn_rules.meaning import VOTES_MAX

from ..base.errors import UlnnError
from ..base.toml_tables import check, number, positive

Method = Literal["max", "percentile", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)
Sparsity = Literal["auto", "never", "always"]
SPARSITIES: tuple[Sparsity, ...] = get_args(Sparsity)


def sparsity(name: str) -> Sparsity:
    """The value of Options.sparse that a user named. Raises UlnnError."""
    for known in SPARSITIES:
        if name == known:
            return known
    raise UlnnError(f"sparse {name!r}, expected one of: {', '.join(SPARSITIES)}")


@dataclass(frozen=True)
class Options:
    """The choices. Raises UlnnError for a number that cannot be meant.

    bits: weight width, 8 or 16; bits_of: other widths, by (layer, matrix). margin: room above the
    largest calibrated value, 1 = none (None: 1.5 for int8, where room costs resolution of the
    weights, 2 for int16). ranges: how ranges are taken from values. tick_ns: length of a tick.
    compensate: rounding that follows the data (else to nearest). fixed_dt: seconds, the promise
    that every sample comes that long after the one before (SPEC.md 3.4); None: any dt.
    longest_gap: seconds between samples that are to be expected in use; None: as in the data.
    sparse: whether matrices with weights that are 0 are stored sparse. name: in the file's
    metadata, where everybody can read it. model_version: counts the releases of one model.
    votes: the last so many decisions vote. unsure: share of the calibration data's decisions, with
    the smallest margins, that become "unsure". least: seconds that a new decision must hold.
    centres: how many examples of a wearer a centre of the calibration data counts as; 0: the file
    gets no centres, and its decisions cannot be adapted. unknown: share of the windows of groups
    that are left out, which may become "unknown"; 0: the file does not know what it knows.
    """

    bits: int = 8
    margin: float | None = number(None, 0.001, 1000.0)
    tick_ns: int = number(1000, 1, 2**32 - 1)
    compensate: bool = True
    fixed_dt: float | None = positive(None)
    longest_gap: float | None = positive(None)
    name: str = ""
    ranges: Method = "max"
    sparse: Sparsity = "auto"
    bits_of: Mapping[tuple[int, int], int] = field(default_factory=dict)
    model_version: int = 1
    votes: int = number(1, 1, VOTES_MAX)
    unsure: float = number(0.0, 0.0, 0.9)
    least: float = number(0.0, 0.0)
    centres: int = number(0, 0, WEIGHT_MAX)
    unknown: float = number(0.0, 0.0, 0.5)

    def __post_init__(self) -> None:
        check(self)
        if self.bits not in (8, 16):
            raise UlnnError(f"bits: expected 8 or 16, got {self.bits}")
        if not 0 <= self.model_version < 2**32:
            raise UlnnError(f"model version {self.model_version}: expected 0 to {2**32 - 1}")

    @property
    def room(self) -> float:
        """The margin in force."""
        return self.margin or (1.5 if self.bits == 8 else 2.0)

    @property
    def dt_fixed(self) -> int:
        """The fixed dt in ticks, 0: none. Raises UlnnError below a tick."""
        if self.fixed_dt is None:
            return 0
        ticks = round(self.fixed_dt * 1e9 / self.tick_ns)
        if ticks < 1:
            raise UlnnError(
                f"fixed dt of {self.fixed_dt:g} s: expected at least a tick of {self.tick_ns} "
                "ns; choose a shorter tick with --tick-ns"
            )
        return ticks
