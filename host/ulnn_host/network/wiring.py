"""Wirings: which neuron has a synapse to which, with the same synapses for the same seed as ncps.

Sources: Lechner et al., "Neural circuit policies enabling auditable autonomy", Nature Machine
Intelligence 2 (2020), as coded in `ncps.wirings` 1.0.1. Unlike there, a wiring is a value: nothing
is built later, so making two networks of one wiring adds no synapses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError

Adjacency = NDArray[np.int32]
NCP_SEED, RANDOM_SEED = 22222, 1111  # what ncps takes where none is given

Kind = Literal["sensory", "inter", "command", "motor"]
Dialect = Literal["ncps", "ulnn"]  # of a wired CfC: which of its weights follow the wiring
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)


@dataclass(frozen=True)
class Wiring:
    """Synapses between neurons, +1 excites, -1 inhibits, 0 is none.

    adjacency: (N, N), sensory: (inputs, N), from rows to columns. layers: the neurons of each
    layer in the order in which a step goes through them. Motor neurons, those with an output, are
    0 to outputs - 1.
    """

    adjacency: Adjacency
    sensory: Adjacency
    layers: tuple[tuple[int, ...], ...]
    outputs: int

    @property
    def units(self) -> int:
        """Number of neurons N."""
        return int(self.adjacency.shape[0])

    @property
    def inputs(self) -> int:
        """Number of inputs (sensory neurons)."""
        return int(self.sensory.shape[0])

    @property
    def synapses(self) -> int:
        """Number of synapses, those from inputs included."""
        return int(np.count_nonzero(self.adjacency) + np.count_nonzero(self.sensory))

    def kind(self, neuron: int) -> Kind:
        """What sort of neuron it is."""
        if neuron < self.outputs:
            return "motor"
        return "command" if len(self.layers) == 3 and neuron in self.layers[1] else "inter"

    def into(self, layer: int) -> Adjacency:
        """Synapses into a layer: (inputs or neurons of the layer before, its neurons)."""
        targets = list(self.layers[layer])
        if layer == 0:
            return self.sensory[:, targets]
        return self.adjacency[np.ix_(list(self.layers[layer - 1]), targets)]

    def within(self, layer: int) -> Adjacency:
        """Synapses inside a layer: (its neurons, its neurons)."""
        neurons = list(self.layers[layer])
        return self.adjacency[np.ix_(neurons, neurons)]


def ncp(
    inputs: int,
    inter: int,
    command: int,
    motor: int,
    sensory_fanout: int,
    inter_fanout: int,
    recurrent_command_synapses: int,
    motor_fanin: int,
    seed: int = NCP_SEED,
) -> Wiring:
    """A neural circuit policy: inputs to inter, to command (with recurrent synapses), to motor.

    sensory_fanout, inter_fanout: synapses from each input and inter neuron; motor_fanin: synapses
    to each motor neuron. Raises UlnnError when there are fewer neurons than that.
    """
    sizes = {"inputs": inputs, "inter neurons": inter, "command neurons": command}
    for name, size in (sizes | {"motor neurons": motor}).items():
        _at_least(size, 1, name)
    for name, fan, neurons, among in (
        ("sensory_fanout", sensory_fanout, inter, "inter"),
        ("inter_fanout", inter_fanout, command, "command"),
        ("motor_fanin", motor_fanin, command, "command"),
    ):
        if not 1 <= fan <= neurons:
            raise UlnnError(f"{name} {fan}, expected 1 to {neurons}, the {among} neurons")
    rng = np.random.RandomState(seed)  # that of ncps, for the same synapses
    units = inter + command + motor
    motors = list(range(motor))
    commands = list(range(motor, motor + command))
    inters = list(range(motor + command, units))
    sensors = list(range(inputs))
    sensory = np.zeros((inputs, units), np.int32)
    adjacency = np.zeros((units, units), np.int32)

    _fan_out(rng, sensory, sensors, inters, sensory_fanout)
    _fan_out(rng, adjacency, inters, commands, inter_fanout, limit=command)
    for _ in range(recurrent_command_synapses):
        source, target = rng.choice(commands), rng.choice(commands)
        adjacency[source, target] = rng.choice([-1, 1])
    _fan_out(rng, adjacency.T, motors, commands, motor_fanin)
    return Wiring(adjacency, sensory, (tuple(inters), tuple(commands), tuple(motors)), motor)


def _fan_out(
    rng: np.random.RandomState,
    matrix: Adjacency,
    sources: list[int],
    targets: list[int],
    fan: int,
    limit: int | None = None,
) -> None:
    """`fan` synapses from each source; a target that got none has the mean number of them, but at
    most `limit` (as many as there are sources)."""
    forgotten = list(targets)
    for source in sources:
        for target in rng.choice(targets, size=fan, replace=False):
            if target in forgotten:
                forgotten.remove(target)
            matrix[source, target] = rng.choice([-1, 1])
    mean = int(np.clip(len(sources) * fan // len(targets), 1, limit or len(sources)))
    for target in forgotten:
        for source in rng.choice(sources, size=min(mean, len(sources)), replace=False):
            matrix[source, target] = rng.choice([-1, 1])


def auto_ncp(
    inputs: int, units: int, outputs: int, sparsity: float = 0.5, seed: int = NCP_SEED
) -> Wiring:
    """A neural circuit policy of that many neurons, `outputs` of them motor neurons.

    sparsity: 0.1 (dense) to 0.9. Raises UlnnError.
    """
    if not 1 <= outputs < units - 2:
        raise UlnnError(f"outputs {outputs} of {units} units, expected 1 to {units - 3}")
    if not 0.1 <= sparsity <= 0.9:
        raise UlnnError(f"sparsity {sparsity:g}, expected 0.1 to 0.9 for an NCP")
    rest, density = units - outputs, 1.0 - sparsity
    command = max(int(0.4 * rest), 1)
    inter = rest - command
    return ncp(
        inputs,
        inter,
        command,
        outputs,
        sensory_fanout=max(int(inter * density), 1),
        inter_fanout=max(int(command * density), 1),
        recurrent_command_synapses=max(int(command * density * 2), 1),
        motor_fanin=max(int(command * density), 1),
        seed=seed,
    )


def random(
    inputs: int,
    units: int,
    outputs: int | None = None,
    sparsity: float = 0.0,
    seed: int = RANDOM_SEED,
) -> Wiring:
    """One layer with a share of 1 - sparsity of all synapses. outputs None: all neurons."""
    _sizes(inputs, units, outputs)
    if not 0 <= sparsity < 1:
        raise UlnnError(f"sparsity {sparsity:g}, expected 0 up to below 1")
    rng = np.random.default_rng(seed)
    adjacency = _scattered(rng, units, units, sparsity)
    return _one_layer(adjacency, _scattered(rng, inputs, units, sparsity, draws=2), outputs)


def _scattered(
    rng: np.random.Generator, rows: int, columns: int, sparsity: float, draws: int = 1
) -> Adjacency:
    """draws: polarities drawn for each synapse, of which the last counts (ncps draws two for
    sensory synapses)."""
    matrix = np.zeros((rows, columns), np.int32)
    every = [(row, column) for row in range(rows) for column in range(columns)]
    count = int(np.round(rows * columns * (1 - sparsity)))
    for row, column in rng.choice(every, size=count, replace=False):
        for _ in range(draws):
            matrix[row, column] = rng.choice([-1, 1, 1])
    return matrix


def fully_connected(
    inputs: int,
    units: int,
    outputs: int | None = None,
    seed: int = RANDOM_SEED,
    self_connections: bool = True,
) -> Wiring:
    """One layer with all synapses, a third of them inhibitory. outputs None: all neurons."""
    _sizes(inputs, units, outputs)
    rng = np.random.default_rng(seed)
    adjacency = np.zeros((units, units), np.int32)
    for source in range(units):
        for target in range(units):
            if source != target or self_connections:
                adjacency[source, target] = rng.choice([-1, 1, 1])
    sensory = np.zeros((inputs, units), np.int32)
    for index in np.ndindex(inputs, units):
        sensory[index] = rng.choice([-1, 1, 1])
    return _one_layer(adjacency, sensory, outputs)


def make(kind: str, inputs: int, units: int, outputs: int, sparsity: float, seed: int) -> Wiring:
    """The wiring that a recipe names: auto_ncp, random or full. Raises UlnnError."""
    if kind == "auto_ncp":
        return auto_ncp(inputs, units, outputs, sparsity, seed)
    if kind == "random":
        return random(inputs, units, outputs, sparsity, seed)
    if kind == "full":
        return fully_connected(inputs, units, outputs, seed)
    raise UlnnError(f"wiring {kind!r} not known, expected auto_ncp, random or full")


def of_ncps(wiring: Any) -> Wiring:
    """A wiring object of ncps that has been built."""
    layers = tuple(tuple(wiring.get_neurons_of_layer(k)) for k in range(wiring.num_layers))
    return Wiring(
        cast(Adjacency, wiring.adjacency_matrix.astype(np.int32)),
        cast(Adjacency, wiring.sensory_adjacency_matrix.astype(np.int32)),
        layers,
        int(wiring.output_dim),
    )


def _one_layer(adjacency: Adjacency, sensory: Adjacency, outputs: int | None) -> Wiring:
    units = int(adjacency.shape[0])
    return Wiring(adjacency, sensory, (tuple(range(units)),), outputs or units)


def _sizes(inputs: int, units: int, outputs: int | None) -> None:
    _at_least(inputs, 1, "inputs")
    _at_least(units, 1, "units")
    if outputs is not None and not 1 <= outputs <= units:
        raise UlnnError(f"outputs {outputs} of {units} units, expected 1 to {units}")


def _at_least(value: int, low: int, name: str) -> None:
    if value < low:
        raise UlnnError(f"{name} {value}, expected {low} or more")
