"""Nothing of anybody's data gets into what others see: names of files, folders, columns' contents
and people, and a waveform are planted, and every byte of what train and convert write is searched.

A label is what the model is about, so it is in there.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from support import convert_cases
from ulnn_host.cli.main import app
from ulnn_host.data.sequences import Sequences
from ulnn_host.format import container
from ulnn_host.format.model import ModelFile
from ulnn_host.quantize.calibration import FloatRollout, calibrate
from ulnn_host.quantize.options import Options

PERSON, FOLDER, TAKE = "anneliese-muster", "ward-7-cardiology", "follow-up-1965-03-17"
CONTENT = "pat-004711-x"
PLANTED = (PERSON, FOLDER, TAKE, CONTENT)
STEPS = 60
RUN = 3  # samples in a row, or digits of one, that count as found


def waveform(seed: int) -> np.ndarray:
    """(STEPS, 2) values of nobody else, as written in the file with 6 digits."""
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.normal(0, 0.3, (STEPS, 2)), axis=0) + rng.normal(0, 0.01, (STEPS, 2))
    return np.round(values + np.array([0.5, -1.5]), 5)


def plant(folder: Path) -> tuple[Path, list[np.ndarray]]:
    """A folder of recordings, and their values."""
    data = folder / FOLDER
    data.mkdir()
    values = []
    for number in range(8):
        wave = waveform(number)
        wave[:, 0] += number % 2
        values.append(wave)
        lines = ["time_ms,ax,ay,what,patient"]
        what = ("still", "walking")[number % 2]
        lines += [f"{20 * k},{a},{b},{what},{CONTENT}" for k, (a, b) in enumerate(wave)]
        (data / f"{PERSON}_{TAKE}_{number}.csv").write_text("\n".join(lines) + "\n")
    return data, values


def recipe(data: Path) -> str:
    keys = {"source": str(data), "label": "what", "group": "{}_*.csv", "per": "sequence"}
    keys |= {"channels": ["ax", "ay"]}
    model = {"hidden": 6, "backbone_units": 6, "readout": "mean"}
    text = "seed = 1\n[data]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items())
    text += "[model]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in model.items())
    return text + "[training]\nepochs = 3\nbatch = 4\n"


def found(content: bytes, values: list[np.ndarray], model: ModelFile) -> list[str]:
    """What of the planted things is in some bytes."""
    hits = [word for word in PLANTED if word.encode() in content]
    for wave in values:
        integers = model.quantise_input(wave)
        for kind, array in (
            ("float32", wave.astype("<f4")),
            ("float64", wave.astype("<f8")),
            ("int16", integers.astype("<i2")),
            ("int16 big-endian", integers.astype(">i2")),
        ):
            # one channel after the other, and all channels of a sample together
            for row in (*array.T, array.reshape(-1)):
                packed = np.ascontiguousarray(row).tobytes()
                size = RUN * array.itemsize
                starts = range(0, len(packed) - size + 1, array.itemsize)
                hits += [kind for at in starts if packed[at : at + size] in content]
    numbers = {word.lstrip("-") for word in re.findall(r"\d+\.\d{4,}", content.decode("latin-1"))}
    decimals = {f"{abs(v):.5f}".rstrip("0") for wave in values for v in wave.flat}
    decimals = {text for text in decimals if len(text.partition(".")[2]) == 5}
    rounded = {text[: len(text)] for text in numbers if text in decimals}
    return hits + [f"decimal {text}" for text in sorted(rounded)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[np.ndarray]]:
    """What train and convert leave, and what they print, by name; and the planted values."""
    folder = tmp_path_factory.mktemp("out")
    data, values = plant(tmp_path_factory.mktemp("in"))
    where = data.parent / f"{PERSON}.toml"
    where.write_text(recipe(data))
    runner = CliRunner()
    trained = runner.invoke(app, ["train", str(where), "-o", str(folder / "net.safetensors")])
    assert trained.exit_code == 0, trained.output
    named = folder / f"{PERSON}.safetensors"  # and a checkpoint with such a name
    named.write_bytes((folder / "net.safetensors").read_bytes())
    if (toml := folder / "net.toml").exists():
        named.with_suffix(".toml").write_bytes(toml.read_bytes())
    line = ["convert", str(named), "--calib", str(data), "--label", "what", "--group", "{}_*.csv"]
    line += ["--per", "sequence", "--channels", "ax,ay", "-o", str(folder / "net.ulnn")]
    texts = {"log of train": trained.output}
    for name, more in (("report.svg", ["--compare"]), ("report.png", ["--finetune", "1"])):
        done = runner.invoke(app, [*line, "--report", str(folder / name), *more])
        assert done.exit_code == 0, done.output
        texts[f"log of {name}"] = done.output
        (folder / f"{name}.ulnn").write_bytes((folder / "net.ulnn").read_bytes())
    done = runner.invoke(app, [*line, "--json"])
    assert done.exit_code == 0, done.output
    texts["report in JSON"] = done.stdout
    texts["info"] = runner.invoke(app, ["info", str(folder / "net.ulnn")]).output
    for path in (named, named.with_suffix(".toml")):
        path.unlink(missing_ok=True)
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"net.safetensors", "net.ulnn", "report.svg", "report.png"} <= set(contents)
    return contents | {name: text.encode() for name, text in texts.items()}, values


def test_nothing_planted_is_found(written: tuple[dict[str, bytes], list[np.ndarray]]) -> None:
    contents, values = written
    model = container.read(contents["net.ulnn"])
    assert model.labels == ("still", "walking")
    assert model.channels == ("ax", "ay")
    for name, content in contents.items():
        assert found(content, values, model) == [], name


def test_the_search_finds_what_is_there(
    written: tuple[dict[str, bytes], list[np.ndarray]],
) -> None:
    contents, values = written
    model = container.read(contents["net.ulnn"])
    wave = values[3]
    integers = model.quantise_input(wave)
    for content, what in (
        (f"from {TAKE}".encode(), TAKE),
        (wave[5:9].astype("<f4").tobytes(), "float32"),
        (wave[5:9, 1].astype("<f4").tobytes(), "float32"),
        (integers[7:10].tobytes(), "int16"),
        (integers[7:10, 0].tobytes(), "int16"),
        (f"largest {wave[wave != wave.round(4)][0]}".encode(), "decimal"),
    ):
        hits = found(b"x" + content, values, model)
        assert any(hit.startswith(what) for hit in hits), what


def test_ends_of_ranges_have_two_digits() -> None:
    """Rounded outwards: nobody's largest value is in the file, and all values fit."""
    rng = np.random.default_rng(0)
    net = convert_cases.network("cfc-default")
    for middle, width in ((0, 1), (7, 0.3), (101_325, 400), (-3e-4, 1e-5), (36.6, 0)):
        x = (middle + width * rng.uniform(-1, 1, (2, 50, 3))).astype(np.float32)
        made = calibrate(FloatRollout(net, Sequences(x, np.float32(0.1))), Options(margin=1.0))
        for channel, scale, offset in zip(
            x.reshape(-1, 3).T, made.input_scale, made.input_offset, strict=True
        ):
            low, high = offset - 32767 * scale, offset + 32767 * scale
            assert low <= channel.min() + 1e-6 * abs(middle)
            assert high >= channel.max() - 1e-6 * abs(middle)
            half = (high - low) / 2
            digit = 10.0 ** (np.floor(np.log10(half * (1 - 1e-6))) - 1)
            for end in (low, high):
                assert abs(end / digit - round(end / digit)) < 0.02, (middle, width)
        if width:
            room = 32767 * made.input_scale / width
            assert (room < 1.25).all()


def test_golden_vectors_of_data_would_be_found(
    written: tuple[dict[str, bytes], list[np.ndarray]],
) -> None:
    """What version 1.1 did: the first samples of the first recording."""
    contents, values = written
    model = container.read(contents["net.ulnn"])
    taken = struct.pack("<II", 32, 0) + model.quantise_input(values[0][:32]).tobytes()
    assert set(found(taken, values, model)) == {"int16"}
