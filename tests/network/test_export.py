"""ONNX graphs give the outputs of the float network."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ncps.torch import CfC
from typer.testing import CliRunner

from support.every_cell import every_cell
from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app
from ulnn_host.importers import checkpoint
from ulnn_host.network import export
from ulnn_host.network.float_network import FloatNetwork

LIMIT = 1e-5
QUICK = ("cfc-pure", "mixed", "ltc-full", "gru-1-dt")


@pytest.fixture(scope="module")
def networks() -> dict[str, FloatNetwork]:
    return dict(every_cell(gain=0.9))


@pytest.mark.parametrize("name", QUICK)
def test_graphs_of_every_kind_of_layer(
    name: str, networks: dict[str, FloatNetwork], tmp_path: Path
) -> None:
    size = networks[name].input_size
    network = dataclasses.replace(
        networks[name],
        mean=np.linspace(-3, 9, size),
        std=np.linspace(0.5, 20, size),
        time_scale=0.04,
        meta={"labels": ["a"]},
    )
    done = export.write(network, tmp_path / "net.onnx")
    assert done.difference is not None
    assert done.difference < LIMIT
    assert done.size == (tmp_path / "net.onnx").stat().st_size


def test_a_graph_with_a_fixed_dt_keeps_its_input(
    networks: dict[str, FloatNetwork], tmp_path: Path
) -> None:
    network = dataclasses.replace(networks["cfc-default"], fixed_dt=0.25)
    done = export.write(network, tmp_path / "net.onnx")
    assert done.inputs[:2] == ("x", "dt")
    assert done.difference is not None
    assert done.difference < LIMIT


@pytest.mark.slow
def test_graphs_of_all_cells(
    networks: dict[str, FloatNetwork], full: bool, tmp_path: Path
) -> None:
    if not full:
        pytest.skip("needs --full")
    for name, network in networks.items():
        done = export.write(network, tmp_path / "net.onnx")
        assert done.difference is not None
        assert done.difference < LIMIT, name


def test_names_and_shapes(networks: dict[str, FloatNetwork], tmp_path: Path) -> None:
    import onnx

    done = export.write(networks["lstm-1"], tmp_path / "net.onnx")
    assert done.difference is not None
    assert done.difference < LIMIT
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert tuple(i.name for i in graph.input) == ("x", "dt", "state_0_h", "state_0_c")
    assert tuple(o.name for o in graph.output) == ("y", "next_state_0_h", "next_state_0_c")
    assert done.inputs == tuple(i.name for i in graph.input)
    shapes = [
        [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim] for i in graph.input
    ]
    assert shapes == [["N", 3], ["N", 1], ["N", 11], ["N", 11]]
    assert export.state_names(networks["wired"]) == ("state_0_h", "state_1_h", "state_2_h")
    assert export.state_names(networks["ltc-full"]) == ("state_0_v",)


def test_the_command(tmp_path: Path) -> None:
    torch.save(CfC(3, 6, backbone_units=5).state_dict(), tmp_path / "net.pt")
    arguments = ["export", str(tmp_path / "net.pt"), "--onnx", str(tmp_path / "new" / "net.onnx")]
    result = CliRunner().invoke(app, [*arguments, "--mode", "no_gate", "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["inputs"] == ["x", "dt", "state_0_h"]
    assert facts["max_error"] < LIMIT
    assert "assumed: activation lecun_tanh" in result.stderr
    network = checkpoint.read_checkpoint(tmp_path / "net.pt", "no_gate").network
    assert export.difference(network, tmp_path / "new" / "net.onnx", seed=5) < LIMIT  # type: ignore[operator]


def test_missing_onnx_is_one_line(
    networks: dict[str, FloatNetwork], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UlnnError, match=r"ONNX needs onnx: pip install 'ulnn\[onnx\]'"):
            export.write(networks["gru-1"], tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert export.difference(networks["gru-1"], tmp_path / "net.onnx") is None
