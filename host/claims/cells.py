"""The networks that are compared: the same names in all claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ulnn_host.train import recipe
from ulnn_host.train.recipe import Recipe

CFC = "CfC"
NO_TIME = "CfC, dt constant"
NCP = {motor: f"wired, AutoNCP(19, {motor})" for motor in (4, 7, 9)}  # by motor neurons
BACKBONE = "CfC with a backbone, xavier"
GRU, GRU_DT, LSTM, LSTM_DT = "GRU", "GRU + dt", "LSTM", "LSTM + dt"
MIN_GRU, GRU_D, LIQUID = "minGRU + dt (float)", "GRU-D (float)", "LiquidCell (float)"
FAST_GRNN, CNN = "FastGRNN + dt (float)", "CNN + dt (float)"
ATTENTION = "attention + dt (float)"
FLOAT = (LIQUID, MIN_GRU, GRU_D, FAST_GRNN, CNN, ATTENTION)

CELLS: Mapping[str, Mapping[str, Any]] = {
    CFC: {"cell": "cfc", "backbone_layers": 0},
    NO_TIME: {"cell": "cfc", "backbone_layers": 0, "use_dt": False},
    BACKBONE: {"cell": "cfc", "backbone_layers": 1},
    GRU: {"cell": "gru"},
    GRU_DT: {"cell": "gru", "dt_input": True},
    LSTM: {"cell": "lstm"},
    LSTM_DT: {"cell": "lstm", "dt_input": True},
    LIQUID: {"cell": "liquid"},
    MIN_GRU: {"cell": "min_gru"},
    GRU_D: {"cell": "gru_d"},
    FAST_GRNN: {"cell": "fast_grnn", "dt_input": True},
    CNN: {"cell": "cnn", "layers": 3},
    ATTENTION: {"cell": "attention"},
    **{
        name: {"cell": "wired", "wiring": {"units": 19, "outputs": motor}}
        for motor, name in NCP.items()
    },
}
WORDS = """*CfC* has no backbone and starts as leaky integrators, the default of such networks
here; *dt constant* is the same without the elapsed time; *xavier* is the network of ncps with its
start; *+ dt* has the elapsed time as one more input, in its gate, or in the turns of its
attention; *LiquidCell* is the article's leaky integrator; *float* has no integer engine: its
scores are those of floats, its bytes and cycles estimates ([cells.md](docs/cells.md))."""


def recipes(names: Iterable[str], content: Mapping[str, Mapping[str, Any]]) -> dict[str, Recipe]:
    """A recipe for each cell. content: of all of them, as in a recipe's file, without cells."""
    return {
        name: recipe.parse({**content, "model": {**content["model"], **CELLS[name]}})
        for name in names
    }
