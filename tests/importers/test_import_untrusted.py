"""Checkpoints of strangers: bombs, links to other files, sizes that are not there, damage."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from support.originals import Row, arrays, cfc, seeded
from ulnn_host.base import archives
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.npz import load_npz
from ulnn_host.importers import check, checkpoint, checkpoint_toml
from ulnn_host.importers.checkpoint import Loaded

HYPER = 'mode = "default"\nactivation = "lecun_tanh"\n'
SECRET = np.full((8, 2), 0.125, np.float32)


def model() -> Row:
    seeded()
    return Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))


def refusal(path: Path) -> str:
    with pytest.raises(UlnnError) as caught:
        checkpoint.read_checkpoint(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(path.name)
    return text


def read_or_refused(read: Callable[[], Loaded], name: str) -> Loaded | None:
    """What is read; None where it is refused in one line that begins with the name."""
    refused: UlnnError | None = None
    try:
        return read()
    except UlnnError as error:
        refused = error
    assert str(refused).startswith(f"{name}: ")
    assert "\n" not in str(refused)
    return None


# ---- archives -----------------------------------------------------------------------------------


def bomb(path: Path, *members: str) -> None:
    """An archive of less than 1 MB that unpacks to more than the limit."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in members:
            with archive.open(name, "w", force_zip64=True) as file:
                for _ in range(archives.LIMIT // len(members) // 2**22 + 1):
                    file.write(bytes(2**22))
    assert path.stat().st_size < 2**20


@pytest.mark.parametrize(
    ("file", "members"),
    [
        ("net.npz", ("fc.weight.npy",)),
        ("net.keras", ("config.json", "model.weights.h5")),
        ("net.pt", ("net/data.pkl", "net/data/0")),
    ],
)
def test_archives_that_unpack_beyond_the_limit(
    file: str, members: tuple[str, ...], tmp_path: Path
) -> None:
    bomb(tmp_path / file, *members)
    text = refusal(tmp_path / file)
    assert "it unpacks to 2" in text
    assert "expected at most 268,435,456" in text


def test_a_member_never_gives_more_than_it_declares(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "net.npz", a=np.zeros(100_000))
    content = bytearray((tmp_path / "net.npz").read_bytes())
    size = (100_000 * 8 + 128).to_bytes(4, "little")
    assert content.count(size) == 2
    (tmp_path / "net.npz").write_bytes(content.replace(size, (1000).to_bytes(4, "little")))
    assert "cannot be read" in refusal(tmp_path / "net.npz")


def npz(path: Path, header: str, content: bytes) -> None:
    raw = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "x.npy", b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + content
        )


@pytest.mark.parametrize("shape", ["(100000000000,)", "(4,)", "(1000000, 1000000)", "(2,)"])
def test_arrays_that_declare_another_size(shape: str, tmp_path: Path) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
    npz(tmp_path / "net.npz", header, bytes(24))
    assert "x.npy declares " in (text := refusal(tmp_path / "net.npz"))
    assert "bytes, but holds 24" in text
    with pytest.raises(UlnnError, match=r"x.npy declares .* but holds 24"):
        load_npz(tmp_path / "net.npz")
    with pytest.raises(UlnnError, match=r"x.npy declares .* but holds 24"):
        check.read_pairs(tmp_path / "net.npz")


def test_objects_and_doubled_members(tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", x=np.array([{}], object))
    assert "x.npy holds pickled objects" in refusal(tmp_path / "net.npz")
    with zipfile.ZipFile(tmp_path / "net.npz", "w") as archive:
        archive.writestr("x.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("x.npy", b"")
    assert "two members of the same name" in refusal(tmp_path / "net.npz")
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("photo.jpg", b"")
    assert "it is an archive of photo.jpg; expected torch.save" in refusal(tmp_path / "net.pt")


def test_tensors_that_are_larger_than_their_file(tmp_path: Path) -> None:
    state = dict(model().state_dict())
    for form in (True, False):
        huge = state | {"fc.weight": torch.zeros(1, 1).expand(100_000, 100_000)}
        torch.save(huge, tmp_path / "net.pt", _use_new_zipfile_serialization=form)
        assert (tmp_path / "net.pt").stat().st_size < 20_000
        assert "it unpacks to 80,000,002,720 bytes" in refusal(tmp_path / "net.pt")


def test_one_dict_a_million_times(tmp_path: Path) -> None:
    node: Any = {f"{k}": 0 for k in range(100)}
    for _ in range(6):
        node = {f"{k}": node for k in range(100)}
    torch.save(node, tmp_path / "net.pt")
    assert "it holds a dict of 0, 1, 10, 11, ..., expected a state dict" in refusal(
        tmp_path / "net.pt"
    )


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "net.pt").open("wb") as file:
        file.truncate(archives.LIMIT + 1)
    assert "it has 268,435,457 bytes, expected at most 268,435,456" in refusal(tmp_path / "net.pt")


# ---- HDF5 ---------------------------------------------------------------------------------------

Change = Callable[[h5py.File, Path], None]


def keras_weights(file: h5py.File) -> None:
    """An LSTM and a dense layer as Keras names them."""
    rng = np.random.default_rng(0)
    for key, shape in (
        ("layers/lstm/cell/vars/0", (3, 32)),
        ("layers/lstm/cell/vars/1", (8, 32)),
        ("layers/lstm/cell/vars/2", (32,)),
        ("layers/dense/vars/0", (8, 2)),
        ("layers/dense/vars/1", (2,)),
    ):
        file[key] = rng.normal(size=shape).astype(np.float32)


def external_link(file: h5py.File, folder: Path) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink(str(folder / "secret.h5"), "x")


def external_group(file: h5py.File, folder: Path) -> None:
    file["model_weights"] = h5py.ExternalLink(str(folder / "secret.h5"), "/")


def soft_link(file: h5py.File, folder: Path) -> None:
    file["layers/again"] = h5py.SoftLink("/layers/dense")


def virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((8, 2), np.float32)
    layout[:] = h5py.VirtualSource(folder / "secret.h5", "x", (8, 2))
    del file["layers/dense/vars/0"]
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def external_data(file: h5py.File, folder: Path) -> None:
    (folder / "secret.bin").write_bytes(SECRET.tobytes())
    del file["layers/dense/vars/0"]
    file.create_dataset(
        "layers/dense/vars/0", (8, 2), "<f4", external=[(str(folder / "secret.bin"), 0, 64)]
    )


def never_written(file: h5py.File, folder: Path) -> None:
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (8, 2), "<f4")


def declared(file: h5py.File, folder: Path) -> None:
    file.create_dataset("layers/dense/vars/2", (10**6, 10**6), "<f4", chunks=(64, 64))


def packed(file: h5py.File, folder: Path) -> None:
    whole = file.create_dataset(
        "layers/dense/vars/2", (archives.LIMIT // 2**20 + 1, 2**20), "u1",
        chunks=(16, 2**20), compression="gzip", compression_opts=1,
    )  # fmt: skip
    for k in range(0, whole.shape[0], 16):
        whole[k : k + 16] = 0


def large_chunks(file: h5py.File, folder: Path) -> None:
    file.create_dataset(
        "layers/dense/vars/2", (1,), "<f4", chunks=(2**28,), maxshape=(None,), compression="gzip"
    )


def objects(file: h5py.File, folder: Path) -> None:
    file["layers/dense/vars/2"] = ["text"]


def circle(file: h5py.File, folder: Path) -> None:
    file["layers/dense/again"] = file["layers"]
    file["layers/dense/more"] = file["layers"]


def whole_numbers(file: h5py.File, folder: Path) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = np.ones((8, 2), np.int8)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (external_link, "layers/dense/vars/0 is a link to elsewhere, perhaps to another file"),
        (external_group, "model_weights is a link to elsewhere"),
        (soft_link, "layers/again is a link to elsewhere"),
        (virtual, "layers/dense/vars/0 keeps its data in other files"),
        (external_data, "layers/dense/vars/0 keeps its data in other files"),
        (never_written, "layers/dense/vars/0 declares 64 bytes, but the file stores 0"),
        (declared, "layers/dense/vars/2 declares 4,000,000,000,000 bytes, but the file stores 0"),
        (packed, "it unpacks to 26"),
        (large_chunks, "it unpacks to 1,073,741,824 bytes, expected at most"),
        (objects, "layers/dense/vars/2 holds object, expected numbers"),
        (circle, "groups nest deeper than 32|more than 100,000 objects"),
        (whole_numbers, "layers/dense/vars/0 holds int8"),
    ],
)
@pytest.mark.parametrize("archived", [False, True])
def test_hdf5_that_is_not_whole(
    change: Change, match: str, archived: bool, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["x"] = SECRET
    path = tmp_path / "net.weights.h5"
    with h5py.File(path, "w") as file:
        keras_weights(file)
    assert checkpoint.read_checkpoint(path).network.output_size == 2
    with h5py.File(path, "a") as file:
        change(file, tmp_path)
    if archived:
        config = {"class_name": "Own", "config": {}}
        content, path = path.read_bytes(), tmp_path / "net.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("model.weights.h5", content)
    with pytest.raises(UlnnError, match=match):
        checkpoint.read_checkpoint(path)


# ---- damage -------------------------------------------------------------------------------------


def files() -> dict[str, bytes]:
    """A checkpoint of each kind."""
    state = model().state_dict()
    made: dict[str, bytes] = {}
    for name, form in (("net.pt", True), ("old.pt", False)):
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=form)
        made[name] = buffer.getvalue()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays(state))  # type: ignore[arg-type]
    made["net.npz"] = buffer.getvalue()
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        keras_weights(file)
    made["net.weights.h5"] = buffer.getvalue()
    return made


FILES = files()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(FILES)),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    whole=st.booleans(),
)
def test_damaged_files_are_read_or_refused(
    name: str, cut: float, flips: list[tuple[float, int]], whole: bool, tmp_path: Path
) -> None:
    content = bytearray(FILES[name])
    for place, value in flips:
        content[int(place * len(content))] = value
    path = tmp_path / name
    path.write_bytes(content if whole else content[: int(cut * len(content))])
    loaded = read_or_refused(lambda: checkpoint.read_checkpoint(path), name)
    assert loaded is None or loaded.network.input_size == 3


@given(content=st.binary(max_size=200))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(UlnnError):
        checkpoint.read_checkpoint(tmp_path / "net.pt")


NAMES = st.sampled_from(
    [
        "rnn",
        "rnn.rnn_cell",
        "rnn_cell",
        "rnn.fc",
        "fc",
        "head.0",
        "head.2",
        "axis.1",
        "layer_0",
        "",
    ]
)
LEAVES = st.sampled_from(
    ["weight", "bias", "ff1.weight", "ff1.bias", "ff2.weight", "time_a.weight", "weight_ih_l0",
     "weight_hh_l0", "weight_orig", "weight_mask", "weight_g", "weight_v", "sensory_w", "gleak",
     "parametrizations.weight.original0", "w_tau", "sparsity_mask", "layer_0.ff1.weight"]
)  # fmt: skip


@given(
    st.dictionaries(
        st.builds(lambda a, b: f"{a}.{b}".lstrip("."), NAMES, LEAVES),
        st.lists(st.integers(0, 8), max_size=3).map(tuple),
        max_size=9,
    )
)
@settings(max_examples=200)
def test_any_names_and_shapes_are_read_or_refused(shapes: dict[str, tuple[int, ...]]) -> None:
    weights = {key: np.full(shape, 0.5) for key, shape in shapes.items()}
    read_or_refused(lambda: checkpoint.from_weights(weights, {}, name="net.pt"), "net.pt")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(sorted(checkpoint_toml.CheckpointToml.__dataclass_fields__))
WEIGHTS = arrays(model().state_dict())


@given(st.dictionaries(KEYS | st.text(max_size=4), VALUES, max_size=4))
@settings(max_examples=200)
def test_any_hyper_parameters_are_used_or_refused(hyper: dict[str, Any]) -> None:
    loaded = read_or_refused(lambda: checkpoint.from_weights(WEIGHTS, hyper), "state dict")
    if loaded is not None:
        assert np.isfinite(loaded.network.mean).all()
        assert (loaded.network.std > 0).all()
        assert loaded.network.time_scale > 0


def test_safetensors_are_bounded_too(tmp_path: Path) -> None:
    state = {k: v.contiguous() for k, v in model().state_dict().items()}
    save_file(state, tmp_path / "net.safetensors")
    (tmp_path / "net.toml").write_text(HYPER)
    assert checkpoint.read_checkpoint(tmp_path / "net.safetensors").network.output_size == 2
    content = (tmp_path / "net.safetensors").read_bytes()
    (tmp_path / "net.safetensors").write_bytes(content[:-4])
    assert "cannot be read" in refusal(tmp_path / "net.safetensors")
