"""An import proves itself against the original, or names where it differs and what explains it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ncps.torch import LTC
from torch import nn
from typer.testing import CliRunner

from support.originals import Pairs, Row, arrays, cfc, pairs, samples, seeded
from ulnn_host.base.errors import UlnnAssumption, UlnnError
from ulnn_host.cli.main import app
from ulnn_host.importers import check, checkpoint, torch_module
from ulnn_host.importers.checkpoint import Loaded

PLAIN = {"mode": "default", "activation": "lecun_tanh", "time_scale": 1.0}


@pytest.fixture(autouse=True)
def _seed() -> None:
    seeded()


def of(model: nn.Module, **hyper: Any) -> Loaded:
    return checkpoint.from_weights(arrays(model.state_dict()), PLAIN | hyper)


def refusal(loaded: Loaded, made: Pairs) -> str:
    with pytest.raises(UlnnError) as caught:
        check.check(loaded, made)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- pairs --------------------------------------------------------------------------------------


def test_the_error_is_measured() -> None:
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    made = pairs(model)
    done = check.check(of(model), made)
    ours = of(model).network.run(made["x"], made["dt"]).y
    assert done.max_error == np.abs(ours - made["y"]).max()
    assert done.max_error < 1e-6
    assert done.steps == 40
    assert str(done).startswith("against the original over 40 steps: max error ")
    assert "dt is always" not in str(done)


def test_the_first_difference_is_named() -> None:
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    made = pairs(model)
    made["y"][0, 17:] += 0.01
    text = refusal(of(model), made)
    assert "differs from the original from step 17 on, max error 0.01 of outputs up to" in text
    assert "nothing usual explains it" in text
    two = {key: np.concatenate([pairs(model)[key], made[key]]) for key in made}
    assert "from step 17 of sequence 1 on" in refusal(of(model), two)


def test_a_network_of_any_source_can_be_checked() -> None:
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    made = pairs(model)
    network = of(model).network
    assert check.check_network(network, made["x"], made["dt"], made["y"]).max_error < 1e-6
    sigmoid = 1 / (1 + np.exp(-made["y"]))
    with pytest.raises(UlnnError, match="it fits with sigmoid"):
        check.check_network(network, made["x"], made["dt"], sigmoid)


def test_late_differences_are_not_explained() -> None:
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    made = samples(steps=700)
    with torch.no_grad():
        made["y"] = model(torch.tensor(made["x"]), torch.tensor(made["dt"])).numpy()
    made["y"][0, 600:] += 0.01
    text = refusal(of(model), made)
    assert "from step 600 on" in text
    assert "nothing usual explains it" in text


def test_rounding_is_allowed_and_no_more() -> None:
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    made = pairs(model)
    rng = np.random.default_rng(0)
    near = made["y"] * (1 + 1e-6 * rng.normal(size=made["y"].shape))
    assert check.check(of(model), made | {"y": near}).max_error < 1e-5
    assert "differs" in refusal(of(model), made | {"y": made["y"] * 1.001})


def test_networks_in_which_rounding_grows_are_not_refused() -> None:
    model = Row(rnn=cfc(3, 24, backbone_units=32), fc=nn.Linear(24, 2))
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(4.0)
    done = check.check(of(model), pairs(model))
    assert done.max_error > 1e-6


@pytest.mark.parametrize("kind", ["flat", "batch", "last", "padded", "one"])
def test_shapes_of_pairs(kind: str) -> None:
    outputs = 1 if kind == "one" else 2
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, outputs))
    one, other = pairs(model), {k: v[:, ::-1] for k, v in samples(seed=5).items()}
    with torch.no_grad():
        y = model(*(torch.tensor(other[k].copy()) for k in ("x", "dt"))).numpy()
    made = {k: np.concatenate([one[k], (other | {"y": y})[k]]) for k in one}
    if kind == "flat":
        made = {k: v[0] for k, v in one.items()}
    elif kind == "last":
        made["y"] = made["y"][:, -1]
    elif kind == "one":
        made["y"] = made["y"][..., 0]
    elif kind == "padded":
        for values in made.values():
            values[1, 25:] = np.nan
        made["length"] = np.array([40, 25])
    steps = {"flat": 40, "last": 2, "padded": 65}.get(kind, 80)
    done = check.check(of(model), made)
    assert done.steps == steps
    assert done.max_error < 1e-6
    broken = made | {"y": made["y"] + 0.1}
    assert "differs" in refusal(of(model), broken)


def test_pairs_that_prove_nothing_or_do_not_fit() -> None:
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    made = pairs(model)
    loaded = of(model)
    for change, match in (
        ({"y": made["y"][:, :20]}, r"y has shape (1, 20, 2), expected (1, 40, 2), or (1, 2)"),
        ({"x": made["x"][..., :2]}, "x has shape (1, 40, 2), expected (N, steps, 3)"),
        ({"dt": made["dt"][:, 1:]}, "dt has shape (1, 39), expected (1, 40)"),
        ({"y": np.zeros_like(made["y"])}, "y is the same at every step and proves nothing"),
        ({"y": made["y"] * np.nan}, "expected finite numbers, and dt above 0"),
        ({"dt": -made["dt"]}, "expected finite numbers, and dt above 0"),
        ({"length": np.array([41])}, "length: expected 1 numbers from 1 to 40"),
        ({"y": made["y"].astype(str)}, "y holds <U"),
    ):
        assert match in refusal(loaded, made | change)
    assert "dt is missing, found x, y" in refusal(loaded, {k: made[k] for k in ("x", "y")})
    constant = pairs(model) | {"dt": np.ones((1, 40), np.float32)}
    with torch.no_grad():
        constant["y"] = model(torch.tensor(constant["x"]), torch.ones(1, 40)).numpy()
    note = "; dt is always 1 s, so other times are not shown"
    assert str(check.check(loaded, constant)).endswith(note)
    gru = Row(rnn=nn.GRU(3, 8, batch_first=True), fc=nn.Linear(8, 2))
    with torch.no_grad():
        constant["y"] = gru(torch.tensor(constant["x"]), torch.ones(1, 40)).numpy()
    assert "always" not in str(check.check(of(gru, mode=None, activation=None), constant))


def test_scales_are_those_of_the_toml() -> None:
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    raw = samples()
    mean, std = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.5, 4.0])
    inputs = ((raw["x"] - mean) / std).astype(np.float32)
    with torch.no_grad():
        y = model(torch.tensor(inputs), torch.tensor(raw["dt"] / 0.02)).numpy()
    scales = {"mean": mean.tolist(), "std": std.tolist(), "time_scale": 0.02}
    loaded = of(model, **scales)
    assert check.check(loaded, raw | {"y": y}).max_error < 1e-5
    assert "it fits without mean and std" in refusal(loaded, {**raw, "x": inputs, "y": y})


# ---- what explains a difference -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("between", "end", "option"),
    [
        (nn.ReLU(), None, "it fits with relu: give --order rnn,relu,fc"),
        (nn.Tanh(), None, "it fits with tanh: give --order rnn,tanh,fc"),
        (None, nn.Sigmoid(), "it fits with sigmoid: give --order rnn,fc,sigmoid"),
        (None, nn.Softmax(-1), "it fits with softmax: give --order rnn,fc,softmax"),
        (None, nn.ReLU(), "it fits with relu: give --order rnn,fc,relu"),
        (nn.SiLU(), nn.Sigmoid(), "it fits with silu, sigmoid: give --order rnn,silu,fc,sigmoid"),
    ],
)
def test_missing_functions_are_found(
    between: nn.Module | None, end: nn.Module | None, option: str
) -> None:
    parts: dict[str, nn.Module] = {"rnn": cfc(3, 8)}
    parts |= {"mid": between} if between else {}
    parts |= {"fc": nn.Linear(8, 2)}
    parts |= {"end": end} if end else {}
    model = Row(**parts)
    made = pairs(model)
    loaded = of(model)
    text = refusal(loaded, made)
    assert text.endswith(option)
    order = option.rpartition(" ")[2].split(",")
    assert check.check(of(model, order=order), made).max_error < 1e-5


def test_other_modes_activations_and_times_are_found() -> None:
    model = Row(rnn=cfc(3, 8, mode="no_gate", activation="silu"), fc=nn.Linear(8, 2))
    made = pairs(model)
    assert "it fits with --mode no_gate" in refusal(of(model, activation="silu"), made)
    assert "it fits with --mode no_gate --activation silu" in refusal(of(model), made)
    good = {"mode": "no_gate", "activation": "silu"}
    ms = made | {"dt": made["dt"] * 1e-3}
    assert "it fits with time_scale = 0.001: the original had dt in" in refusal(
        of(model, **good), ms
    )
    assert "it fits without time_scale" in refusal(of(model, **good, time_scale=0.5), made)
    with torch.no_grad():
        y = model(torch.tensor(made["x"]), torch.ones(1, 40)).numpy()
    assert "it fits when every dt is 1" in refusal(of(model, **good), made | {"y": y})
    ltc = Row(rnn=LTC(3, 6, ode_unfolds=4))
    hyper = {"mode": None, "activation": None, "implicit_param_constraints": True}
    assert "it fits with ode_unfolds = 4" in refusal(of(ltc, **hyper, ode_unfolds=6), pairs(ltc))


# ---- a module as the original -------------------------------------------------------------------


class Hidden(nn.Module):
    """Functions that no module shows."""

    def __init__(self, between: Any = None, after: Any = None) -> None:
        super().__init__()
        self.rnn = cfc(3, 8, proj_size=4)
        self.fc = nn.Linear(4, 2)
        self.between, self.after = between, after

    def forward(self, x: torch.Tensor, timespans: torch.Tensor) -> torch.Tensor:
        y, _ = self.rnn(x, timespans=timespans)
        y = self.fc(self.between(y) if self.between else y)
        return self.after(y) if self.after else y


def test_a_module_says_its_order() -> None:
    head = nn.Sequential(
        nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2), nn.Sigmoid()
    )
    model = Row(mix=nn.Linear(3, 3), rnn=cfc(3, 3, proj_size=4), head=head)
    made = samples()
    loaded, done = torch_module.read_module(model, made["x"], made["dt"], PLAIN)
    assert done.max_error < 1e-5
    assert [part.name for part in loaded.parts] == ["mix", "rnn", "rnn.fc", "head.0", "head.3"]
    assert loaded.end == "sigmoid"
    flat, _ = torch_module.read_module(model, made["x"][0], made["dt"][0], PLAIN)
    assert flat.network.output_size == 2
    averaged = torch.optim.swa_utils.AveragedModel(model)
    assert torch_module.read_module(averaged, made["x"], made["dt"], PLAIN)[1].max_error < 1e-5
    assert model.training


@pytest.mark.parametrize(
    ("between", "after", "match"),
    [
        (
            torch.relu,
            None,
            "between rnn.fc and fc, from step 0 on: .*give --order rnn,rnn.fc,relu,fc",
        ),
        (lambda y: y + 1, None, "between rnn.fc and fc, from step 0 on: .*nothing usual explains"),
        (None, torch.sigmoid, "after fc: .*give --order rnn,rnn.fc,fc,sigmoid"),
        (None, lambda y: 2 * y, "after fc: .*nothing usual explains"),
    ],
)
def test_a_module_that_hides_functions(between: Any, after: Any, match: str) -> None:
    made = samples()
    with pytest.raises(UlnnError, match=match):
        torch_module.read_module(Hidden(between, after), made["x"], made["dt"], PLAIN)


def test_a_module_that_computes_something_else() -> None:
    made = samples()
    model = Row(rnn=cfc(3, 8, mode="no_gate"), fc=nn.Linear(8, 2))
    with pytest.raises(
        UlnnError, match=r"^in rnn, read as CfC, from step [0-3] on: .*--mode no_gate"
    ):
        torch_module.check_module(of(model), model, made["x"], made["dt"])
    with pytest.raises(UlnnError, match="mode default, but the file says no_gate"):
        torch_module.read_module(model, made["x"], made["dt"], PLAIN)
    hyper = PLAIN | {"mode": "no_gate"}
    assert torch_module.read_module(model, made["x"], made["dt"], hyper)[1].max_error < 1e-5

    class Scaled(Hidden):
        def forward(self, x: torch.Tensor, timespans: torch.Tensor) -> torch.Tensor:
            return super().forward(x / 9.81, timespans)

    with pytest.raises(UlnnError, match=r"^before rnn, from step 0 on: the import differs"):
        torch_module.read_module(Scaled(), made["x"], made["dt"], PLAIN)


def test_times_as_an_input_and_calls_of_ones_own() -> None:
    made = samples()
    model = Row(rnn=nn.LSTM(4, 8, batch_first=True), fc=nn.Linear(8, 2))
    hyper = {"dt_input": True, "time_scale": 0.5}

    def call(module: nn.Module, x: torch.Tensor, dt: torch.Tensor) -> torch.Tensor:
        return module(torch.cat([x, dt[..., None]], -1), dt)  # type: ignore[no-any-return]

    _, done = torch_module.read_module(model, made["x"], made["dt"], hyper, call=call)
    assert done.max_error < 1e-5
    plain = nn.LSTM(4, 8, batch_first=True)
    assert torch_module.read_module(plain, made["x"], made["dt"], hyper)[1].max_error < 1e-5


# ---- the command --------------------------------------------------------------------------------


def written(model: nn.Module, folder: Path) -> list[str]:
    made = pairs(model)
    torch.save(model.state_dict(), folder / "net.pt")
    (folder / "net.toml").write_text(
        'mode = "default"\nactivation = "lecun_tanh"\ntime_scale = 1.0\n'
    )
    np.savez(folder / "pairs.npz", **{k: v[0] for k, v in made.items()})  # type: ignore[arg-type]
    np.savez(folder / "calib.npz", x=made["x"], dt=made["dt"])
    return [
        "convert", str(folder / "net.pt"), "--calib", str(folder / "calib.npz"),
        "-o", str(folder / "net.ulnn"), "--check", str(folder / "pairs.npz"),
    ]  # fmt: skip


def test_the_report_begins_with_the_proof(tmp_path: Path) -> None:
    arguments = written(Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2)), tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("against the original over 40 steps: max error ")
    assert "assumed" not in done.stderr
    as_json = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert as_json["original"]["steps"] == 40
    assert as_json["original"]["max_error"] < 1e-6
    with pytest.warns(UlnnAssumption, match="nothing between rnn and fc, nothing after fc"):
        without = CliRunner().invoke(app, arguments[:-2])
    assert "original" not in without.stdout


def test_a_difference_ends_the_conversion(tmp_path: Path) -> None:
    model = Row(rnn=cfc(3, 8), act=nn.ReLU(), fc=nn.Linear(8, 2))
    arguments = written(model, tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, UlnnError)
    assert str(done.exception).startswith(
        "pairs.npz: the import differs from the original from st"
    )
    assert str(done.exception).endswith("give --order rnn,relu,fc")
    assert not (tmp_path / "net.ulnn").exists()
    done = CliRunner().invoke(app, [*arguments, "--order", "rnn, relu, fc"])
    assert done.stdout.startswith("against the original over 40 steps")


def test_pairs_that_cannot_be_read(tmp_path: Path) -> None:
    loaded = of(Row(rnn=cfc(3, 8)))
    for content, match in ((None, "no such file"), (b"text", "not a readable .npz file")):
        if content:
            (tmp_path / "pairs.npz").write_bytes(content)
        with pytest.raises(UlnnError, match=match):
            check.check_file(loaded, tmp_path / "pairs.npz")
