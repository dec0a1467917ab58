"""Checkpoints that are damaged without a sign, and errors that name what is really wrong."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ulnn_host as uh
from support.originals import Row, cfc, seeded
from ulnn_host.base.errors import UlnnAssumption, UlnnError, UlnnWarning
from ulnn_host.importers import checkpoint, checkpoint_toml
from ulnn_host.train import recipe

HYPER = "mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\ntime_scale = 0.02\n"


def model(**between: nn.Module) -> Row:
    seeded()
    return Row(rnn=cfc(3, 8), **between, fc=nn.Linear(8, 2))


def saved(path: Path, state: dict[str, torch.Tensor], toml: str = HYPER) -> Path:
    torch.save(state, path)
    path.with_suffix(".toml").write_text(toml)
    return path


def data() -> uh.Sequences:
    return uh.Sequences(np.random.default_rng(0).normal(size=(4, 50, 3)), 0.02)


def test_a_flipped_bit_in_a_pt_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pt", model().state_dict())
    content = bytearray(path.read_bytes())
    weights = model().state_dict()["fc.weight"].numpy().tobytes()
    content[content.index(weights) + 5] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(UlnnError, match=r"it is damaged: .* does not fit its checksum; copy it"):
        checkpoint.read_checkpoint(path)


def test_a_pt_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pt", model().state_dict())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UlnnError, match="its end is cut off: copy it again"):
        checkpoint.read_checkpoint(path)


def test_a_file_of_torch_is_read_whatever_its_name_ends_in(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.safetensors", model().state_dict())
    assert zipfile.is_zipfile(path)
    assert checkpoint.read_checkpoint(path).network.output_size == 2


def test_a_folder_is_no_checkpoint() -> None:
    with pytest.raises(UlnnError, match="it is a folder"):
        checkpoint.read_checkpoint(Path())


def test_toml_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pt", model().state_dict(), "\ufeff" + HYPER)
    assert checkpoint_toml.read_hyper(path)["time_scale"] == 0.02
    (tmp_path / "r.toml").write_text('\ufeff[data]\nsource = "vowels"\n', encoding="utf-8")
    assert recipe.read_recipe(tmp_path / "r.toml").data.source == "vowels"


@pytest.mark.parametrize("cell", ["ltc", "lstm", "gru"])
def test_a_cell_that_the_weights_are_not_is_refused(cell: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pt", model().state_dict(), f'{HYPER}cell = "{cell}"\n')
    with pytest.raises(UlnnError, match=f"cell is {cell}, but the weights are of CfC"):
        checkpoint.read_checkpoint(path)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.BatchNorm1d(8), "of a BatchNorm; fold it into the Linear"),
        (nn.LayerNorm(8), "of a LayerNorm, a PReLU or a scale"),
        (nn.Conv1d(8, 8, 3), "of a convolution"),
        (nn.MultiheadAttention(8, 2), "of an attention"),
    ],
)
def test_an_unknown_layer_is_named(layer: nn.Module, text: str, tmp_path: Path) -> None:
    state = {**model().state_dict(), **{f"mid.{k}": v for k, v in layer.state_dict().items()}}
    with pytest.raises(UlnnError, match=text):
        checkpoint.read_checkpoint(saved(tmp_path / "net.pt", state))


def test_weights_that_are_too_large_are_not_blamed_on_an_input(tmp_path: Path) -> None:
    state = {key: value * 1e5 for key, value in model().state_dict().items()}
    with pytest.raises(UlnnError, match=r"layer 0 \(CfC\), whose weights are that large"):
        uh.convert(saved(tmp_path / "net.pt", state), data())


def test_a_function_that_does_nothing_on_the_data_is_said() -> None:
    with pytest.warns(UlnnAssumption, match=r"last \(Hardtanh\) does nothing, as on these data"):
        uh.convert(Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2), last=nn.Hardtanh(-9, 9)), data())


def test_steps_and_states_of_no_numbers_are_refused() -> None:
    done = uh.convert(model(), data())
    with pytest.raises(UlnnError, match="x holds NaN"):
        done.step([0, np.nan, 0], 0.02)
    for state in (np.full(8, 1e9), np.full(8, np.nan), np.zeros(3), np.full(8, 0.5)):
        with pytest.raises(UlnnError, match="expected 8 whole numbers from -32768 to 32767"):
            done.state = state


@pytest.mark.parametrize("size", [1e-3, 1e3])
def test_calibration_data_of_another_unit_are_doubted(size: float, tmp_path: Path) -> None:
    hyper = HYPER.replace("mean = [0.0", "mean = [0.1")
    path = saved(tmp_path / "net.pt", model().state_dict(), hyper)
    x = data().x * size
    with pytest.warns(UlnnWarning, match="that the network was trained with.*is their|its unit"):
        uh.convert(path, uh.Sequences(x, 0.02), calibration="percentile", bits=16)


def test_one_outlier_of_200_samples_is_outside_of_a_percentile(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pt", model().state_dict())
    good = data()
    x = good.x.copy()
    x[1, 7, 1] = -9999
    plain, spiked = (
        uh.convert(path, uh.Sequences(v, 0.02), calibration="percentile") for v in (good.x, x)
    )
    error = np.abs(plain.run(good.x, good.dt) - spiked.run(good.x, good.dt))
    assert error.max() < 0.03
