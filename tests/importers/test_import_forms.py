"""Forms in which others save their weights: each read with the right values, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.parametrize import register_parametrization

from support.originals import Row, arrays, cfc, pairs, seeded
from ulnn_host.base.errors import UlnnError
from ulnn_host.importers import check, checkpoint
from ulnn_host.importers.checkpoint import Loaded

HYPER = 'mode = "default"\nactivation = "lecun_tanh"\ntime_scale = 1.0\n'


@pytest.fixture
def model() -> Row:
    seeded()
    return Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))


def saved(content: Any, path: Path, **given: Any) -> Loaded:
    torch.save(content, path / "net.pt")
    (path / "net.toml").write_text(HYPER)
    return checkpoint.read_checkpoint(path / "net.pt", **given)


def agrees(loaded: Loaded, model: nn.Module) -> None:
    assert check.check(loaded, pairs(model)).max_error < 1e-5


def refusal(content: Any, path: Path, **given: Any) -> str:
    with pytest.raises(UlnnError) as caught:
        saved(content, path, **given)
    text = str(caught.value)
    assert text.startswith("net.pt: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net", "ema", "any"])
def test_a_state_dict_inside_a_checkpoint(key: str, model: Row, tmp_path: Path) -> None:
    optimizer = torch.optim.Adam(model.parameters())
    model(*(torch.zeros(s) for s in ((1, 4, 3), (1, 4)))).sum().backward()
    optimizer.step()
    content = {"epoch": 3, key: model.state_dict(), "optimizer": optimizer.state_dict()}
    agrees(saved(content | {"loss": 0.5, "notes": ["a"]}, tmp_path), model)
    agrees(saved({"checkpoint": content}, tmp_path), model)
    agrees(saved(dict(model.state_dict()) | {"epoch": 3}, tmp_path), model)


def test_which_of_several_state_dicts_is_said(model: Row, tmp_path: Path) -> None:
    other = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    content = {"model": model.state_dict(), "ema": other.state_dict()}
    assert (
        "it holds several state dicts: ema, model; say which, such as --weights model"
        in refusal(content, tmp_path)
    )
    agrees(saved(content, tmp_path, weights="ema"), other)
    agrees(saved(content, tmp_path, weights="model"), model)
    assert "it holds several" in refusal(content, tmp_path, weights="best")
    both = {f"{k}.{n}": v for k, state in content.items() for n, v in state.items()}
    both |= {"initted": torch.tensor(True), "step": torch.tensor(7)}  # as of ema-pytorch
    assert "cells ema.rnn and model.rnn have no order" in refusal(both, tmp_path)
    agrees(saved(both, tmp_path, weights="ema"), other)
    assert "there are no weights best; found" in refusal(both, tmp_path, weights="best")


def test_averaged_and_wrapped_models(model: Row, tmp_path: Path) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    assert "n_averaged" in averaged.state_dict()
    loaded = saved(averaged.state_dict(), tmp_path)
    agrees(loaded, model)
    assert loaded.assumed[0].startswith("nothing between rnn and fc,")
    agrees(
        saved({f"_orig_mod.module.{k}": v for k, v in model.state_dict().items()}, tmp_path), model
    )


def test_pruned_weights_are_multiplied(model: Row, tmp_path: Path) -> None:
    prune.l1_unstructured(model.fc, "weight", 0.4)
    prune.random_unstructured(model.get_submodule("rnn.rnn_cell.ff1"), "weight", 0.5)
    loaded = saved(model.state_dict(), tmp_path)
    agrees(loaded, model)
    dense = loaded.network.layers[-1]
    assert (dense.linear.weight == 0).sum() == round(0.4 * 16)  # type: ignore[union-attr]


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("old", [False, True])
def test_weight_norm(dim: int | None, old: bool, model: Row, tmp_path: Path) -> None:
    if dim is None and not old:
        parametrizations.weight_norm(model.fc, dim=None)  # type: ignore[arg-type]
    elif old:
        nn.utils.weight_norm(model.fc, dim=dim)  # type: ignore[arg-type]
    else:
        parametrizations.weight_norm(model.fc, dim=dim)  # type: ignore[arg-type]
    with torch.no_grad():  # away from where the norm is that of the weight
        for name, value in model.fc.named_parameters():
            if name.endswith(("original0", "weight_g")):
                value.mul_(1.7)
    agrees(saved(model.state_dict(), tmp_path), model)


@pytest.mark.parametrize("old", [False, True])
def test_spectral_norm(old: bool, model: Row, tmp_path: Path) -> None:
    norm = nn.utils.spectral_norm if old else parametrizations.spectral_norm
    norm(model.fc)
    model.train()
    for _ in range(3):
        model(torch.randn(1, 4, 3), torch.ones(1, 4))
    agrees(saved(model.eval().state_dict(), tmp_path), model)


def test_normed_recurrent_weights(tmp_path: Path) -> None:
    seeded()
    rnn = nn.GRU(3, 8, batch_first=True)
    prune.l1_unstructured(rnn, "weight_hh_l0", 0.5)
    model = Row(rnn=rnn, fc=nn.Linear(8, 2))
    torch.save(model.state_dict(), tmp_path / "net.pt")
    agrees(checkpoint.read_checkpoint(tmp_path / "net.pt"), model)


def test_unknown_parametrizations_have_a_way_out(model: Row, tmp_path: Path) -> None:
    parametrizations.orthogonal(model.fc)
    assert (
        "fc.weight has a parametrization (0.base, original); call "
        "torch.nn.utils.parametrize.remove_parametrizations(module, 'weight') before saving"
    ) in refusal(model.state_dict(), tmp_path)

    class Double(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    plain = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    register_parametrization(plain.fc, "weight", Double())
    assert "fc.weight has a parametrization (original)" in refusal(plain.state_dict(), tmp_path)


def test_parts_of_a_norm_that_do_not_fit(model: Row, tmp_path: Path) -> None:
    state = dict(model.state_dict())
    weight = state.pop("fc.weight")
    for g in (torch.ones(3, 1), torch.ones(2), torch.ones(2, 8, 1)):
        assert "fc.weight is normed, but its parts of shapes" in refusal(
            state | {"fc.weight_g": g, "fc.weight_v": weight}, tmp_path
        )
    parts = {"fc.weight_orig": weight, "fc.weight_u": torch.ones(3), "fc.weight_v": torch.ones(8)}
    assert "fc.weight is normed" in refusal(state | parts, tmp_path)


@pytest.mark.parametrize(
    ("dtype", "match"),
    [
        (torch.int8, r"fc.weight holds int8 \(quantised\? then its scale is missing\), expected"),
        (torch.int64, "fc.weight holds int64"),
        (torch.uint8, "fc.weight holds uint8"),
        (torch.bool, "fc.weight holds bool"),
        (torch.complex64, "fc.weight holds complex64, expected one of float16, bfloat16"),
        (torch.float8_e4m3fn, "fc.weight holds float8_e4m3fn"),
    ],
)
def test_numbers_that_are_no_weights(
    dtype: torch.dtype, match: str, model: Row, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    state = dict(model.state_dict())
    state["fc.weight"] = state["fc.weight"].to(dtype)
    with pytest.raises(UlnnError, match=match):
        saved(state, tmp_path)
    assert not recwarn.list
    if dtype not in (torch.float8_e4m3fn,):
        with pytest.raises(UlnnError, match=match):
            checkpoint.from_weights(arrays(state), {})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_every_width(dtype: torch.dtype, model: Row, tmp_path: Path) -> None:
    loaded = saved(model.to(dtype).state_dict(), tmp_path)
    agrees(loaded, model.float())


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e30, -2e6])
def test_absurd_weights(value: float, model: Row, tmp_path: Path) -> None:
    for key in ("fc.weight", "fc.bias", "rnn.rnn_cell.backbone.0.weight"):
        state = {k: v.clone() for k, v in model.state_dict().items()}
        state[key].view(-1)[1] = value
        assert f"{key} holds " in (text := refusal(state, tmp_path))
        assert "the training has diverged" in text


def test_quantised_and_sparse_tensors(model: Row, tmp_path: Path) -> None:
    state = dict(model.state_dict())
    state["fc.weight"] = state["fc.weight"].to_sparse()
    assert "fc.weight is quantised, sparse or without data" in refusal(state, tmp_path)
    state["fc.weight"] = torch.empty(2, 8, device="meta")
    assert "fc.weight is quantised, sparse or without data" in refusal(state, tmp_path)


def test_other_contents_of_a_file_of_torch(tmp_path: Path) -> None:
    for content, match in (
        ([1, 2], "it holds a list, expected a state dict"),
        ({}, "it holds a dict that is empty"),
        ({"epoch": 3}, "it holds a dict of epoch, expected a state dict"),
        ({"loss": np.float64(1.0)}, "other objects than tensors (numpy"),
    ):
        assert match in refusal(content, tmp_path)
