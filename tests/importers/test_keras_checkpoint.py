"""Files of ncps.keras give its outputs, without Keras where they are read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.every_cell import keras_cfc, keras_kernels
from ulnn_host.base.errors import UlnnError
from ulnn_host.importers import checkpoint
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import CfC, Dense, Ltc

LIMIT = 1e-5
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
keras: Any = None
ncps: Any = None


@pytest.fixture(autouse=True, scope="module")
def _keras() -> None:
    global keras, ncps
    keras_cfc()  # chooses the backend
    import keras as framework
    import ncps.keras
    import ncps.wirings

    keras, ncps = framework, ncps


def outputs(model: Any, x: Any, dt: Any) -> Any:
    """Step by step through the cells, as Keras 3.15 no longer takes pairs for sequences."""
    states: dict[Any, Any] = {}
    every = []
    for t in range(x.shape[1]):
        v, ts = (keras.ops.convert_to_tensor(a) for a in (x[:, t], dt[:, t, None]))
        for layer in model.layers:
            if isinstance(layer, keras.layers.InputLayer):
                continue
            if not isinstance(layer, keras.layers.RNN):
                v = layer(v)
                continue
            cell = layer.cell
            state = states.get(layer, keras.ops.zeros((1, cell.state_size)))
            if isinstance(layer, ncps.keras.LTC):  # its call() has an error with pairs
                state = cell._ode_solver(cell._map_inputs(v), state, ts)
                v = cell._map_outputs(state)
            else:
                v, state = cell((v, ts), [state])
            states[layer] = state[0] if isinstance(state, list) else state
        every.append(keras.ops.convert_to_numpy(v))
    return np.stack(every, 1)


def model_of(*layers: Any, inputs: int = 3) -> Any:
    """A Sequential model with weights other than the fresh ones."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((None, inputs)), *layers])
    rng = np.random.default_rng(2)
    for layer in model.layers:
        if not isinstance(layer, ncps.keras.LTC):  # linear heads: large weights would diverge
            weights = [0.5 * w + 0.2 * rng.normal(size=w.shape) * (w.shape[0] == 1 or w.ndim == 1)
                       for w in layer.get_weights()]  # fmt: skip
            layer.set_weights(weights)
    return model


def difference(network: FloatNetwork, model: Any) -> float:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1, 15, 3)).astype(np.float32)
    dt = rng.uniform(0.05, 2.0, (1, 15)).astype(np.float32)
    # 1.0 everywhere, too: the way of a model called without times
    whole = keras.ops.convert_to_numpy(model(x))
    ones = network.run(x, np.ones_like(dt)).y
    timed = np.abs(network.run(x, dt).y - outputs(model, x, dt)).max()
    return float(max(timed, np.abs(ones - whole).max()))


def cfc(units: Any = 8, **keys: Any) -> Any:
    return ncps.keras.CfC(units, return_sequences=True, **keys)


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_cfc(mode: str, layers: int, tmp_path: Path) -> None:
    sizes = {"backbone_units": 6, "backbone_layers": layers, "backbone_dropout": 0.1}
    model = model_of(
        cfc(mode=mode, activation="silu", **sizes),
        keras.layers.Dropout(0.1),
        keras.layers.Dense(2),
    )
    model.save(tmp_path / "net.keras")
    loaded = checkpoint.read_checkpoint(tmp_path / "net.keras")
    assert difference(loaded.network, model) < LIMIT
    assert loaded.network.dialect == "ncps.keras"
    assert len(loaded.assumed) == 1  # times in seconds
    model.save_weights(tmp_path / "net.weights.h5")
    bare = checkpoint.read_checkpoint(tmp_path / "net.weights.h5", mode, "silu")
    assert difference(bare.network, model) < LIMIT
    assert "layers/dense linear (a .weights.h5 does not tell; a .keras does)" in bare.assumed


def test_stacked_layers_and_dense_activations(tmp_path: Path) -> None:
    dense = keras.layers.Dense
    model = model_of(
        cfc(mode="no_gate", backbone_units=6),
        cfc(5, mode="pure", backbone_layers=0),
        dense(4, "tanh"),
        dense(2, use_bias=False),
    )
    model.save(tmp_path / "net.keras")
    network = checkpoint.read_checkpoint(tmp_path / "net.keras").network
    assert difference(network, model) < LIMIT
    assert [type(layer) for layer in network.layers] == [CfC, CfC, Dense, Dense]
    model.save_weights(tmp_path / "net.weights.h5")
    with pytest.raises(UlnnError, match=r"layers.dense_0 and layers.dense_1 follow each other"):
        checkpoint.read_checkpoint(tmp_path / "net.weights.h5")


def test_functional_models(tmp_path: Path) -> None:
    x = keras.Input((None, 3))
    y = keras.layers.Dense(2, "softmax")(cfc(backbone_units=6)(cfc(4, backbone_units=5)(x)))
    model = keras.Model(x, y)
    model.save(tmp_path / "net.keras")
    loaded = checkpoint.read_checkpoint(tmp_path / "net.keras")
    assert "without the softmax of the last layer" in loaded.assumed
    model.layers[-1].activation = keras.activations.linear
    assert difference(loaded.network, model) < LIMIT
    other = keras.Model(x, keras.layers.Concatenate()([cfc()(x), cfc()(x)]))
    other.save(tmp_path / "two.keras")
    with pytest.raises(UlnnError, match=r"reads .*; expected .*: layers one after the other"):
        checkpoint.read_checkpoint(tmp_path / "two.keras")


def test_models_of_a_class_of_their_own(tmp_path: Path) -> None:
    class Model(keras.Model):  # type: ignore[name-defined, misc]
        """Names instead of an order."""

        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = cfc(backbone_units=6), keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.head(self.rnn(x))

    model = Model()
    model(np.zeros((1, 2, 3), np.float32))
    model.save_weights(tmp_path / "net.weights.h5")
    network = checkpoint.read_checkpoint(tmp_path / "net.weights.h5").network
    assert difference(network, model) < LIMIT


@pytest.mark.parametrize(
    ("kind", "arguments", "mode"),
    [
        ("AutoNCP", (12, 3), "default"),
        ("AutoNCP", (12, 3), "pure"),
        ("FullyConnected", (7, 3), "no_gate"),
        ("Random", (7, 3, 0.4), "default"),
    ],
)
def test_wired_with_signed_masks(kind: str, arguments: Any, mode: str, tmp_path: Path) -> None:
    make = getattr(ncps.wirings, kind)
    model = model_of(cfc(make(*arguments), mode=mode), keras.layers.Dense(2))
    model.save(tmp_path / "net.keras")
    assert difference(checkpoint.read_checkpoint(tmp_path / "net.keras").network, model) < LIMIT
    model.save_weights(tmp_path / "net.weights.h5")
    with pytest.raises(UlnnError, match=r"is wired, .* \(a \.weights\.h5\); expected a \.keras"):
        checkpoint.read_checkpoint(tmp_path / "net.weights.h5")


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [("affine", "affine"), ("affine", "linear"), ("linear", None), (None, None)],
)
def test_ltc(inputs: str | None, outputs: str | None, tmp_path: Path) -> None:
    wiring = ncps.wirings.AutoNCP(11, 2)
    maps = {"input_mapping": inputs, "output_mapping": outputs}
    model = model_of(ncps.keras.LTC(wiring, return_sequences=True, ode_unfolds=4, **maps))
    model.save(tmp_path / "net.keras")
    network = checkpoint.read_checkpoint(tmp_path / "net.keras").network
    assert difference(network, model) < LIMIT
    model.save_weights(tmp_path / "net.weights.h5")
    (tmp_path / "net.toml").write_text("ode_unfolds = 4\nmotor_neurons = 2\n")
    if inputs == outputs:
        bare = checkpoint.read_checkpoint(tmp_path / "net.weights.h5")
        assert difference(bare.network, model) < LIMIT
        assert any("where erev is not 0" in line for line in bare.assumed)
    else:
        with pytest.raises(UlnnError, match=r"an LTC of 1[1-4] arrays, expected 15"):
            checkpoint.read_checkpoint(tmp_path / "net.weights.h5")
    layer = network.layers[0]
    assert isinstance(layer, Ltc)
    assert (layer.internal.w == 0).mean() > 0.5


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_named_arrays(mode: str) -> None:
    layer = keras_cfc(mode, gain=1.2)
    loaded = checkpoint.from_weights(
        keras_kernels(layer), {}, mode, "lecun_tanh", dialect="ncps.keras"
    )
    model = keras.Sequential([keras.Input((None, 3)), layer])
    assert difference(loaded.network, model) < LIMIT


def test_what_cannot_be_expressed_is_refused(tmp_path: Path) -> None:
    seen = {
        "its LSTM sees the CfC's state": [cfc(mixed_memory=True)],
        "LSTM with arrays cell/vars/0": [keras.layers.LSTM(8, return_sequences=True)],
        "layers/cf_c runs backwards": [cfc(go_backwards=True)],
        "LayerNormalization with arrays": [cfc(), keras.layers.LayerNormalization()],
        "a layer ReLU; expected CfC or LTC": [cfc(), keras.layers.ReLU()],
        "Dense with activation elu; expected linear, silu": [cfc(), keras.layers.Dense(2, "elu")],
        r"NCP\); expected a .keras file with AutoNCP": [
            cfc(ncps.wirings.NCP(5, 4, 3, 2, 2, 2, 2))
        ],
    }
    for match, layers in seen.items():
        model = keras.Sequential([keras.Input((None, 3)), *layers])
        model.save(tmp_path / "net.keras")
        with pytest.raises(UlnnError, match=match) as caught:
            checkpoint.read_checkpoint(tmp_path / "net.keras")
        assert str(caught.value).startswith("net.keras: ")
    model_of(cfc()).save(tmp_path / "net.keras")
    with pytest.raises(UlnnError, match=r"dialect torch, but the file is of ncps\.keras"):
        checkpoint.read_checkpoint(tmp_path / "net.keras", dialect="torch")


def test_reading_needs_no_keras(tmp_path: Path) -> None:
    model_of(cfc()).save(tmp_path / "net.keras")
    code = (
        "import sys; sys.modules['keras'] = sys.modules['ncps'] = None\n"
        "from pathlib import Path; from ulnn_host.importers import checkpoint\n"
        f"loaded = checkpoint.read_checkpoint(Path({str(tmp_path / 'net.keras')!r}))\n"
        "print(loaded.network.output_size)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "8"
