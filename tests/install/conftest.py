"""What a release holds, installed where nothing else of ours is: `make test-install`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support.environments import ENVIRONMENTS, INTERPRETERS, STEPS, Environment, make_dist
from support.paths import ROOT
from support.random_models import Shape, random_model, with_golden
from ulnn_host.board.virtual import resolve_port


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make dist` fills."""
    out = tmp_path_factory.mktemp("release") / "dist"
    make_dist(ROOT, out)
    return out


@pytest.fixture(scope="session", params=ENVIRONMENTS, ids="-".join)
def environment(
    request: pytest.FixtureRequest, dist: Path, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    version, kind = request.param
    path = tmp_path_factory.mktemp(f"{kind}-{version}") / "env"
    subprocess.run([INTERPRETERS[version], "-m", "venv", "--without-pip", path], check=True)
    (wheel,) = dist.glob("*none-any.whl" if kind == "pure" else "*abi3*.whl")
    pip = [sys.executable, "-m", "pip", "--python", path / "bin" / "python"]
    # Not what lies in PYTHONPATH: pip would take it for installed.
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [*pip, "install", "--quiet", "--disable-pip-version-check", wheel]
    subprocess.run(command, env=outside, check=True)
    return Environment(path, kind)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder with a model (with golden steps) and data for it, and nothing else."""
    folder = tmp_path / "empty"
    folder.mkdir()
    model = random_model(7, Shape(inputs=3, hidden=12, outputs=2))
    (folder / "m.ulnn").write_bytes(with_golden(model))
    x = np.random.default_rng(0).normal(size=(STEPS, 3)).astype(np.float32)
    np.savez(folder / "d.npz", x=x, dt=np.full(STEPS, 1e-4, np.float32))
    return folder


@pytest.fixture(params=["cortex-m7", "rv32"])
def board(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Port and native architecture of a virtual board, which the checkout runs."""
    arches = {"cortex-m7": "armv7emdp", "rv32": "rv32imc"}
    with resolve_port(f"virtual:{request.param}") as port:
        yield port, arches[str(request.param)]
