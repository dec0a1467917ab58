"""Layers of Keras that have no weights, legacy .h5 files, LSTM and GRU: right, or refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from support.every_cell import keras_cfc
from ulnn_host.base.errors import UlnnError
from ulnn_host.importers import check, checkpoint
from ulnn_host.importers.checkpoint import Loaded
from ulnn_host.network.layers import Dense

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model:UserWarning"),
]
keras: Any = None
layers: Any = None
ncps: Any = None


@pytest.fixture(autouse=True, scope="module")
def _keras() -> None:
    global keras, layers, ncps
    keras_cfc()  # chooses the backend
    import keras as framework
    import ncps.keras
    import ncps.wirings

    keras, layers, ncps = framework, framework.layers, ncps


def cfc(units: Any = 6, **keys: Any) -> Any:
    return ncps.keras.CfC(units, return_sequences=True, **keys)


def model_of(*parts: Any) -> Any:
    keras.utils.set_random_seed(4)
    model = keras.Sequential([keras.Input((None, 3)), *parts])
    rng = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            layer.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in layer.get_weights()])
    return model


def inputs() -> Any:
    return np.random.default_rng(3).normal(2.0, 3.0, (2, 15, 3)).astype(np.float32)


def pairs(model: Any) -> dict[str, Any]:
    x = inputs()
    y = keras.ops.convert_to_numpy(model(x))
    return {"x": x, "dt": np.ones(x.shape[:2]), "y": y}


def agrees(loaded: Loaded, model: Any) -> None:
    assert check.check(loaded, pairs(model)).max_error < 1e-5


def read(model: Any, path: Path, name: str = "net.keras") -> Loaded:
    if name.endswith(".weights.h5"):
        model.save_weights(path / name)
    else:
        model.save(path / name)
    return checkpoint.read_checkpoint(path / name)


def refusal(model: Any, path: Path, name: str = "net.keras") -> str:
    with pytest.raises(UlnnError) as caught:
        read(model, path, name)
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- layers without weights ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_functions_are_carried_over(name: str, tmp_path: Path) -> None:
    model = model_of(
        cfc(backbone_units=5), layers.ReLU(), layers.Dense(5), layers.Activation("tanh"),
        layers.Dropout(0.3), layers.Dense(2, "relu"),
    )  # fmt: skip
    loaded = read(model, tmp_path, name)
    agrees(loaded, model)
    kinds = [getattr(layer, "activation", "") for layer in loaded.network.layers]
    assert kinds == ["lecun_tanh", "relu", "tanh", "relu"]
    assert loaded.assumed == ("inputs as they are, times in seconds (no mean, std, time_scale in "
                              "a .toml)",)  # fmt: skip


@pytest.mark.parametrize("end", ["softmax", "sigmoid", "log_softmax"])
@pytest.mark.parametrize("own", [False, True])
def test_functions_at_the_end_stay_outside(end: str, own: bool, tmp_path: Path) -> None:
    last = [layers.Dense(2), layers.Activation(end)] if own else [layers.Dense(2, end)]
    model = model_of(cfc(backbone_units=5), *last)
    loaded = read(model, tmp_path)
    agrees(loaded, model)
    assert loaded.end == end
    assert f"without the {end} of the last layer" in loaded.assumed
    assert model_of(cfc(), layers.Softmax())
    assert read(model_of(cfc(), layers.Softmax()), tmp_path).end == "softmax"


def test_a_function_of_the_end_elsewhere(tmp_path: Path) -> None:
    model = model_of(cfc(), layers.Dense(4, "softmax"), layers.Dense(2))
    assert "order: softmax is none of the modules" in refusal(model, tmp_path)
    elu = model_of(cfc(), layers.Activation("elu"))
    assert "Activation with activation elu; expected linear, silu" in refusal(elu, tmp_path)


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_scales_at_the_input_are_folded(name: str, tmp_path: Path) -> None:
    adapted = layers.Normalization()
    adapted.adapt(inputs())
    given = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 9.0, 0.25])
    for scales in (
        [layers.Rescaling(1 / 9.81)],
        [layers.Rescaling(0.5, offset=-1.5)],
        [adapted],
        [given],
        [layers.Rescaling(0.1, 0.2), given],
    ):
        model = model_of(*scales, cfc(backbone_units=5), layers.Dense(2))
        loaded = read(model, tmp_path, name)
        agrees(loaded, model)
        assert loaded.network.input_size == 3
        assert "times in seconds (no time_scale in a .toml)" in loaded.assumed
    np.testing.assert_allclose(loaded.network.mean, [8.0, 18.0, 28.0], rtol=1e-6)
    np.testing.assert_allclose(loaded.network.std, [20.0, 30.0, 5.0], rtol=1e-6)


def test_scales_of_the_toml_come_first(tmp_path: Path) -> None:
    model = model_of(layers.Rescaling(2.0, 1.0), cfc(backbone_units=5))
    (tmp_path / "net.toml").write_text("mean = [1, 2, 3]\nstd = [2, 4, 8]\ntime_scale = 1.0\n")
    loaded = read(model, tmp_path)
    x = inputs()
    y = keras.ops.convert_to_numpy(model((x - np.array([1, 2, 3])) / np.array([2, 4, 8])))
    made = {"x": x, "dt": np.ones((2, 15)), "y": y}
    assert check.check(loaded, made).max_error < 1e-5


def test_scales_that_are_none_or_elsewhere(tmp_path: Path) -> None:
    for scale, match in (
        (layers.Rescaling(-1.0), "scales by 0, by a negative number or by none"),
        (layers.Rescaling(0.0), "scales by 0, by a negative number or by none"),
        (
            layers.Normalization(axis=None, mean=0.0, variance=1.0),
            "expected Normalization(axis=-1",
        ),
        (
            layers.Normalization(mean=0.0, variance=1.0, invert=True),
            "expected Normalization(axis=-1, invert=False)",
        ),
    ):
        assert match in refusal(model_of(scale, cfc()), tmp_path)
    late = model_of(cfc(), layers.Rescaling(0.5), layers.Dense(2))
    assert "a layer Rescaling after layers.1; expected it first" in refusal(late, tmp_path)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: [layers.AveragePooling1D(2), cfc()], "a layer AveragePooling1D"),
        (lambda: [cfc(), layers.UpSampling1D(2)], "a layer UpSampling1D"),
        (lambda: [layers.Masking(), cfc()], "a layer Masking"),
        (lambda: [cfc(), layers.BatchNormalization()], "a layer BatchNormalization .*with arrays"),
        (lambda: [cfc(), layers.LeakyReLU()], "a layer LeakyReLU"),
        (lambda: [layers.Conv1D(3, 3, padding="same"), cfc()], "a layer Conv1D"),
        (lambda: [layers.Bidirectional(layers.LSTM(4, return_sequences=True))], "Bidirectional"),
        (lambda: [cfc(), layers.TimeDistributed(layers.LayerNormalization())], "LayerNormaliz"),
    ],
)
def test_other_layers_are_refused(make: Any, match: str, tmp_path: Path) -> None:
    for name in ("net.keras", "net.h5"):
        with pytest.raises(UlnnError, match=match):
            read(model_of(*make()), tmp_path, name)


def test_weights_alone_do_not_say_what_has_none(tmp_path: Path) -> None:
    for parts, at in (
        ([layers.Rescaling(1 / 9.81), cfc()], "layers/rescaling"),
        ([cfc(), layers.ReLU(), layers.Dense(2)], "layers/re_lu"),
        ([layers.AveragePooling1D(2), cfc()], "layers/average_pooling1d"),
        ([cfc(), layers.Activation("relu"), layers.Dense(2)], "layers/activation"),
        ([cfc(), layers.Dense(2), layers.Softmax()], "layers/softmax"),
    ):
        text = refusal(model_of(*parts), tmp_path, "net.weights.h5")
        assert (
            f"{at} has no weights, and this file does not say what it does; save the model" in text
        )
    relu = model_of(cfc(), layers.ReLU(), layers.Dense(2))
    relu.save_weights(tmp_path / "net.weights.h5")
    order = ["layers.cf_c_0", "relu", "layers.dense_0"]
    loaded = checkpoint.read_checkpoint(tmp_path / "net.weights.h5", order=order)
    agrees(loaded, relu)
    assert "layers/re_lu does nothing but what order says" in loaded.assumed
    plain = model_of(cfc(), layers.Dropout(0.2), layers.GaussianNoise(0.1), layers.Dense(2))
    agrees(read(plain, tmp_path, "net.weights.h5"), plain)
    scaled = model_of(layers.Normalization(mean=0.0, variance=1.0), cfc())
    assert "layers/normalization has no weights" in refusal(scaled, tmp_path, "net.weights.h5")
    adapted = layers.Normalization()
    adapted.adapt(inputs())
    assert "layers/normalization with arrays vars/0, vars/1" in refusal(
        model_of(adapted, cfc()), tmp_path, "net.weights.h5"
    )


def test_the_order_of_weights_alone(tmp_path: Path) -> None:
    model = model_of(layers.Dense(3), cfc(3, backbone_units=5))
    assert "layers.dense_0 may be at several places" in refusal(model, tmp_path, "net.weights.h5")
    order = ["layers.dense_0", "layers.cf_c_0"]
    loaded = checkpoint.read_checkpoint(tmp_path / "net.weights.h5", order=order)
    agrees(loaded, model)
    stack = model_of(cfc(3), cfc(3))
    assert "cf_c_0 and layers.cf_c_1 have 3 inputs each" in refusal(
        stack, tmp_path, "net.weights.h5"
    )
    agrees(read(stack, tmp_path), stack)
    with pytest.raises(UlnnError, match=r"order is said by the file: layers.1, layers.2"):
        checkpoint.read_checkpoint(tmp_path / "net.keras", order=["layers.1"])


def test_functional_models_are_rows(tmp_path: Path) -> None:
    def functional(after: Any) -> Any:
        x = keras.Input((None, 3))
        h = cfc(6, backbone_units=5, name="rnn")(x)
        return keras.Model(x, after(h))

    good = functional(lambda h: layers.Dense(2)(layers.ReLU()(h)))
    for name in ("net.keras", "net.h5"):
        agrees(read(good, tmp_path, name), good)
    for after, match in (
        (
            lambda h: layers.Add()([h, layers.Dense(6)(h)]),
            "reads .*; expected .*one after the oth",
        ),
        (lambda h: layers.Add()([h, h]), "a layer Add"),
        (lambda h: [layers.Dense(2)(h), layers.Dense(3)(h)], "a model with outputs"),
    ):
        for name in ("net.keras", "net.h5"):
            with pytest.raises(UlnnError, match=match):
                read(functional(after), tmp_path, name)
    dense = layers.Dense(6)
    with pytest.raises(UlnnError, match=r"is used 2 times; expected once"):
        read(functional(lambda h: dense(dense(h))), tmp_path)


# ---- LSTM, GRU and legacy files -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net.weights.h5"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("bias", [True, False])
def test_lstm_and_gru(kind: str, bias: bool, name: str, tmp_path: Path) -> None:
    make = getattr(layers, kind)
    first = make(7, return_sequences=True, use_bias=bias, bias_initializer="random_normal")
    if kind == "GRU" and not bias and name == "net.weights.h5":
        assert "a GRU with reset_after=False" in refusal(model_of(first), tmp_path, name)
        return
    model = model_of(first, make(4, return_sequences=True), layers.Dense(2))
    agrees(read(model, tmp_path, name), model)
    if name == "net.keras":
        last = model_of(make(5), layers.Dense(2))
        agrees(read(last, tmp_path), last)


def test_lstm_and_gru_of_other_forms(tmp_path: Path) -> None:
    keys = {"return_sequences": True}
    for layer, match in (
        (layers.GRU(4, reset_after=False, **keys), "a GRU with reset_after=False; expected True"),
        (layers.LSTM(4, activation="relu", **keys), "has activation relu, expected tanh"),
        (
            layers.LSTM(4, recurrent_activation="hard_sigmoid", **keys),
            "has recurrent_activation hard_sigmoid, expected sigmoid",
        ),
        (layers.RNN(layers.LSTMCell(4, activation="relu"), **keys), "has activation relu"),
        (layers.LSTM(4, go_backwards=True, **keys), "runs backwards"),
        (layers.SimpleRNN(4, **keys), "a layer SimpleRNN"),
    ):
        assert match in refusal(model_of(layer), tmp_path)
    model = model_of(layers.RNN(layers.GRUCell(4), **keys), layers.Dense(2))
    agrees(read(model, tmp_path), model)


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
@pytest.mark.parametrize("backbone", [0, 1, 2])
def test_legacy_files_of_cfc(mode: str, backbone: int, tmp_path: Path) -> None:
    sizes = {"backbone_units": 5, "backbone_layers": backbone}
    model = model_of(cfc(mode=mode, activation="silu", **sizes), layers.Dense(2, use_bias=False))
    agrees(read(model, tmp_path, "net.h5"), model)


def test_legacy_files_of_wirings(tmp_path: Path) -> None:
    wired = model_of(cfc(ncps.wirings.AutoNCP(12, 3)), layers.Dense(2))
    agrees(read(wired, tmp_path, "net.h5"), wired)
    for maps in ({}, {"input_mapping": "linear", "output_mapping": None}):
        ltc = ncps.keras.LTC(ncps.wirings.AutoNCP(11, 2), return_sequences=True, **maps)
        model = model_of(ltc, layers.Dense(2))
        agrees(read(model, tmp_path, "net.h5"), model)


def test_legacy_weights_alone(tmp_path: Path) -> None:
    """As Keras 2 wrote them: an order, names, no config."""
    model = model_of(layers.LSTM(4, return_sequences=True), layers.Dense(2))
    model.save(tmp_path / "net.h5")
    with h5py.File(tmp_path / "net.h5", "r") as file, h5py.File(tmp_path / "w.h5", "w") as bare:
        source = file["model_weights"]
        for key in source:
            source.copy(key, bare)
        bare.attrs["layer_names"] = source.attrs["layer_names"]
    loaded = checkpoint.read_checkpoint(tmp_path / "w.h5")
    agrees(loaded, model)
    assert any("linear (a .weights.h5 does not say it" in line for line in loaded.assumed)
    with h5py.File(tmp_path / "w.h5", "a") as bare:
        bare.create_group("re_lu").attrs["weight_names"] = []
        bare.attrs["layer_names"] = [*bare.attrs["layer_names"], "re_lu"]
    with pytest.raises(UlnnError, match="re_lu has no weights, and this file does not say"):
        checkpoint.read_checkpoint(tmp_path / "w.h5")


def test_trained_models_keep_an_optimiser(tmp_path: Path) -> None:
    model = model_of(layers.LSTM(4, return_sequences=True), layers.Dropout(0.2), layers.Dense(2))
    model.compile("adam", "mse")
    model.fit(inputs(), np.zeros((2, 15, 2)), verbose=0)
    for name in ("net.keras", "net.h5", "net.weights.h5"):
        agrees(read(model, tmp_path, name), model)


def test_time_distributed_dense_layers(tmp_path: Path) -> None:
    model = model_of(cfc(backbone_units=5), layers.TimeDistributed(layers.Dense(2, "tanh")))
    loaded = read(model, tmp_path)
    agrees(loaded, model)
    assert isinstance(loaded.network.layers[-1], Dense)


def test_a_class_of_its_own_needs_an_order(tmp_path: Path) -> None:
    class Own(keras.Model):  # type: ignore[name-defined, misc]
        """A function that only the code shows, and one that has a group."""

        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.act = cfc(6, backbone_units=5), layers.ReLU()
            self.head = layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.head(self.act(self.rnn(x)))

    model = Own()
    model(inputs())
    assert "act has no weights, and this file does not say what it does" in refusal(
        model, tmp_path, "net.weights.h5"
    )
    order = ["layers.cf_c_0", "relu", "head"]
    agrees(checkpoint.read_checkpoint(tmp_path / "net.weights.h5", order=order), model)
    model.save(tmp_path / "net.h5")
    with pytest.raises(UlnnError, match=r"net.h5: .*class of its own|net.h5: .*Own"):
        checkpoint.read_checkpoint(tmp_path / "net.h5")


# ---- configs of strangers -----------------------------------------------------------------------


def changed(path: Path, change: Any) -> None:
    """A .keras file with another config."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    change(config["config"]["layers"])
    content["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def test_configs_that_lie(tmp_path: Path) -> None:
    def units(entries: Any) -> None:
        entries[1]["config"]["units"]["config"]["units"] = 10**9

    def missing(entries: Any) -> None:
        del entries[2]

    def broken(entries: Any) -> None:
        entries[1] = 7

    def conflicting(entries: Any) -> None:
        entries[1]["config"]["sparsity_mask"] = [[1.0]]

    for change, match in (
        (units, "a wiring of 1000000000 units, but 12 neurons"),
        (missing, "array layers/dense/vars/0 is of no layer in the config"),
        (broken, "cannot be read"),
    ):
        model_of(cfc(ncps.wirings.AutoNCP(12, 3)), layers.Dense(2)).save(tmp_path / "net.keras")
        changed(tmp_path / "net.keras", change)
        with pytest.raises(UlnnError, match=match):
            checkpoint.read_checkpoint(tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", "[" * 100_000)
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(UlnnError, match="cannot be read"):
        checkpoint.read_checkpoint(tmp_path / "net.keras")
    model_of(cfc(4)).save(tmp_path / "net.keras")
    changed(tmp_path / "net.keras", conflicting)
    with pytest.raises(UlnnError, match="has a sparsity_mask; expected a wiring"):
        checkpoint.read_checkpoint(tmp_path / "net.keras")
    model_of(cfc(4, mode="no_gate")).save(tmp_path / "net.keras")
    with pytest.raises(UlnnError, match="mode default, but the file says no_gate"):
        checkpoint.read_checkpoint(tmp_path / "net.keras", "default")
    with pytest.raises(UlnnError, match="activation relu, but the file says lecun_tanh"):
        checkpoint.read_checkpoint(tmp_path / "net.keras", None, "relu")
