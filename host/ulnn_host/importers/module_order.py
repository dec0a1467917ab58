"""The order of modules, which a state dict does not hold.

It is what `order` says; else what numbers in names and sizes leave no choice about. Where there is
a choice, or where something without weights may be between two modules, the user is asked.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..base.errors import UlnnError
from ..format.limits import LAYERS_MAX
from ..network.layers import ACTIVATIONS, Dense, FloatLayer, Linear
from .state_dict import some

NOTHING = ("identity", "dropout")
# after the last layer; they stay outside of the network, which decides alike without them
ENDS = ("softmax", "log_softmax", "sigmoid")
FUNCTIONS = (*ACTIVATIONS, *ENDS)
LAST = re.compile(
    r"(^|[._])(head|out|output|readout|classifier|decoder|logits|final|last)([._\d]|$)"
)
FIRST = re.compile(r"(^|[._])(encoder|embed|embedding|in|inp|input|pre|first)([._\d]|$)")
NUMBER = r"[0-9]{1,9}"
SEARCHED = 5  # dense layers at most of which the places are searched for


@dataclass(frozen=True, eq=False)
class Part:
    """A cell (or a dense layer) of the model: where its module is, the layers it became, and the
    functions that follow it."""

    path: str
    layers: tuple[FloatLayer, ...]
    dense: bool = False
    functions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What `order` calls it."""
        return self.path or "rnn"

    @property
    def input_size(self) -> int:
        """Inputs of its first layer."""
        return self.layers[0].input_size

    @property
    def output_size(self) -> int:
        """Outputs of its last layer."""
        return self.layers[-1].output_size

    @property
    def built(self) -> tuple[FloatLayer, ...]:
        """The layers with the functions: the first is the activation of a dense layer, all others
        are dense layers that change nothing else."""
        layers, left = list(self.layers), list(self.functions)
        if left and isinstance(layers[-1], Dense):
            layers[-1] = replace(layers[-1], activation=left.pop(0))
        same = Linear(np.eye(self.output_size), np.zeros(self.output_size))
        return (*layers, *(Dense(same, name) for name in left))


@dataclass(frozen=True)
class Row:
    """Parts from input to output. end: a function after them ("" for none) that stays outside of
    the network. assumed: what names and sizes do not say."""

    parts: tuple[Part, ...]
    end: str = ""
    assumed: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """What `order` would say."""
        inside = [name for part in self.parts for name in (part.name, *part.functions)]
        return [*inside, *([self.end] if self.end else [])]


def option(names: Sequence[str]) -> str:
    """The option that says an order."""
    return f"--order {','.join(names)}"


def arranged(cells: list[Part], dense: list[Part], order: Sequence[str], ours: bool) -> Row:
    """All parts in a row.

    order: their names, with functions; empty where nobody says it. ours: whether `ulnn train` made
    them, which puts cells one after the other and dense layers last. Raises UlnnError where the
    order is not known.
    """
    names = [part.name for part in (*cells, *dense)]
    if len(names) > LAYERS_MAX or len(set(names)) < len(names):
        raise UlnnError(
            f"{len(names)} modules ({some(names)}), expected at most {LAYERS_MAX}, each with a "
            "name of its own"
        )
    chains = _with_projections(cells, dense)
    free = [part for part in dense if not any(part in chain for chain in chains)]
    if order:
        row = _said(chains, [(part,) for part in free], order)
        _check_sizes(row.parts)
        return row
    if ours:
        row = Row((*_numbered(chains, True), *free))
        _check_sizes(row.parts)
        return row
    _check_gaps(sorted([*cells, *dense], key=_by_numbers))
    parts = _placed(_numbered(chains, False), free)
    _check_sizes(parts)
    names = [part.name for part in parts]
    for part, after in itertools.pairwise(parts):
        if part.dense and after.dense:
            said = [*names]
            said.insert(names.index(after.name), "relu")
            raise UlnnError(
                f"dense layers {part.name} and {after.name} follow each other, and weights do not "
                f"say what is between them: give it as {option(said)}, or identity for nothing"
            )
    return Row(tuple(parts), assumed=(_nothing_else(parts, chains),))


def _check_sizes(row: Sequence[Part]) -> None:
    layers = [(part.name, layer) for part in row for layer in part.layers]
    for (name, layer), (other, after) in itertools.pairwise(layers):
        if after.input_size != layer.output_size:
            raise UlnnError(
                f"{other} has {after.input_size} inputs, expected {layer.output_size}, the "
                f"outputs of {name}; they may be side by side, which cannot be imported, or in "
                "another order, which --order can give"
            )


def _nothing_else(row: list[Part], chains: list[tuple[Part, ...]]) -> str:
    # at the top, rnn_cell and fc may be of another class than CfC of ncps
    glued = {pair for chain in chains if chain[0].path for pair in itertools.pairwise(chain)}
    places = [
        f"nothing between {a.name} and {b.name}"
        for a, b in itertools.pairwise(row)
        if (a, b) not in glued
    ]
    places += [f"nothing after {row[-1].name}", f"nothing before {row[0].name}"]
    return (
        f"{', '.join(places)} (weights do not say it; prove it with --check, or give it as "
        f"{option([part.name for part in row])})"
    )


def _with_projections(cells: list[Part], dense: list[Part]) -> list[tuple[Part, ...]]:
    """Each cell with the projection that is a part of its module: CfC(proj_size=...) of ncps."""
    return [
        (cell, *(part for part in dense if part.path == f"{cell.path}.fc".lstrip(".")))
        for cell in cells
    ]


# ---- what `order` says --------------------------------------------------------------------------


def _said(
    chains: list[tuple[Part, ...]], free: list[tuple[Part, ...]], order: Sequence[str]
) -> Row:
    left = {part.name: part for chain in (*chains, *free) for part in chain}
    names = ", ".join(left)
    projections = {chain[0].name: chain[1:] for chain in chains}
    row: list[Part] = []
    end = ""
    for name in order:
        if end:
            raise UlnnError(f"order: {name} after {end}; expected {end} at the end")
        if name in left:
            row.append(left.pop(name))
            for part in projections.get(name, ()):  # a cell brings its own, where it is not named
                if part.name not in order:
                    row.append(left.pop(part.name))
        elif name in ACTIVATIONS and row:
            row[-1] = replace(row[-1], functions=(*row[-1].functions, name))
        elif name in ENDS and name == order[-1] and row:
            end = name
        elif name not in NOTHING:
            raise UlnnError(
                f"order: {name} is none of the modules ({names}), or one that is there already; "
                f"functions after a module are {', '.join((*ACTIVATIONS, *NOTHING))}, and at the "
                f"end {', '.join(ENDS)}"
            )
    if left:
        raise UlnnError(f"order: {', '.join(left)} is missing; expected all of {names}")
    return Row(tuple(row), end, (f"without the {end} of the last layer",) if end else ())


# ---- what numbers and sizes say -----------------------------------------------------------------


def _tokens(path: str) -> list[str | int]:
    found = re.findall(r"[0-9]{1,9}|[^0-9.]+", path)
    return [int(token) if re.fullmatch(NUMBER, token) else token for token in found]


def _by_numbers(part: Part) -> list[tuple[int, str]]:
    return [(t, "") if isinstance(t, int) else (-1, t) for t in _tokens(part.path)]


def _before(a: str, b: str) -> bool | None:
    """Whether module a comes before b by the number in which they differ; None: not known."""
    for one, other in zip(_tokens(a), _tokens(b), strict=False):
        if one != other:
            if isinstance(one, int) and isinstance(other, int):
                return one < other
            return None
    return None


def _check_gaps(parts: list[Part]) -> None:
    """Refuse numbers of a Sequential that are missing: something without weights has them."""
    inside: dict[str, dict[int, list[Part]]] = {}
    for part in parts:
        steps = part.path.split(".")
        for k, step in enumerate(steps):
            if re.fullmatch(NUMBER, step):
                inside.setdefault(".".join(steps[:k]), {}).setdefault(int(step), []).append(part)
    for container, members in inside.items():
        missing = next((k for k, number in enumerate(sorted(members)) if k != number), None)
        if missing is not None:
            row = [[part.name for part in members[k]] for k in sorted(members)]
            row.insert(missing, ["relu"])
            others = [part for part in parts if not any(part in m for m in members.values())]
            names = [part.name for part in others if not part.dense]
            names += [name for group in row for name in group]
            names += [part.name for part in others if part.dense]
            at = f"{container}.{missing}".lstrip(".")
            raise UlnnError(
                f"{at} has no weights, and what it does is not known: give all modules and "
                f"functions in their order, such as {option(names)} (identity or dropout where "
                "it does nothing)"
            )


def _numbered(chains: list[tuple[Part, ...]], stacked: bool) -> list[Part]:
    """The cells by the numbers in their names."""

    def compare(a: tuple[Part, ...], b: tuple[Part, ...]) -> int:
        before = _before(a[0].path, b[0].path)
        if before is None:
            one, other = sorted((a[0].name, b[0].name))
            raise UlnnError(
                f"cells {one} and {other} have no order: give it as {option([one, other])}, or "
                f"take one of them with --weights {one}"
            )
        return -1 if before else 1

    ordered = sorted(chains, key=functools.cmp_to_key(compare))
    for one, other in itertools.pairwise(ordered):
        a, b = one[0], other[0]
        if not stacked and a.input_size == b.input_size:
            names = [chain[0].name for chain in ordered]
            raise UlnnError(
                f"{a.name} and {b.name} have {a.input_size} inputs each: they may be one after "
                f"the other or side by side. If they are one after the other, give {option(names)}"
                "; side by side they cannot be imported"
            )
    return [part for chain in ordered for part in chain]


def _placed(row: list[Part], free: list[Part]) -> list[Part]:
    """The row with the dense layers that belong to no cell."""
    for part in sorted(free, key=_by_numbers):
        before = [_before(other.path, part.path) for other in row]
        if None not in before and before:
            row = [*row]
            row.insert(sum(map(bool, before)), part)
    free = [part for part in free if part not in row]
    if len(free) > SEARCHED:
        raise UlnnError(
            f"{len(free)} dense layers ({some(part.name for part in free)}) have no order: give "
            "all modules from input to output with --order"
        )
    found = list(itertools.islice(_rows(tuple(row), tuple(free)), 100))
    if len(found) > 1:
        found = [r for r in found if _telling(r, free)] or found
    if not found:
        return [*row, *free]  # what does not fit is named where sizes are checked
    if len(found) > 1:
        ways = " or ".join(option([part.name for part in way]) for way in found[:2])
        raise UlnnError(f"{free[0].name} may be at several places: give {ways}")
    return found[0]


def _rows(row: tuple[Part, ...], free: tuple[Part, ...], size: int = 0) -> Iterator[list[Part]]:
    """Every way to put the free parts into the row in which each gets what the one before gives;
    size: outputs of the part before, 0: none."""
    if not row and not free:
        yield []
    heads = [(row[0], row[1:], free)] if row else []
    heads += [(part, row, (*free[:k], *free[k + 1 :])) for k, part in enumerate(free)]
    for part, rest, others in heads:
        if size in (0, part.input_size):
            for tail in _rows(rest, others, part.output_size):
                yield [part, *tail]


def _telling(row: list[Part], free: list[Part]) -> bool:
    """Whether names such as head and encoder agree with their places."""
    cells = [k for k, part in enumerate(row) if not part.dense]
    for k, part in enumerate(row):
        if part in free:
            place = LAST if k > max(cells) else FIRST if k < min(cells) else None
            if place is None or not place.search(part.path):
                return False
    return True
