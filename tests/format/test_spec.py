"""SPEC.md's own examples and numbers are right."""

from __future__ import annotations

import re

import pytest

from support import beat_cases, feature_cases
from support.cell_cases import cell_cases, cells_file
from support.loader_cases import loader_cases, rich_file
from support.meaning_cases import centres_cases, decision_cases, names_cases, unknown_cases
from support.paths import NATIVE
from support.vectors import FOLDER, broken_files
from ulnn_host.format import container

SPEC = (NATIVE / "SPEC.md").read_text()
EXAMPLE = (FOLDER / "example.ulnn").read_bytes()


def test_lines_are_short() -> None:
    long = [line for line in SPEC.splitlines() if len(line) > 100 and not line.startswith("|")]
    assert long == []


# ---- section 4: the checks ----------------------------------------------------------------------


def checks() -> dict[int, re.Pattern[str]]:
    """What the text of each check looks like, by its number, in the order of the document."""
    loading = SPEC[SPEC.index("## 4. Loading") : SPEC.index("## 5. The interface")]
    found = {}
    for number, cell in re.findall(r"^\| (\d+) \| .* \| ([^|]*) \|$", loading, re.MULTILINE):
        template = cell.split("`")[1]
        if 35 <= int(number) <= 52:
            template = "layer {l} matrix {j}: " + template
        pattern = re.escape(template).replace(r"\{name\}", "[A-Z]+")
        found[int(number)] = re.compile(re.sub(r"\\\{\w+\\\}", r"\\d+", pattern))
    return found


CHECKS = checks()


def test_they_are_numbered_in_order() -> None:
    assert list(CHECKS) == [*range(1, 107), *range(110, 125), *range(130, 139)]


def test_every_broken_file_gives_the_text_of_its_check() -> None:
    cases = [(title, text) for title, _, text in loader_cases(rich_file())]
    cases += [(title, text) for title, _, text in cell_cases(cells_file())]
    cases += [(broken.check, broken.text) for broken in broken_files()]
    for title, text in cases:
        number = re.match(r"\d+", title)
        assert number, title
        assert CHECKS[int(number.group())].fullmatch(text), title
    numbers = {int(title[:2]) for title, _ in cases}
    assert numbers == set(range(1, 72))


def test_every_broken_section_gives_the_text_of_a_check() -> None:
    seen = []
    makers = (
        names_cases, decision_cases, centres_cases, feature_cases.cases, beat_cases.cases,
        unknown_cases,
    )  # fmt: skip
    sections = [number for number in CHECKS if number >= 72]
    for cases in makers:
        for _, _, text in cases():
            seen += [number for number in sections if CHECKS[number].fullmatch(text)]
    assert sorted(set(seen)) == [k for k in sections if k not in (106, 123, 124, 131)]
    assert CHECKS[123].fullmatch("beats: input 3 has not the scale of one")
    assert CHECKS[131].fullmatch("unknown: 65 inputs, expected at most 64")
    assert CHECKS[106].fullmatch("features: input 3 has not the scale of one")


# ---- 2.13: the bytes of a file ------------------------------------------------------------------


def test_the_bytes_of_the_example() -> None:
    part = SPEC[SPEC.index("### 2.13") : SPEC.index("## 3. One step")]
    lines = re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2}(?: |$))+)", part, re.MULTILINE)
    assert len(lines) > 40
    seen = [False] * len(EXAMPLE)
    for at, content in lines:
        start, wanted = int(at, 16), bytes.fromhex(content)
        assert EXAMPLE[start : start + len(wanted)] == wanted, at
        seen[start : start + len(wanted)] = [True] * len(wanted)
    left = [k for k, there in enumerate(seen) if not there]
    table = range(0xE8, 0x8D8)
    assert all(EXAMPLE[k] == 0 for k in left if k not in table)  # padding


# ---- 3.9: the steps -----------------------------------------------------------------------------


def saturated(value: int, bits: int) -> int:
    top = 2 ** (bits - 1)
    return max(-top, min(top - 1, value))


def step(h: int, x: int, dt: int) -> dict[str, int]:
    """3.1 to 3.3 as the document has them, for the example."""
    model = container.read(EXAMPLE)
    (layer,) = model.layers
    (heads,) = layer.matrices
    slopes, offsets = model.tables[0].slope.tolist(), model.tables[0].offset.tolist()
    at = {"x": x, "dt": dt, "h": h, "frac": min(dt, model.dt_max) * 2 ** (31 - 10)}
    for r in range(4):
        weights = heads.weights[r].tolist()
        at[f"acc{r}"] = int(heads.bias[r]) + weights[0] * x + weights[1] * h
        at[f"m{r}"] = (at[f"acc{r}"] * int(heads.multiplier[r]) + 2**31) >> 32
    at["t"] = at["m3"] + ((at["m2"] * at["frac"] + 2**29) >> 30)
    for name, value in (("f1", at["m0"]), ("f2", at["m1"]), ("s", at["t"])):
        u = saturated(saturated(value * 2, 32), 22)
        k = (u >> 13) + 256
        at |= {f"u of {name}": u, f"k of {name}": k}
        at[name] = ((u * slopes[k]) >> 16) + offsets[k]
    f1, f2, s = at["f1"], at["f2"], at["s"]
    at["h', y"] = ((f1 + f2) >> 1) + (((f2 - f1) * s) >> 16)
    return at


@pytest.mark.parametrize("number", range(3))
def test_the_steps_of_the_example(number: int) -> None:
    part = SPEC[SPEC.index("### 3.9") : SPEC.index("### 3.10")]
    rows = re.findall(r"^\| ([^|]+) \| (-?\d+) \| (-?\d+) \| (-?\d+) \|$", part, re.MULTILINE)
    said = {name: int(values[number]) for name, *values in rows}
    assert len(said) == 23
    got = step(said["h"], said["x"], said["dt"]) | {"clamped": int(number == 2)}
    assert {name: got[name] for name in said} == said
