"""Packages that only some commands need: which extra of ulnn brings one, and the line to type."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

from .errors import UlnnError

# By the name that is imported: what people call it, and the extra (pyproject.toml).
PACKAGES = {
    "elftools": ("pyelftools", "boards"),
    "gymnasium": ("Gymnasium with MuJoCo", "claims"),
    "h5py": ("h5py", "keras"),
    "matplotlib": ("Matplotlib", "report"),
    "onnx": ("onnx", "onnx"),
    "onnxscript": ("onnxscript", "onnx"),
    "optuna": ("Optuna", "tune"),
    "paho": ("paho-mqtt", "fleet"),
    "pyarrow": ("PyArrow", "data"),
    "safetensors": ("safetensors", "train"),
    "seglearn": ("seglearn", "demo"),
    "sktime": ("sktime", "demo"),
    "torch": ("PyTorch", "train"),
}


def missing(package: str, what: str) -> UlnnError:
    """The error of `what`, such as "ulnn train", where `package` of PACKAGES is not installed."""
    name, extra = PACKAGES[package]
    return UlnnError(f"{what} needs {name}: pip install 'ulnn[{extra}]'")


def need(package: str, what: str) -> None:
    """Raise UlnnError unless `package` of PACKAGES is installed. Imports nothing."""
    if importlib.util.find_spec(package) is None:
        raise missing(package, what)


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise UlnnError where the block imports a package of PACKAGES that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        raise missing(package, what) from error
