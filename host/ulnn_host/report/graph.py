"""A picture of a network: neurons in columns, synapses as lines, dense layers as bundles.

For wirings, float networks and integer models. Colours of lines: of an LTC whether a synapse
excites or inhibits; connections of other cells have no sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Polygon
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..format import model as integers
from ..format.model import Kind, Matrix, ModelFile
from ..network import layers as floats
from ..network.float_network import FloatNetwork
from ..network.wiring import Wiring
from .pictures import plain

COLOURS = {
    "inputs": "#8a9a3b",
    "inter": "#1f77b4",
    "command": "#7b5ea7",
    "motor": "#e07b39",
    "outputs": "#5b6875",
}
EXCITES, INHIBITS, PLAIN = "#2a9d5c", "#c8382c", "#55606b"
GAP = 2.4  # between columns, where neurons are 1 apart
# beyond these nobody sees anything, and a picture takes minutes and hundreds of megabytes
NEURONS_MAX = 1000  # in a column
LINES_MAX = 30000


@dataclass(frozen=True)
class Column:
    """Neurons (or inputs, outputs, units of a backbone) one below the other."""

    title: str
    size: int
    colour: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """Connections from a column to a column.

    pairs: (E, 2) source and target within their columns; None: all with all. sign: (E,) above 0
    excites, below 0 inhibits; None: no sign.
    """

    source: int
    target: int
    pairs: NDArray[np.int64] | None
    sign: NDArray[np.float64] | None = None


@dataclass
class Graph:
    """Columns from left to right and what connects them."""

    columns: list[Column] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def column(self, title: str, size: int, kind: str, names: Sequence[str] = ()) -> int:
        """Add a column; its number."""
        fitting = tuple(names) if len(names) == size else ()
        self.columns.append(Column(title, size, COLOURS.get(kind, COLOURS["inter"]), fitting))
        return len(self.columns) - 1

    def connect(self, source: int, target: int, matrix: NDArray[np.bool_]) -> None:
        """Connections where matrix (targets, sources) is True: a bundle if everywhere."""
        if not matrix.any():
            return
        full = matrix.all() and matrix.size > 1
        pairs = None if full else np.argwhere(matrix.T).astype(np.int64)
        self.links.append(Link(source, target, pairs))

    @property
    def synapses(self) -> int:
        """Number of lines, bundles counted in full."""
        sizes = [c.size for c in self.columns]
        return sum(
            sizes[k.source] * sizes[k.target] if k.pairs is None else len(k.pairs)
            for k in self.links
        )


# ---- what is drawn ------------------------------------------------------------------------------


def of_wiring(wiring: Wiring) -> Graph:
    """All synapses with their signs."""
    graph = Graph()
    kinds = [wiring.kind(k) for k in range(wiring.units)]
    _signed(graph, graph.column("inputs", wiring.inputs, "inputs"), wiring.sensory, kinds,
            wiring.adjacency)  # fmt: skip
    return graph


def of_network(network: FloatNetwork) -> Graph:
    """A float network. A weight that is exactly 0 is no connection."""
    graph = Graph()
    labels = network.labels
    before = graph.column("inputs", network.input_size, "inputs", network.channels)
    titles = _titles([type(layer).__name__ for layer in network.layers])
    for layer, title in zip(network.layers, titles, strict=True):
        if isinstance(layer, floats.Ltc):
            signs = [
                (np.sign(s.erev) * (s.w > 0)).astype(np.int32)
                for s in (layer.sensory, layer.internal)
            ]
            kinds = _kinds(signs[0], layer.output_size)
            before = _signed(graph, before, signs[0], kinds, signs[1])
        elif isinstance(layer, floats.Dense):
            used = layer.linear.weight != 0
            before = _dense(graph, before, used, title, labels, layer is network.layers[-1])
        elif isinstance(layer, floats.CfC):
            hidden = layer.hidden_size
            heads = _any(np.stack([head.weight != 0 for head in layer.heads.values()]), 0)
            stages = [*(stage.weight != 0 for stage in layer.backbone), heads]
            memory = None
            if layer.memory is not None:
                memory = _by_neuron(layer.memory.weight != 0, 4, interleaved=False)
            before = _cell(graph, before, stages, hidden, title, memory)
        else:
            weight = layer.gates.weight != 0
            gates = 4 if isinstance(layer, floats.Lstm) else 2
            used = _by_neuron(weight, gates, interleaved=False)
            if layer.dt_input:
                used = np.delete(used, layer.input_size, axis=1)
            before = _cell(graph, before, [used], layer.hidden_size, title)
    return graph


def of_model(model: ModelFile) -> Graph:
    """An integer model: the columns that its sparse matrices list, the synapses of its LTCs."""
    graph = Graph()
    labels = model.labels
    before = graph.column("inputs", model.input_size, "inputs", model.channels)
    names = {Kind.CFC: "CfC", Kind.DENSE: "Dense"}
    titles = _titles([names.get(layer.kind, "") for layer in model.layers])
    for layer, title in zip(model.layers, titles, strict=True):
        if layer.ltc is not None:
            before = _integer_ltc(graph, before, layer.ltc, layer)
            continue
        if layer.kind is Kind.DENSE:
            used = _listed(layer.matrices[0], 1)
            before = _dense(graph, before, used, title, labels, layer is model.layers[-1])
            continue
        memory = None
        matrices = layer.matrices
        if layer.kind is Kind.MIXED:
            memory, matrices = _listed(matrices[0], 4), matrices[1:]
        if layer.kind in (Kind.LSTM, Kind.GRU):
            gates = _listed(matrices[0], 4 if layer.kind is Kind.LSTM else 2)
            # without dt and filling columns
            other = range(layer.input_size, gates.shape[1] - layer.output_size)
            stages = [np.delete(gates, other, axis=1)]
        else:
            stages = [_listed(matrix, 1) for matrix in matrices[:-1]]
            stages.append(_listed(matrices[-1], layer.mode.heads))
        before = _cell(graph, before, stages, layer.output_size, title, memory)
    return graph


def _titles(names: list[str]) -> list[str]:
    """Titles of layers of these kinds: those of a neural circuit policy where three CfC layers
    come first."""
    titles = ["layer" if name == "Dense" else "neurons" for name in names]
    if names.count("CfC") == 3 and names[:3] == ["CfC"] * 3:
        titles[:3] = ["inter", "command", "motor"]
    return titles


def _kinds(sensory: NDArray[np.int32], outputs: int) -> list[str]:
    """Kinds of an LTC's neurons, from what its synapses tell; sensory (inputs, N)."""
    seeing = (sensory != 0).any(axis=0)
    return [
        "motor" if k < outputs else "inter" if sees else "command" for k, sees in enumerate(seeing)
    ]


def _signed(
    graph: Graph,
    before: int,
    sensory: NDArray[np.int32],
    kinds: Sequence[str],
    adjacency: NDArray[np.int32],
) -> int:
    """Columns of an LTC or a wiring; matrices (sources, targets) of signs. The last column."""
    neurons = {
        kind: [k for k, other in enumerate(kinds) if other == kind]
        for kind in ("inter", "command", "motor")
        if kind in kinds
    }
    numbers = {kind: graph.column(kind, len(ids), kind) for kind, ids in neurons.items()}
    for kind, ids in neurons.items():
        sources = [(before, sensory[:, ids])]
        sources += [(numbers[k], adjacency[np.ix_(other, ids)]) for k, other in neurons.items()]
        for source, matrix in sources:
            pairs = np.argwhere(matrix).astype(np.int64)
            if len(pairs):
                sign = matrix[pairs[:, 0], pairs[:, 1]].astype(np.float64)
                graph.links.append(Link(source, numbers[kind], pairs, sign))
    return numbers["motor"]


def _integer_ltc(
    graph: Graph, before: int, ltc: integers.LtcNumbers, layer: integers.Layer
) -> int:
    sensory = np.zeros((layer.input_size, ltc.neurons), np.int32)
    internal = np.zeros((ltc.neurons, ltc.neurons), np.int32)
    first = int(ltc.sensory.sum())
    sign = np.where(ltc.w_num < 0, -1, 1)
    sensory[ltc.source[:first], ltc.targets[:first]] = sign[:first]
    internal[ltc.source[first:], ltc.targets[first:]] = sign[first:]
    return _signed(graph, before, sensory, _kinds(sensory, layer.output_size), internal)


def _dense(
    graph: Graph,
    before: int,
    used: NDArray[np.bool_],
    title: str,
    labels: Sequence[str],
    last: bool,
) -> int:
    title, kind, names = ("outputs", "outputs", labels) if last else (title, "inter", ())
    new = graph.column(title, len(used), kind, names)
    graph.connect(before, new, used)
    return new


def _cell(
    graph: Graph,
    before: int,
    stages: list[NDArray[np.bool_]],
    hidden: int,
    title: str,
    memory: NDArray[np.bool_] | None = None,
) -> int:
    """Columns of a cell whose first stage sees [x; h]; stages: matrices (rows, columns); memory:
    that of an LSTM (neurons, columns) over [x; h], whose output the stages see as h."""
    inputs = stages[0].shape[1] - hidden
    source = before
    numbers = []
    if memory is not None:
        numbers.append(graph.column("memory", hidden, "command"))
        graph.connect(before, numbers[0], memory[:, :inputs])
    for k, stage in enumerate(stages):
        last = k == len(stages) - 1
        kind = title if last else "outputs"
        numbers.append(graph.column(title if last else "backbone", len(stage), kind))
        graph.connect(source, numbers[-1], stage[:, :inputs] if k == 0 else stage)
        source = numbers[-1]
    if memory is None:
        graph.connect(numbers[-1], numbers[0], stages[0][:, inputs:])
    else:
        graph.connect(numbers[0], numbers[1], stages[0][:, inputs:])
        graph.connect(numbers[-1], numbers[0], memory[:, inputs:])
    return numbers[-1]


def _by_neuron(
    used: NDArray[np.bool_], rows: int, *, interleaved: bool = True
) -> NDArray[np.bool_]:
    """(neurons, columns) of a matrix with some rows for each neuron: one after the other
    (interleaved) or each for all neurons."""
    if interleaved:
        return _any(used.reshape(-1, rows, used.shape[1]), 1)
    return _any(used.reshape(rows, -1, used.shape[1]), 0)


def _any(used: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    return np.asarray(used.any(axis=axis), np.bool_)


def _listed(matrix: Matrix, rows: int) -> NDArray[np.bool_]:
    """(neurons, columns): dense all, sparse the columns that are listed for a neuron's rows."""
    if matrix.lists is None:
        return np.ones((matrix.rows // rows, matrix.columns), np.bool_)
    used = matrix.weights != 0
    if rows == 4:
        for group, columns in enumerate(matrix.lists):
            used[4 * group, list(columns)] = True
    return _by_neuron(used, rows)


# ---- drawing ------------------------------------------------------------------------------------


def draw(graph: Graph, title: str = "") -> Figure:
    """The picture. Raises UlnnError for a network beyond NEURONS_MAX or LINES_MAX."""
    tallest = max(column.size for column in graph.columns)
    lines = sum(len(link.pairs) for link in graph.links if link.pairs is not None)
    if tallest > NEURONS_MAX or lines > LINES_MAX:
        raise UlnnError(
            f"{tallest:,} neurons in a column and {lines:,} synapses are too many for a picture, "
            f"expected at most {NEURONS_MAX:,} and {LINES_MAX:,}"
        )
    unit = min(0.32, 9.0 / tallest)  # inches between neurons
    gap = GAP / unit if unit < 0.32 else GAP / 0.32
    width = 1.6 + GAP * (len(graph.columns) - 1)
    figure = Figure(figsize=(max(4.5, width + 1.2), max(3.0, unit * tallest + 1.8)))
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.9))
    axes.set_axis_off()
    places = [
        np.stack([np.full(c.size, k * gap), _spread(c.size, tallest)], axis=1)
        for k, c in enumerate(graph.columns)
    ]
    for link in graph.links:
        _link(axes, graph, link, places)
    size = min(90.0, (unit * 72 * 0.62) ** 2)
    for column, place in zip(graph.columns, places, strict=True):
        axes.scatter(place[:, 0], place[:, 1], s=size, c=column.colour, zorder=3, lw=0)
        axes.text(
            place[0, 0], tallest / 2 + 1.0, f"{column.title}\n{column.size}",
            ha="center", va="bottom", fontsize=9, color="#1c2733",
        )  # fmt: skip
        for (x, y), name in zip(place, column.names, strict=False):
            axes.text(x + 0.22 / unit, y, plain(name), va="center", fontsize=7, color="#1c2733")
    for link in graph.links:
        if link.source == link.target and link.pairs is not None:
            own = places[link.source][link.pairs[link.pairs[:, 0] == link.pairs[:, 1], 0]]
            axes.scatter(own[:, 0], own[:, 1], s=size * 1.9, fc="none", ec=PLAIN, lw=0.8, zorder=2)
    _legend(axes, graph)
    named = 1.1 / unit if graph.columns[-1].names else 0.45 / unit
    axes.set_xlim(-0.6 / unit, gap * (len(graph.columns) - 1) + named)
    bundled = any(k.pairs is None and k.target <= k.source for k in graph.links)
    below = 1.6 + (1.0 / unit if bundled else 0.0)
    axes.set_ylim(-tallest / 2 - below, tallest / 2 + 1.2 + 0.45 / unit)
    figure.suptitle(plain(title), fontsize=11, color="#1c2733", y=0.985)
    return figure


def _spread(size: int, tallest: int) -> NDArray[np.float64]:
    """Heights of a column's neurons: small columns a little wider."""
    step = min(1.6, max(1.0, 0.7 * tallest / size)) if size > 1 else 1.0
    return np.asarray((np.arange(size)[::-1] - (size - 1) / 2) * step, np.float64)


def _link(axes: Axes, graph: Graph, link: Link, places: list[NDArray[np.float64]]) -> None:
    source, target = places[link.source], places[link.target]
    if link.pairs is None:
        _bundle(axes, graph, link, source, target)
        return
    pairs = link.pairs[link.pairs[:, 0] != link.pairs[:, 1]] if link.source == link.target else (
        link.pairs
    )  # fmt: skip
    sign = link.sign
    if sign is not None and link.source == link.target:
        sign = sign[link.pairs[:, 0] != link.pairs[:, 1]]
    start, end = source[pairs[:, 0]], target[pairs[:, 1]]
    # curves for those within a column or backwards, else they would lie on each other
    bend = 0.0 if link.target > link.source else 0.35
    t = np.linspace(0, 1, 24)[:, None, None]
    middle = (start + end) / 2
    middle = middle + bend * np.stack(
        [np.abs(end[:, 1] - start[:, 1]) + 1.0, np.zeros(len(start))], axis=1
    )
    curves = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
    colours = (
        [PLAIN] * len(pairs)
        if sign is None
        else [EXCITES if value > 0 else INHIBITS for value in sign]
    )
    alpha = float(np.clip(14 / np.sqrt(max(1, len(pairs))), 0.12, 0.75))
    lines = LineCollection(
        list(curves.transpose(1, 0, 2)), colors=colours, linewidths=0.9, alpha=alpha, zorder=1
    )
    axes.add_collection(lines)


def _bundle(
    axes: Axes,
    graph: Graph,
    link: Link,
    source: NDArray[np.float64],
    target: NDArray[np.float64],
) -> None:
    colour = graph.columns[link.source].colour
    rows, columns = len(target), len(source)
    if link.target > link.source:
        corners = [source[0], target[0], target[-1], source[-1]]
        axes.add_patch(Polygon(corners, fc=colour, ec=colour, alpha=0.18, zorder=0))
        (x, y) = (source.mean(0) + target.mean(0)) / 2
        axes.text(x, y, f"{columns} × {rows}", ha="center", va="center", fontsize=8, color=PLAIN)
        return
    x0, x1 = source[0, 0], target[0, 0]
    if link.source == link.target:
        x0, x1 = x0 + 1.2, x1 - 1.2
    y0, y1 = source[:, 1].min() - 0.7, target[:, 1].min() - 0.7
    axes.add_patch(
        FancyArrowPatch(
            (x0, y0), (x1, y1), connectionstyle="arc3,rad=-0.25",
            arrowstyle="-|>", mutation_scale=9, lw=1.4, color=colour, alpha=0.7,
        )
    )  # fmt: skip
    axes.text(
        source[0, 0] + 0.5, y0 - 0.9, f"own states, {columns} × {rows}",
        ha="left", va="top", fontsize=7, color=PLAIN,
    )  # fmt: skip


def _legend(axes: Axes, graph: Graph) -> None:
    signed = any(link.sign is not None for link in graph.links)
    ring = any(
        link.source == link.target
        and link.pairs is not None
        and (link.pairs[:, 0] == link.pairs[:, 1]).any()
        for link in graph.links
    )
    handles = []
    if signed:
        handles += [
            Line2D([], [], color=EXCITES, label="excites"),
            Line2D([], [], color=INHIBITS, label="inhibits"),
        ]
    if ring:
        handles.append(
            Line2D(
                [], [], marker="o", ls="", mfc="none", mec=PLAIN, ms=9, label="sees its own state"
            )
        )
    if handles:
        axes.legend(handles=handles, loc="lower left", fontsize=8, frameon=False, ncols=3)
