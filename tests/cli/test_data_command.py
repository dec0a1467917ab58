"""`ulnn data`, and the same keys in every command that takes data and in a recipe."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from ulnn_host.cli.main import main
from ulnn_host.data.logs import read
from ulnn_host.data.npz import load_npz

MS = np.cumsum([5, *np.random.default_rng(0).integers(18, 23, 399)])


@dataclass
class Done:
    stdout: str
    stderr: str


@pytest.fixture
def ulnn(logs, monkeypatch, capsys):
    """The command, in the folder of the logs."""
    monkeypatch.chdir(logs)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, status: int = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["ulnn", *words])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert (ended.value.code or 0) == status, captured.err
        return Done(captured.out, captured.err)

    return run


@pytest.fixture
def logs(tmp_path):
    """A folder: a file per person, times in ms, words as labels."""
    (tmp_path / "logs").mkdir()
    rng = np.random.default_rng(1)
    for person in ("annette", "robert", "evelyn"):
        rows = ["time;ax;ay;az;activity"]
        for k, at in enumerate(MS):
            fast = k // 100 % 2
            phase = at / 1000 * (30 if fast else 8)
            values = np.array([np.sin(phase), np.cos(phase), 0.5]) + 0.05 * rng.normal(size=3)
            fields = [str(at), *(f"{v:.4f}".replace(".", ",") for v in values)]
            rows.append(";".join([*fields, "run" if fast else "walk"]))
        (tmp_path / "logs" / f"{person}_home.csv").write_text("\n".join(rows))
    return tmp_path


SAID = ("--unit", "ms", "--label", "activity", "--per", "sequence", "--group", "{}_*")


def test_a_folder_becomes_one_file(logs, ulnn):
    done = ulnn("data", "logs", "-o", "out/all.npz", "--plot", "out/all.png", *SAID)
    lines = done.stdout.splitlines()
    assert lines[0] == "3 files, 12 recordings, 1,200 samples, 24.2 s"
    assert lines[1].startswith("sampling: about 50 Hz (18 to 22 ms)")
    assert lines[2] == "read as: separator ;, decimal comma"
    assert "a class for each sequence: run 6, walk 6" in lines
    assert "groups: annette 4, evelyn 4, robert 4" in lines
    assert done.stderr == ""
    data = load_npz(logs / "out" / "all.npz")
    assert (data.labels, data.groups) == (("run", "walk"), ("annette", "evelyn", "robert"))
    assert (data.channels, data.x.shape) == (("ax", "ay", "az"), (12, 100, 3))
    assert (logs / "out" / "all.png").read_bytes().startswith(b"\x89PNG")
    again = ulnn("data", "out/all.npz", "--json")
    made = json.loads(again.stdout)
    assert (made["recordings"], made["classes"]) == (12, {"run": 6, "walk": 6})
    assert made["channels"][2]["name"] == "az"


def test_what_looks_wrong_is_one_line(logs, ulnn):
    path = logs / "logs" / "robert_home.csv"
    path.write_text(path.read_text().replace("\n2", "\n-2", 1))
    done = ulnn("data", "logs", *SAID, status=1)
    assert done.stderr.startswith("error: logs/robert_home.csv: line ")
    assert "the time goes back" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    (logs / "a.csv").write_text("t,v\n" + "".join(f"{k / 8},{k % 9}\n" for k in range(200)))
    text = (logs / "a.csv").read_text().replace("5.0,4\n", "5.0,-9999\n")
    (logs / "a.csv").write_text(text)
    done = ulnn("data", "a.csv")
    assert done.stderr.startswith("warning: a.csv: channel v: 1 outlier, -9999 in sample 40, ")
    done = ulnn("data", "a.csv", "--missing-values", "-9999,-1", "--missing", "hold")
    assert (done.stderr, "missing values: v 1" in done.stdout) == ("", True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.csv",), "none.csv: no such file"),
        (("logs", "-o", "a.csv", *SAID), "a.csv: expected a name that ends in .npz"),
        (("logs", "--plot", "a.txt", *SAID), "a.txt: expected a name that ends in .png"),
        (("logs", "--missing-values", "x"), "--missing-values is 'x', expected numbers"),
        (("logs", "--clock", "mend"), "clock is 'mend', expected refuse, split or sort"),
        (("logs", "a.npz", "-o", "a.npz"), "a.npz is an input and would be overwritten"),
    ],
)
def test_errors(logs, ulnn, words, message):
    np.savez(logs / "a.npz", x=np.zeros((3, 3)), dt=np.ones(3))
    before = (logs / "a.npz").read_bytes()
    done = ulnn("data", *words, status=1)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (logs / "a.npz").read_bytes() == before


RECIPE = """
[data]
source = "logs"
unit = "ms"
label = "activity"
group = "{}_*"
valid_groups = ["evelyn"]
[model]
hidden = 8
backbone_units = 8
readout = "mean"
[training]
epochs = 15
batch = 4
learning_rate = 0.02
"""


def test_from_logs_to_integers(logs, ulnn):
    (logs / "walk.toml").write_text(RECIPE)
    ulnn("train", "walk.toml", "-o", "net.safetensors")
    said = ("--unit", "ms", "--label", "activity")
    done = ulnn("convert", "net.safetensors", "--calib", "logs/[ar]*.csv", "-o", "w.ulnn", *said)
    assert "on calibration data, readout mean" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("accuracy   "))
    assert row.split() == ["accuracy", "100.00%", "100.00%"]
    ulnn("run", "w.ulnn", "logs/evelyn_home.csv", "-o", "a.npz", *said)
    shuffled = read(logs / "logs" / "evelyn_home.csv", unit="ms", channels=["az", "ax", "ay"])
    rows = [
        f"{at},{z:.9g},{x:.9g},{y:.9g}" for at, (z, x, y) in zip(MS, shuffled.x[0], strict=True)
    ]
    (logs / "b.csv").write_text("\n".join(["millis,AZ,ax,ay", *rows]))
    ulnn("run", "w.ulnn", "b.csv", "-o", "b.npz")
    ulnn("run", "w.ulnn", "logs/evelyn_home.csv", "-o", "c.npz", "--unit", "ms",
         "--channels", "ay,az,ax")  # fmt: skip
    one, other = (np.load(logs / name)["y_int"] for name in ("b.npz", "c.npz"))
    assert np.array_equal(one, other)
    assert np.load(logs / "a.npz")["y_int"].shape == (4, 100, 2)
    (logs / "d.csv").write_text("\n".join(["millis,ax,ay,temp", *rows]))
    done = ulnn("run", "w.ulnn", "d.csv", "-o", "d.npz", status=1)
    assert "channel az is missing: the data have ax, ay, temp, expected ax, ay, az" in done.stderr


def test_no_name_of_a_person_is_kept(logs, ulnn):
    (logs / "walk.toml").write_text(RECIPE.replace("epochs = 15", "epochs = 1"))
    ulnn("train", "walk.toml", "-o", "net.safetensors")
    said = ("--unit", "ms", "--label", "activity", "--group", "{}_*")
    ulnn("convert", "net.safetensors", "--calib", "logs", "-o", "w.ulnn", *said)
    for path in (logs / "w.ulnn", logs / "net.safetensors"):
        for name in (b"annette", b"robert", b"evelyn"):
            assert name not in path.read_bytes(), path
