"""A trained network as a board will run it: converted, and measured on data that neither training
nor calibration has seen."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.errors import UlnnError
from ..data.scores import Scores
from ..data.sequences import Sequences
from ..format import container, cost
from ..format.model import ModelFile
from ..network.float_network import FloatNetwork
from ..quantize import quantize
from ..quantize.calibration import FloatRollout
from ..quantize.options import Options
from .robustness import FLOAT, robustness

ACCURACY, RMSE = "balanced accuracy", "RMSE"  # by the names of `Scores.figures`
MSE = "MSE"


class NotConverted(UlnnError):
    """A network whose numbers do not fit integers."""


@dataclass(frozen=True)
class Measured:
    """in_float, in_integers: scores of both networks on the same data. size: bytes of the model
    file; cycles: of a step on a Cortex-M7, modelled; products: multiply-accumulates of a step."""

    in_float: Scores
    in_integers: Scores
    size: int
    cycles: int
    products: int


def measure(
    network: FloatNetwork, calibration: Sequences, held_out: Sequences, bits: int = 8
) -> Measured:
    """Convert a network and measure both. Raises NotConverted, and UlnnError where the data do not
    fit the network."""
    model = converted(network, calibration, Options(bits=bits))
    content = container.write(model)
    scores = robustness(held_out, network=network, model=content).results[0].scores
    in_integers = next(value for name, value in scores.items() if name != FLOAT)
    return Measured(scores[FLOAT], in_integers, len(content), cycles(model), model.macs)


def converted(network: FloatNetwork, calibration: Sequences, options: Options) -> ModelFile:
    """The integer model of a network. Raises NotConverted."""
    try:
        return quantize.convert(FloatRollout(network, calibration), options)
    except UlnnError as error:
        raise NotConverted(str(error)) from error


def cycles(model: ModelFile) -> int:
    """Of a step on a Cortex-M7 from tightly coupled memory, modelled."""
    return round(cost.step(model, cost.CORTEX_M7))
