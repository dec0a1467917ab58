"""`ulnn export --c`: what compilers make of it, and what it computes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from support.c_model import ENGINE, STRICT, compile_c, example_model, export
from support.core_tools import CELL_SHAPES, SEED_SHAPES
from support.paths import NATIVE, SUPPORT
from support.random_models import Shape, random_input, random_model
from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app
from ulnn_host.engines.batch import Batch
from ulnn_host.engines.registry import run
from ulnn_host.format import c_source, container
from ulnn_host.format.model import ModelFile

C99, CPP11 = "-std=c99", "-std=c++11"
COMPILERS = {
    "gcc": ("gcc", C99),
    "g++": ("g++", CPP11),
    "clang": ("clang", C99),
    "clang++": ("clang++", CPP11),
}
LANGUAGE = {C99: "c", CPP11: "c++"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Objects of the engine, made once."""
    folder = tmp_path_factory.mktemp("engine")
    return [compile_c("gcc", [C99, "-O1"], source, folder) for source in ENGINE]


def probe(compiler: str, folder: Path, engine: Sequence[Path]) -> Path:
    """The probe with the model in the folder, both compiled strictly."""
    command, standard = COMPILERS[compiler]
    flags = [standard, "-x", LANGUAGE[standard], f"-I{folder}", f"-I{NATIVE / 'core'}"]
    objects = [
        compile_c(command, [*STRICT, *flags], folder / "model.c", folder),
        compile_c(command, [*STRICT, *flags], SUPPORT / "c_probe.c", folder),
    ]
    program = folder / "probe"
    subprocess.run([command, *objects, *engine, "-o", program], check=True)
    return program


def ask(program: Path, folder: Path, **inputs: NDArray[Any]) -> str:
    """Runs the probe over arrays; what it prints."""
    for name in ("real", "y", "x", "dt"):
        (folder / name).write_bytes(inputs[name].tobytes() if name in inputs else b"")
    done = subprocess.run([program], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode()


SHAPES = [*SEED_SHAPES, *CELL_SHAPES]


@pytest.mark.parametrize("k", range(len(SHAPES)))
def test_steps_equal_the_reference(k: int, tmp_path: Path, engine: list[Path]) -> None:
    """In the memory that the header says."""
    model = random_model(k, SHAPES[k])
    data = export(model, tmp_path)
    x, dt = random_input(k, model, 100)
    program = probe(list(COMPILERS)[k % len(COMPILERS)], tmp_path, engine)
    ask(program, tmp_path, x=x.astype(np.int16), dt=dt.astype(np.uint32))
    got = np.fromfile(tmp_path / "steps", np.int16).reshape(100, -1)
    want = run(data, Batch(x[None], dt[None], np.array([100])), "reference")
    np.testing.assert_array_equal(got, want.y[0])


def many_scales() -> ModelFile:
    """Scales of every size, a few of them special."""
    rng = np.random.default_rng(5)
    scale = (10.0 ** rng.uniform(-9, 4, 40)).astype(np.float32) * rng.choice([1, -1], 40)
    offset = rng.normal(0, 100, 40).astype(np.float32)
    scale[:6] = 1, 0, 0.5, 2.0**-149, 3e38, 1 / 3
    offset[:6] = 0, 3, 0.25, 0, -3e38, 1e-40
    model = random_model(1, Shape(inputs=40, outputs=40))
    scales = {"input_scale": scale, "input_offset": offset}
    scales |= {"output_scale": scale.copy(), "output_offset": offset.copy()}
    scales["output_scale"][4] = 1e30
    return replace(model, **{k: np.asarray(v, np.float32) for k, v in scales.items()})


def real_values(model: ModelFile) -> NDArray[np.float32]:
    """Rows of inputs: numbers next to ties and to the ends, and what is no number."""
    rng = np.random.default_rng(6)
    ends = [
        -32769,
        -32768.5,
        -32768,
        -32767.5,
        32766.5,
        32767,
        32767.5,
        32768,
        -0.5,
        0.5,
        1.5,
        2.5,
    ]
    integers = np.concatenate(
        [ends, rng.integers(-32768, 32768, 400) + 0.5, rng.normal(0, 9, 100)]
    )
    exact = integers[:, None] * model.input_scale.astype(np.float64) + model.input_offset
    values = np.clip(exact, -3e38, 3e38).astype(np.float32)
    near = [values, np.nextafter(values, np.float32(np.inf)), np.nextafter(values, -np.float32(9))]
    special = [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 0.0, -0.0, 1e-45]
    rows = np.repeat(np.array(special, np.float32)[:, None], model.input_size, axis=1)
    return np.concatenate([*near, rows])


@pytest.mark.parametrize("compiler", COMPILERS)
def test_scales_are_those_of_the_host(compiler: str, tmp_path: Path, engine: list[Path]) -> None:
    model = many_scales()
    data = export(model, tmp_path)
    model = container.read(data)
    real = real_values(model)
    y = np.repeat(np.arange(-32768, 32768, 7, dtype=np.int16)[:, None], model.output_size, axis=1)
    program = probe(compiler, tmp_path, engine)
    ask(program, tmp_path, real=real, y=y)
    got = np.fromfile(tmp_path / "quantised", np.int16).reshape(real.shape)
    np.testing.assert_array_equal(got, model.quantise_input(real))
    out = np.fromfile(tmp_path / "dequantised", np.float32).reshape(y.shape)
    np.testing.assert_array_equal(out, model.dequantise_output(y))


LABELS = [
    'say "yes"',
    "nö",
    "??=??/n??!",
    "back\\slash",
    "tab\tline\n7",
    "",
    "%s",
    "日本",
    "1\x012",
]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_labels(compiler: str, tmp_path: Path, engine: list[Path]) -> None:
    """Quotes, trigraphs, other alphabets, control characters before digits."""
    export(replace(random_model(1, Shape()), meta={"labels": LABELS}), tmp_path)
    said = ask(probe(compiler, tmp_path, engine), tmp_path)
    lines = [f"{len(label.encode())} {label}\n" for label in LABELS]
    assert said == "portable\n" + "".join(lines)


@pytest.mark.parametrize("labels", ["yes", 7, {"a": 1}, [1, 2], ["a", None], [], None])
def test_labels_of_another_kind_are_left_out(labels: object) -> None:
    model = replace(random_model(1, Shape()), meta={"labels": labels})
    made = c_source.c_source(container.write(model), model, "m", 100)
    assert "#define M_LABELS 0\n" in made.header
    assert "m_labels" not in made.header + made.source


def test_a_label_that_no_file_can_hold() -> None:
    model = replace(random_model(1, Shape()), meta={"labels": ["\ud800"]})
    assert '"\\077"' in c_source.c_source(b"", model, "m", 100).source


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("watch", "watch"),
        ("Watch v1.2", "watch_v1_2"),
        ("-net--b_", "net_b"),
        ("2024", "model_2024"),
        ("main", "model_main"),
        ("Signal", "model_signal"),
        ("ulnn", "model_ulnn"),
        ("ulnn_step", "model_ulnn_step"),
        ("Gerät", "ger_t"),
    ],
)
def test_names(name: str, want: str) -> None:
    assert c_source.identifier(name) == want


def test_a_name_without_letters() -> None:
    with pytest.raises(
        UlnnError, match="makes no C identifier: expected letters a to z or digits"
    ):
        c_source.identifier("äö.!")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_scale_that_is_no_number(bad: float) -> None:
    model = random_model(1, Shape())
    broken = replace(model, output_scale=np.array([1, bad], np.float32))
    with pytest.raises(UlnnError, match="a scale or an offset that is not a finite number"):
        c_source.c_source(b"", broken, "m", 100)


def test_the_command(tmp_path: Path) -> None:
    data = container.write(example_model())
    (tmp_path / "Watch 1.ulnn").write_bytes(data)
    words = ["export", str(tmp_path / "Watch 1.ulnn"), "--c", str(tmp_path / "src")]
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    said = json.loads(done.stdout)
    assert said["name"] == "watch_1"
    assert Path(said["header"]) == tmp_path / "src" / "watch_1.h"
    numbers = [int(word, 16) for word in re.findall(r"0x(\w+)u", Path(said["source"]).read_text())]
    assert np.array(numbers, "<u4").tobytes()[: len(data)] == data
    # Again is no harm; over somebody's own file it would be.
    CliRunner().invoke(app, words, catch_exceptions=False)
    (tmp_path / "src" / "watch_1.c").write_text("int main(void) { return 0; }\n")
    with pytest.raises(
        UlnnError, match=r"watch_1\.c was not made by ulnn export and would be over"
    ):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert "main" in (tmp_path / "src" / "watch_1.c").read_text()
