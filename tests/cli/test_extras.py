"""What commands import, what they say where a package is missing, and Windows' missing modules."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from support import without
from support.paths import ROOT
from support.random_models import Shape, random_model, with_golden
from ulnn_host.base import extras
from ulnn_host.base.errors import UlnnError

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# No base command needs these; Windows has none of the others.
OPTIONAL = ",".join([*extras.PACKAGES, "scipy", "sklearn", "pandas", "setuptools", "pytest"])
UNIX = "fcntl,termios,tty,pty"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with golden steps; data beside it, and a checkpoint of arrays."""
    made = random_model(3, Shape(inputs=2, hidden=6))
    (tmp_path / "m.ulnn").write_bytes(with_golden(made))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 2)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, dt=np.full(30, 1e-4, np.float32))
    return tmp_path / "m.ulnn"


def test_every_package_is_in_the_extra_that_is_named() -> None:
    aliases = {"elftools": "pyelftools", "paho": "paho-mqtt"}
    for package, (_, extra) in extras.PACKAGES.items():
        names = [re.split(r"[=>\[]", line)[0] for line in EXTRAS[extra]]
        assert aliases.get(package, package) in names, f"{package}: {extra} is {names}"
    everything = {"ulnn[" + ",".join(sorted(set(EXTRAS) - {"dev"})) + "]"}
    assert everything <= set(EXTRAS["dev"])


def test_need_says_the_line_to_type() -> None:
    extras.need("torch", "ulnn train")
    text = str(extras.missing("torch", "ulnn train"))
    assert text == "ulnn train needs PyTorch: pip install 'ulnn[train]'"
    with pytest.raises(ModuleNotFoundError), extras.explained("this"):
        import no_such_module_at_all  # type: ignore[import-not-found]  # noqa: F401
    with pytest.raises(UlnnError, match="this needs h5py: "), extras.explained("this"):
        raise ModuleNotFoundError("No module named 'h5py.x'", name="h5py.x")


@pytest.mark.parametrize("absent", [OPTIONAL, UNIX], ids=["no extras", "Windows"])
@pytest.mark.parametrize("engine", ["reference", "native", "pure"])
def test_info_and_run(model: Path, absent: str, engine: str) -> None:
    done = without.ulnn(absent, "info", model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"]["input_size"] == 2
    data, out = model.with_name("d.npz"), model.with_name("out.npz")
    done = without.ulnn(absent, "run", model, data, "-o", out, "--engine", engine)
    assert done.returncode == 0, done.stderr
    assert f"30 steps under {engine}" in " ".join(done.stdout.split())


BOARD_PATHS = """
import ulnn_host.board.deploy, ulnn_host.board.validate, ulnn_host.report.board_show
import ulnn_host.board.board_engine, ulnn_host.board.virtual, ulnn_host.board.bench
"""
CONVERT_PATHS = "import ulnn_host.importers.checkpoint, ulnn_host.report.conversion\n"
# pyserial and mpremote choose by the operating system, which is not to be had here.
SERIAL = """
import sys, types
for name, names in {
    "serial": "Serial SerialException", "serial.tools": "list_ports",
    "serial.tools.list_ports": "comports", "mpremote": "",
    "mpremote.transport": "TransportError", "mpremote.transport_serial": "SerialTransport",
}.items():
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update({n: type(n, (Exception,), {}) for n in names.split()})
"""


def test_what_deploy_and_validate_import() -> None:
    done = without.python(OPTIONAL, BOARD_PATHS)
    assert done.returncode == 0, done.stderr
    done = without.python(UNIX, SERIAL + BOARD_PATHS)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("absent", [OPTIONAL, UNIX], ids=["no extras", "Windows"])
def test_what_convert_imports(absent: str) -> None:
    done = without.python(absent, CONVERT_PATHS)
    assert done.returncode == 0, done.stderr


def test_the_version_needs_neither_extras_nor_a_serial_port() -> None:
    done = without.ulnn(f"{OPTIONAL},serial,mpremote", "--version")
    assert (done.returncode, done.stdout) == (0, PROJECT["version"] + "\n")


# How files begin that are read by what they hold, not by their names.
CHECKPOINTS = {"c.safetensors": b"\x02" + bytes(7) + b"{}", "c.weights.h5": b"\x89HDF\r\n\x1a\n"}
LINES = [
    (
        "torch",
        ("train", "recipe.toml", "-o", "a.safetensors"),
        "ulnn train needs PyTorch",
        "train",
    ),
    ("torch", ("tune", "recipe.toml"), "ulnn tune needs PyTorch", "train"),
    ("torch", ("compare", "recipe.toml", "b.toml"), "ulnn compare needs PyTorch", "train"),
    (
        "matplotlib",
        ("compare", "recipe.toml", "b.toml", "--picture", "c.png"),
        "ulnn compare needs Matplotlib",
        "report",
    ),
    ("matplotlib", ("info", "m.ulnn", "--graph", "m.svg"), "ulnn info needs Matplotlib", "report"),
    (
        "matplotlib",
        ("convert", "c.npz", "--calib", "d.npz", "-o", "c.ulnn", "--report", "c.svg"),
        "ulnn convert needs Matplotlib",
        "report",
    ),
    (
        "matplotlib",
        ("validate", "m.ulnn", "d.npz", "--port", "none", "--html", "r.html"),
        "ulnn validate needs Matplotlib",
        "report",
    ),
    ("paho", ("collect", "--mqtt", "h", "-o", "e"), "ulnn collect --mqtt needs", "fleet"),
    ("pyarrow", ("fleet", "e"), "ulnn fleet needs PyArrow", "data"),
    *(
        (
            package,
            ("convert", name, "--calib", "d.npz", "-o", "c.ulnn"),
            f"{name}: reading it needs",
            x,
        )
        for package, name, x in (
            ("torch", "c.pt", "train"),
            ("safetensors", "c.safetensors", "train"),
            ("h5py", "c.weights.h5", "keras"),
        )
    ),
]


@pytest.mark.parametrize(
    ("absent", "words", "line", "extra"), LINES, ids=lambda v: " ".join(v) if v else v
)
def test_a_command_that_lacks_a_package_says_what_to_type(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    absent: str,
    words: tuple[str, ...],
    line: str,
    extra: str,
) -> None:
    monkeypatch.chdir(model.parent)
    for name, start in CHECKPOINTS.items():
        Path(name).write_bytes(start + bytes(1000))
    with zipfile.ZipFile("c.pt", "w") as archive:
        archive.writestr("c/data.pkl", b"")
    recipe = '[data]\nsource = "d.npz"\n[model]\ncell = "cfc"\nhidden = 4\n'
    Path("recipe.toml").write_text(recipe)
    done = without.ulnn(absent, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {line}")
    assert done.stderr.endswith(f": pip install 'ulnn[{extra}]'\n")
