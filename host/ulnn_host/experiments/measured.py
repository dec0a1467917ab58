"""A trained network as a board will run it: converted, and measured on data that neither training
nor calibration has seen. A network without an integer engine is measured in float."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..base.errors import UlnnError
from ..data.scores import Scores
from ..data.sequences import Sequences
from ..format import container, cost
from ..format.model import ModelFile
from ..network import sizes
from ..network.float_network import FloatNetwork
from ..quantize import quantize
from ..quantize.calibration import FloatRollout
from ..quantize.options import Options
from ..train import train
from ..train.cells import cell_of
from ..train.rollout import Rollout
from ..train.train import TrainedNetwork
from .robustness import FLOAT, robustness

ACCURACY, RMSE = "balanced accuracy", "RMSE"  # by the names of `Scores.figures`
MSE = "MSE"
CMSIS_NN = 2.01  # cycles a product of its int8 dense layer, H=64 (native_module/BENCHMARKS.md)


class NotConverted(UlnnError):
    """A network whose numbers do not fit integers."""


@dataclass(frozen=True)
class Measured:
    """in_float, in_integers: scores of both networks on the same data. size: bytes of the model
    file; cycles: of a step on a Cortex-M7, modelled; products: multiply-accumulates of a step.
    Without an integer engine in_integers is None, and size and cycles are `estimated`."""

    in_float: Scores
    in_integers: Scores | None
    size: int
    cycles: int
    products: int

    @property
    def judged(self) -> Scores:
        """Of the integers, where there are any."""
        return self.in_integers or self.in_float


@dataclass(frozen=True)
class Estimate:
    """Of a network without an integer engine. size: bytes of a file with its matrices in int8 and
    all that every file has; cycles: of its products in CMSIS-NN, activation functions not counted;
    products: multiply-accumulates of a step."""

    size: int
    cycles: int
    products: int


def measure(
    network: TrainedNetwork, calibration: Sequences, held_out: Sequences, bits: int = 8
) -> Measured:
    """Convert a network and measure both. Raises NotConverted, and UlnnError where the data do not
    fit the network."""
    if not cell_of(network.hyper["cell"]).integers:
        guess = estimated(network.network(), bits)
        scores = train.evaluate(network, held_out)
        return Measured(scores, None, guess.size, guess.cycles, guess.products)
    floats = network.float_network()
    model = converted(floats, calibration, Options(bits=bits))
    content = container.write(model)
    both = robustness(held_out, network=floats, model=content).results[0].scores
    in_integers = next(value for name, value in both.items() if name != FLOAT)
    return Measured(both[FLOAT], in_integers, len(content), cycles(model), model.macs)


def estimated(network: Rollout, bits: int = 8) -> Estimate:
    """What a network would cost as integers."""

    def shape(value: Tensor) -> tuple[int, int]:
        return len(value), value[0].numel()

    shapes = [shape(value) for value in network.parameters() if value.dim() > 1]
    outputs = network.proj_size or 1
    size = sizes.dense_bytes(shapes, network.input_size, outputs, bits)
    return Estimate(size, round(CMSIS_NN * network.products), network.products)


def converted(network: FloatNetwork, calibration: Sequences, options: Options) -> ModelFile:
    """The integer model of a network. Raises NotConverted."""
    try:
        return quantize.convert(FloatRollout(network, calibration), options)
    except UlnnError as error:
        raise NotConverted(str(error)) from error


def cycles(model: ModelFile) -> int:
    """Of a step on a Cortex-M7 from tightly coupled memory, modelled."""
    return round(cost.step(model, cost.CORTEX_M7))
