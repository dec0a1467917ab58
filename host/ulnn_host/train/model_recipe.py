"""The `[model]` table of a recipe: the keys that cells have."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.toml_tables import choice, number
from ..data.scores import TRAINED
from ..format.limits import MATRICES_MAX, ROWS_MAX, SIZE_MAX, UNFOLDS_MAX
from ..format.model import MODES
from ..network.layers import ACTIVATIONS
from ..network.wiring import DIALECTS

STARTS = ("auto", "xavier", "leaky")


@dataclass(frozen=True)
class WiringRecipe:
    """The wiring of a wired CfC or an LTC.

    kind      "auto_ncp" (inputs to inter to command to motor neurons), "random" or "full"
    units     neurons
    outputs   motor neurons among them, those that the head sees
    sparsity  share of the synapses that are left out (not for "full")
    seed      of the synapses; -1: the one of ncps
    dialect   of a wired CfC: "ulnn" (connections are the synapses, in all four heads, and each
              neuron's own state) or "ncps" (as ncps.torch: time heads and hidden states dense)
    """

    kind: str = choice("auto_ncp", "auto_ncp", "random", "full")
    units: int = number(19, 1, SIZE_MAX)
    outputs: int = number(4, 1, SIZE_MAX)
    sparsity: float = number(0.5, 0.0, 0.99)
    seed: int = number(-1, -1, 2**32 - 1)
    dialect: str = choice("ulnn", *DIALECTS)


@dataclass(frozen=True)
class ModelRecipe:
    """The network: a cell and a dense head. Which cells there are, and which keys each of them
    has, `cells` says.

    cell             its name
    mode, activation, backbone_units, backbone_layers: of a CfC
    hidden           neurons, or channels, of a layer
    start            "xavier" (weights as in ncps); "leaky" (gates with time constants from the
                     usual dt to half a sequence; without a backbone each neuron keeps its state
                     as long; not mode "pure"); "auto" (what host/docs/start.md shows: leaky for
                     one cfc layer without a backbone)
    layers           cells one after the other
    dt_input         whether the elapsed time is an input, too
    unfolds          steps of the solver for a sample
    taps             samples that a layer sees at once
    reach            samples that attention sees, the newest among them
    readout          what decides: "last" (outputs of the last step), "mean" (mean of the outputs
                     over all steps) or "each" (there is a target for every step)
    time_scale       seconds that count as 1 in the cell; 0: the median dt
    use_dt           false: every sample is taken to come the median dt after the one before; the
                     checkpoint notes that as fixed_dt, and its integer model ignores dt, too
    """

    cell: str = "cfc"
    mode: str = choice("default", *MODES)
    activation: str = choice("lecun_tanh", *ACTIVATIONS)
    hidden: int = number(32, 1, SIZE_MAX)
    backbone_units: int = number(32, 1, ROWS_MAX)
    backbone_layers: int = number(1, 0, MATRICES_MAX - 1)
    start: str = choice("auto", *STARTS)
    layers: int = number(1, 1, 8)
    dt_input: bool = False
    unfolds: int = number(6, 1, UNFOLDS_MAX)
    taps: int = number(4, 1, 64)
    reach: int = number(64, 1, 4096)
    wiring: WiringRecipe = WiringRecipe()
    readout: str = choice("last", *TRAINED)
    time_scale: float = number(0.0, 0.0)
    use_dt: bool = True
