"""Limits, numbers and names of the format are the same in C, on the host and in firmware/."""

from __future__ import annotations

import re

import pytest

from support.paths import NATIVE
from ulnn_host.engines.registry import pure_module
from ulnn_host.format import limits
from ulnn_host.format.model import DIALECTS, MODES, Activation, Kind, Mode

LIMITS = {name: value for name, value in vars(limits).items() if name.endswith("_MAX")}


def c_numbers(path: str, pattern: str) -> dict[str, int]:
    """Names and numbers of lines of a C header, without ULNN_ and what the pattern leaves out."""
    found = re.findall(pattern, (NATIVE / path).read_text(), re.MULTILINE)
    return {name: int(number) for name, number in found}


def test_limits() -> None:
    assert len(LIMITS) == 12
    assert c_numbers("core/ulnn_limits.h", r"^#define ULNN_(\w+) (\d+)\b") == LIMITS
    pure = pure_module()
    assert {name: getattr(pure, f"_{name}") for name in LIMITS} == LIMITS


@pytest.mark.parametrize(
    ("kind", "path", "pattern"),
    [
        (Kind, "core/ulnn_internal.h", r"^ +ULNN_KIND_(\w+) = (\d+)"),
        (Activation, "kernels/ulnn_matrix.h", r"^ +ULNN_(LINEAR|RELU|TABLE|GATED) = (\d+)"),
        (Mode, "kernels/ulnn_matrix.h", r"^ +ULNN_MODE_(?!LINEAR)(\w+) = (\d+)"),
    ],
)
def test_kinds_modes_and_activations(
    kind: type[Kind | Activation | Mode], path: str, pattern: str
) -> None:
    # DT_INPUT is another name of 1, for LSTM and GRU.
    assert c_numbers(path, pattern) == {each.name: int(each) for each in kind}


def test_dialects() -> None:
    text = (NATIVE / "core" / "ulnn_text.c").read_text()
    found = re.search(r'ulnn_dialects\[\] =\s+"(.*)\\0";', text)
    assert found is not None
    assert dict(enumerate(found[1].split("\\0"), 1)) == DIALECTS
    assert tuple(DIALECTS.values()) == pure_module()._DIALECTS
    assert len(DIALECTS) == limits.DIALECTS_MAX


def test_names_of_modes() -> None:
    assert MODES == {"default": Mode.DEFAULT, "no_gate": Mode.NO_GATE, "pure": Mode.PURE}
