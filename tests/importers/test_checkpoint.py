"""Checkpoints of every dialect give the outputs of the framework that wrote them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ncps.torch import LTC, CfC
from ncps.wirings import AutoNCP, FullyConnected, Random
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from support.every_cell import scaled, torch_models
from ulnn_host.base.errors import UlnnError
from ulnn_host.importers import checkpoint
from ulnn_host.importers.checkpoint import Loaded
from ulnn_host.network import wiring
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import CfC as CfCLayer
from ulnn_host.network.layers import Dense, Gru, Lstm, Ltc
from ulnn_host.train import cfc_cell, networks
from ulnn_host.train.model_recipe import ModelRecipe, WiringRecipe

LIMIT = 1e-5
NAMES = tuple(torch_models())
Weights = dict[str, NDArray[np.float64]]


def arrays(state: Mapping[str, torch.Tensor]) -> Weights:
    return {k: v.detach().double().numpy() for k, v in state.items()}


def of(model: nn.Module, hyper: Mapping[str, Any] | None = None, **given: Any) -> Loaded:
    return checkpoint.from_weights(arrays(model.state_dict()), hyper or {}, **given)


def samples(inputs: int, seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x (1, 60, I), dt (1, 60): ncps 1.0.1 takes timespans of a batch of 1 only."""
    rng = np.random.default_rng(seed)
    x, dt = rng.normal(size=(1, 60, inputs)), rng.uniform(0.05, 3.0, (1, 60))
    return x.astype(np.float32), dt.astype(np.float32)


def difference(network: FloatNetwork, model: nn.Module) -> float:
    """Between the network and ncps' own output."""
    x, dt = samples(network.input_size)
    with torch.no_grad():
        y = model(torch.tensor(x), timespans=torch.tensor(dt))
    y = y[0] if isinstance(y, tuple) else y
    return float(np.abs(network.run(x, dt).y - y.numpy()).max())


# ---- torch --------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.7, 1.3])
@pytest.mark.parametrize("name", NAMES)
def test_models_of_torch_keep_their_outputs(name: str, gain: float, tmp_path: Path) -> None:
    model, hyper = torch_models(seed=3)[name]
    model.load_state_dict(scaled(model.state_dict(), gain))
    torch.save(model.state_dict(), tmp_path / "net.pt")
    (tmp_path / "net.toml").write_text("".join(f"{k} = {_toml(v)}\n" for k, v in hyper.items()))
    network = checkpoint.read_checkpoint(tmp_path / "net.pt").network
    if not isinstance(getattr(model, "rnn", None), (nn.LSTM, nn.GRU)):
        assert difference(network, model) < LIMIT
        return
    x, dt = samples(3)
    inputs = np.concatenate([x, dt[..., None]], 2) if hyper["dt_input"] else x
    with torch.no_grad():
        y = model(torch.tensor(inputs)).numpy()
    assert np.abs(network.run(x, dt).y - y).max() < LIMIT
    assert network.dialect == "torch"


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_backbones_of_any_depth(mode: str, layers: int, dropout: float) -> None:
    model = CfC(
        2, 9, mode=mode, activation="gelu", backbone_units=7, backbone_layers=layers,
        backbone_dropout=dropout,
    ).eval()  # fmt: skip
    network = of(model, {"activation": "gelu", "mode": mode}).network
    assert difference(network, model) < LIMIT


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
@pytest.mark.parametrize("proj", [None, 3])
def test_wired_models(mode: str, proj: int | None) -> None:
    model = CfC(6, AutoNCP(19, 4), proj_size=proj, mode=mode)
    network = of(model, {"mode": mode}).network
    assert difference(network, model) < LIMIT
    sizes = [layer.hidden_size for layer in network.layers if isinstance(layer, CfCLayer)]
    assert sizes == [9, 6, 4]
    first = network.layers[0]
    assert isinstance(first, CfCLayer)
    if mode != "pure":
        assert np.count_nonzero(first.heads["time_a"].weight) == 9 * 15  # ncps has no mask there
    assert np.count_nonzero(first.heads["ff1"].weight) < 9 * 15


@pytest.mark.parametrize(
    "make", [lambda: FullyConnected(8), lambda: Random(8, sparsity_level=0.4)]
)
@pytest.mark.parametrize("mixed", [False, True])
def test_wirings_of_one_layer(make: Callable[[], Any], mixed: bool) -> None:
    model = CfC(3, make(), mixed_memory=mixed)
    assert difference(of(model).network, model) < LIMIT


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_mixed_memory(mode: str) -> None:
    model = CfC(3, 9, mixed_memory=True, mode=mode, backbone_units=8, backbone_layers=2)
    network = of(model, {"mode": mode}).network
    assert difference(network, model) < LIMIT
    assert network.layers[0].state_sizes == (9, 9)


@pytest.mark.parametrize("inputs", ["affine", "linear", None])
@pytest.mark.parametrize("outputs", ["affine", "linear", None])
@pytest.mark.parametrize("implicit", [False, True])
def test_ltc(inputs: str | None, outputs: str | None, implicit: bool) -> None:
    model = LTC(
        3, AutoNCP(11, 2), input_mapping=inputs, output_mapping=outputs, ode_unfolds=4,
        implicit_param_constraints=implicit,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.rand_like(parameter))
    hyper = {"implicit_param_constraints": implicit, "ode_unfolds": 4, "motor_neurons": 2}
    loaded = of(model, hyper | {"time_scale": 1.0, "order": ["rnn"]})
    assert difference(loaded.network, model) < LIMIT
    assert loaded.assumed == ()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("layers", [1, 3])
def test_rnns_of_torch_without_bias_or_head(kind: type[nn.RNNBase], layers: int) -> None:
    model = kind(4, 6, layers, bias=False, batch_first=True)
    network = of(model).network
    x, dt = samples(4)
    with torch.no_grad():
        expected = model(torch.tensor(x))[0].numpy()
    assert np.abs(network.run(x, dt).y - expected).max() < LIMIT
    assert len(network.layers) == layers


def test_layers_follow_their_numbers() -> None:
    class Model(nn.Module):
        """Layer 10 behind layer 9; a projection inside; a head of its own."""

        def __init__(self) -> None:
            super().__init__()
            self.net = nn.ModuleDict(
                {
                    "9": CfC(2, 5, proj_size=4, backbone_units=6),
                    "10": CfC(4, AutoNCP(9, 5)),
                    "11": nn.Linear(5, 5),
                    "12": LTC(5, 5),
                }
            )
            self.head = nn.Linear(5, 2)

        def forward(self, x: torch.Tensor, timespans: torch.Tensor) -> torch.Tensor:
            for part in self.net.values():
                x = part(x) if isinstance(part, nn.Linear) else part(x, timespans=timespans)[0]
            return self.head(x)

    model = Model()
    order = ["net.9", "net.10", "net.11", "net.12", "head"]
    loaded = of(model, {"order": order})
    assert difference(loaded.network, model) < LIMIT
    kinds = [type(layer) for layer in loaded.network.layers]
    assert kinds == [CfCLayer, Dense, CfCLayer, CfCLayer, CfCLayer, Dense, Ltc, Dense]
    assert not any("nothing between" in line for line in loaded.assumed)
    renumbered = {
        k.replace("net.9", "net.0")
        .replace("net.10", "net.1")
        .replace("net.11", "net.2")
        .replace("net.12", "net.3"): v
        for k, v in arrays(model.state_dict()).items()
    }
    loaded = checkpoint.from_weights(renumbered, {})
    assert [type(layer) for layer in loaded.network.layers] == kinds
    assert difference(loaded.network, model) < LIMIT
    assert any(
        line.startswith("nothing between net.0.fc and net.1, nothing between net.1 and net.2, ")
        for line in loaded.assumed
    )


def test_a_cell_alone_and_any_prefix() -> None:
    model = CfC(3, 8, backbone_units=6)
    alone = of(model.rnn_cell).network
    wrapped = checkpoint.from_weights(
        {f"_orig_mod.model.{k}": v for k, v in arrays(model.state_dict()).items()}, {}
    ).network
    assert difference(alone, model) < LIMIT
    assert difference(wrapped, model) < LIMIT


# ---- our own and raminmh ------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["ulnn", "ncps.torch"])
def test_our_own_wired_networks(dialect: str) -> None:
    plan = wiring.auto_ncp(6, 19, 4)
    own = dialect == "ulnn"
    model = cfc_cell.wired(plan, proj_size=2, dialect="ulnn" if own else "ncps")
    with torch.no_grad():  # what the mask hides must not count
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter) * parameter.requires_grad)
    network = of(model, {"dialect": dialect}).network
    assert difference(network, model) < LIMIT
    layer = network.layers[0]
    assert isinstance(layer, CfCLayer)
    full = layer.heads["time_b"].weight.size
    assert (np.count_nonzero(layer.heads["time_b"].weight) < full) == own
    assert network.dialect == dialect


@pytest.mark.parametrize(
    "recipe",
    [
        ModelRecipe(cell="cfc", layers=2, hidden=8, mode="pure"),
        ModelRecipe(cell="cfc", layers=2, hidden=8, mode="no_gate", activation="relu"),
        ModelRecipe(cell="mixed", hidden=8),
        ModelRecipe(cell="wired", wiring=WiringRecipe(units=19, outputs=4)),
        ModelRecipe(cell="ltc", wiring=WiringRecipe(units=19, outputs=4)),
        ModelRecipe(cell="lstm", hidden=8, layers=2, dt_input=True),
        ModelRecipe(cell="gru", hidden=8, dt_input=True),
    ],
    ids=lambda recipe: recipe.cell,
)
def test_what_we_train_is_read_without_guesses(recipe: ModelRecipe) -> None:
    model = networks.build(recipe, 3, 2)
    hyper = {k: v for k, v in networks.describe(recipe, 3, 2).items() if v is not None}
    loaded = of(model, hyper | {"time_scale": 1.0})
    assert difference(loaded.network, model) < LIMIT
    assert loaded.assumed == ()


def test_raminmh_torch_has_the_equations_of_ncps() -> None:
    model = CfC(3, 8, proj_size=2, activation="lecun_tanh", backbone_units=6)
    network = of(model, {"activation": "lecun"}, dialect="raminmh.torch").network
    assert difference(network, model) < LIMIT
    assert network.dialect == "raminmh.torch"


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_raminmh_tf_from_named_arrays(mode: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    inputs, units, hidden = 3, 7, 5
    shapes = {"backbone.0": (inputs + hidden, units), "backbone.1": (units, units)}
    heads = ("ff1",) if mode == "pure" else ("ff1", "ff2", "time_a", "time_b")
    shapes |= dict.fromkeys(heads, (units, hidden)) | {"fc": (hidden, 2)}
    w = {f"{k}.kernel": 0.5 * rng.normal(size=s) for k, s in shapes.items()}
    w |= {f"{k}.bias": 0.5 * rng.normal(size=s[1]) for k, s in shapes.items()}
    if mode == "pure":
        w |= {k: 0.5 * rng.normal(size=(1, hidden)) for k in ("w_tau", "A")}
    np.savez(tmp_path / "net.npz", **w)  # type: ignore[arg-type]

    def lecun(z: Any) -> Any:
        return 1.7159 * np.tanh(0.666 * z)

    def dense(name: str, v: Any) -> Any:
        return v @ w[f"{name}.kernel"] + w[f"{name}.bias"]

    x, dt = samples(inputs)
    h, expected = np.zeros((1, hidden)), []
    for t in range(x.shape[1]):
        z = np.concatenate([x[:, t], h], 1)
        for k in (0, 1):
            z = np.maximum(dense(f"backbone.{k}", z), 0)
        if mode == "pure":
            f = dense("ff1", z)
            h = -w["A"] * np.exp(-dt[:, t] * (np.abs(w["w_tau"]) + np.abs(f))) * f + w["A"]
        else:
            f1, f2 = lecun(dense("ff1", z)), lecun(dense("ff2", z))
            gate = 1 / (1 + np.exp(dense("time_a", z) * dt[:, t] - dense("time_b", z)))
            h = f1 + gate * f2 if mode == "no_gate" else f1 * (1 - gate) + gate * f2
        expected.append(dense("fc", h))
    loaded = checkpoint.read_checkpoint(tmp_path / "net.npz", mode, "relu", "raminmh.tf")
    assert np.abs(loaded.network.run(x, dt).y - np.stack(expected, 1)).max() < 1e-9


# ---- hyper-parameters ---------------------------------------------------------------------------


def test_a_toml_beside_the_file_says_what_weights_do_not(tmp_path: Path) -> None:
    model = CfC(2, 5, mode="no_gate", activation="relu", backbone_units=4)
    save_file(model.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "net.toml").write_text(
        'mode = "no_gate"\nactivation = "relu"\nmean = [1.0, 2.0]\nstd = [0.5, 4.0]\n'
        'time_scale = 0.25\nlabels = ["a", "b", "c", "d", "e"]\nreadout = "last"\n'
        'order = ["rnn"]\n'
    )
    loaded = checkpoint.read_checkpoint(tmp_path / "net.safetensors")
    network = loaded.network
    assert loaded.assumed == ()
    assert network.meta == {"labels": list("abcde"), "readout": "last"}
    x, dt = samples(2)
    with torch.no_grad():
        inputs = (torch.tensor(x) - torch.tensor([1.0, 2.0])) / torch.tensor([0.5, 4.0])
        expected, _ = model(inputs, timespans=torch.tensor(dt) / 0.25)
    assert np.abs(network.run(x, dt).y - expected.numpy()).max() < LIMIT


def test_what_is_assumed_is_said() -> None:
    lines = of(CfC(3, 8)).assumed
    assert [line.split(" (")[0] for line in lines] == [
        "activation lecun_tanh",
        "mode default",
        "nothing after rnn, nothing before rnn",
        "inputs as they are, times in seconds",
    ]
    lines = of(LTC(3, 8), {"time_scale": 2.0, "order": ["rnn"]}).assumed
    assert [line.split(" (")[0] for line in lines] == [
        "implicit_param_constraints true",
        "ode_unfolds 6",
    ]
    assert of(nn.GRU(3, 8), {"time_scale": 2.0, "order": ["rnn"]}).assumed == ()


def test_the_first_layer_may_see_dt() -> None:
    network = of(nn.LSTM(4, 6, 2), {"dt_input": True}).network
    first, second = network.layers
    assert isinstance(first, Lstm)
    assert isinstance(second, Lstm)
    assert (first.dt_input, second.dt_input, network.input_size) == (True, False, 3)
    assert isinstance(of(nn.GRU(4, 6), {"dt_input": False}).network.layers[0], Gru)


# ---- refusals -----------------------------------------------------------------------------------


def refuse(model: nn.Module | Weights, match: str, hyper: Any = None, **given: Any) -> None:
    weights = arrays(model.state_dict()) if isinstance(model, nn.Module) else model
    with pytest.raises(UlnnError, match=match) as caught:
        checkpoint.from_weights(weights, hyper or {}, name="net.pt", **given)
    text = str(caught.value)
    assert text.startswith("net.pt: ")
    assert "\n" not in text


def test_cells_that_cannot_be_expressed_are_refused() -> None:
    refuse(CfC(3, AutoNCP(9, 2), mixed_memory=True), "mixed memory with a wiring of 3 layers")
    refuse(LTC(3, 8, mixed_memory=True), "an LTC with mixed memory")
    refuse(nn.LSTM(3, 8, bidirectional=True), "weight_ih_l0_reverse: .* both directions")
    refuse(nn.LSTM(3, 8, proj_size=2), "weight_hr_l0: .* a projection")
    refuse(nn.RNN(3, 8), r"has shape \(8, 8\); expected an nn.LSTM")
    refuse(LTC(3, 8), "an LTC of raminmh/CfC", dialect="raminmh.torch")
    refuse({"mm.input_kernel": np.zeros((3, 8))}, "its LSTM sees", dialect="ncps.keras")


def test_other_models_are_refused_with_what_was_found() -> None:
    refuse({}, "found nothing; expected a CfC or LTC")
    refuse(nn.Linear(3, 2), "found bias, weight; expected a CfC or LTC of ncps")
    refuse(nn.Sequential(nn.Conv1d(3, 4, 2)), r"found 0.bias, 0.weight; expected")
    norm = nn.ModuleList([CfC(3, 4), nn.BatchNorm1d(4)])
    refuse(norm, "unknown tensor 1.bias of a BatchNorm; fold it")
    refuse(
        nn.ModuleDict({"a": CfC(3, 4), "b": CfC(4, 4)}),
        "cells a and b have no order: give it as --order a,b",
    )
    refuse(nn.ModuleList([CfC(3, 4), CfC(3, 4)]), "0 and 1 have 3 inputs each")
    heads = nn.ModuleDict({"rnn": CfC(3, 4), "fc1": nn.Linear(4, 4), "fc2": nn.Linear(4, 2)})
    refuse(heads, "dense layers fc1 and fc2 follow each other")


def test_damaged_layers_are_refused() -> None:
    weights = arrays(CfC(3, 4, backbone_units=5).state_dict())
    for key, value, match in (
        ("rnn_cell.ff2.bias", None, "tensor rnn_cell.ff2.bias is missing; found"),
        ("rnn_cell.ff2.bias", np.zeros(3), r"ff2.bias has shape \(3,\), expected \(4,\)"),
        ("rnn_cell.time_a.weight", np.zeros((4, 6)), r"expected \(4, 5\)"),
        ("rnn_cell.ff1.bias", np.array([0, np.nan, 0, 0]), "ff1.bias holds values that are not"),
        ("rnn_cell.backbone.0.weight", np.zeros((5, 4)), "has 4 columns, expected inputs and 4"),
        ("rnn_cell.sparsity_mask", np.ones((4, 5)), "sparsity_mask beside a backbone"),
        ("rnn_cell.what", np.ones(3), "unknown tensor rnn_cell.what"),
    ):
        changed = {k: v for k, v in weights.items() if k != key}
        refuse(changed if value is None else changed | {key: value}, match)
    ltc = LTC(3, 8, implicit_param_constraints=False)
    with torch.no_grad():
        ltc.rnn_cell.w[0, 0] = -0.25
    refuse(ltc, "rnn_cell.w has negative values .*apply_weight_constraints",
           {"implicit_param_constraints": False})  # fmt: skip


def test_what_the_user_says_is_checked() -> None:
    model = CfC(3, 4)
    refuse(model, "mode is 'fast', expected one of default, no_gate, pure", mode="fast")
    refuse(model, "activation is 'sin', expected one of", activation="sin")
    refuse(model, "dialect is 'ncps', expected one of ncps.torch", dialect="ncps")
    refuse(model, "mode pure, but there is no rnn_cell.w_tau", mode="pure")
    refuse(
        CfC(3, 4, mode="pure"), "mode no_gate, but rnn_cell.w_tau is of mode pure", mode="no_gate"
    )
    refuse(model, "dialect torch, but found fc.*|dialect torch, but found rnn", dialect="torch")
    refuse(model, "found rnn_cell.backbone.0.*; expected kernels", dialect="raminmh.tf")
    refuse({"ff1.kernel": np.zeros((4, 2))}, "give --dialect ncps.keras or raminmh.tf")
    refuse(model, "mean has 2 entries, expected 3", {"mean": [1, 2], "std": [1, 2]})
    refuse(model, "std is 0.0, expected a number above 0", {"mean": [1, 2, 3], "std": [1, 0, 1]})
    refuse(model, "time_scale is 'a', expected a number", {"time_scale": "a"})
    refuse(model, "dt_input = true, but the first layer is a CfC", {"dt_input": True})
    refuse(nn.GRU(1, 4), "dt_input = true and 1 input column", {"dt_input": True})
    refuse(LTC(3, 4), "ode_unfolds is 0, expected 1 to ", {"ode_unfolds": 0})


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        ("no.pt", None, "no such file; expected a checkpoint"),
        ("net.pt", b"nothing", r"it is text \('nothing'\); download or save the file itself"),
        ("net.pt", b"", "the file is empty: copy it again"),
        ("net.pt", b"\0\1\2 nothing", "it is damaged, or no file of torch.save"),
        ("net.pt", b"PK\3\4 nothing", "it is no archive, or its end is cut off: copy it again"),
        (
            "net.pt",
            b"\n <!DOCTYPE html><html>",
            "it is a page of HTML, .* download the file itself",
        ),
        (
            "net.npz",
            b"version https://git-lfs.github.com/spec/v1\noid",
            "Git LFS; run git lfs pull",
        ),
        ("net.keras", b"\x1f\x8b\x08\0", "it is packed by gzip; unpack it first"),
        ("net.pt", b"../.git/annex/objects/x", "git-annex; run git annex get"),
        ("net.weights.h5", b"\x89HDF\r\n\x1a\n nothing", "cannot be read"),
        ("net.ulnn", b"ULNN", "an integer model; expected the checkpoint"),
    ],
)
def test_files_that_are_no_checkpoint(
    file: str, content: bytes | None, match: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UlnnError, match=match) as caught:
        checkpoint.read_checkpoint(tmp_path / file)
    assert "\n" not in str(caught.value)


def test_pickled_models_are_not_run(tmp_path: Path) -> None:
    torch.save(CfC(3, 4), tmp_path / "net.pt")
    with pytest.raises(
        UlnnError, match=r"other objects than tensors \(ncps.torch.cfc.CfC\), such"
    ):
        checkpoint.read_checkpoint(tmp_path / "net.pt")
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        for member in ("net/data.pkl", "net/constants.pkl", "net/code/__torch__.py"):
            archive.writestr(member, b"")
    with pytest.raises(UlnnError, match="it is TorchScript; save the weights"):
        checkpoint.read_checkpoint(tmp_path / "net.pt")
    with pytest.raises(UlnnError, match="it is a folder"):
        checkpoint.read_checkpoint(tmp_path)
