"""Where recordings end, what becomes of missing values, labels and groups of tables."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ulnn_host.base.errors import UlnnError
from ulnn_host.data.logs import read, read_data, read_logs
from ulnn_host.data.npz import load_npz, save_npz
from ulnn_host.data.options import DataOptions
from ulnn_host.data.sequences import Sequences

pytestmark = pytest.mark.usefixtures("reader")
NAN = float("nan")


def table(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]))
    return path


def recordings(data: Sequences) -> list[list[float]]:
    """The first channel of each."""
    return [data.x[n, : data.length[n], 0].tolist() for n in range(len(data))]


def steps(data: Sequences) -> list[list[float]]:
    return [[round(float(v), 4) for v in data.dt[n, :k]] for n, k in enumerate(data.length)]


def test_gaps(tmp_path):
    path = table(tmp_path / "a.csv", "t,v", "0,1", "0.1,2", "0.3,3", "2.3,4", "2.4,5", "9,6")
    whole = read(path)
    assert (recordings(whole), whole.flat) == ([[1, 2, 3, 4, 5, 6]], True)
    reading = read_logs(path, DataOptions(gap=1.0))
    assert recordings(reading.data) == [[1, 2, 3], [4, 5], [6]]
    assert steps(reading.data) == [[0.15, 0.1, 0.2], [0.1, 0.1], [0.125]]
    assert (reading.counts.gaps, reading.data.flat) == (2, False)
    assert reading.data.dt[2, 1] == 1  # padding


def test_a_clock_that_goes_back(tmp_path):
    path = table(tmp_path / "a.csv", "t,v", "0,1", "1,2", "2,3", "0,4", "1,5", "1,6", "2,7", "3,8")
    with pytest.raises(UlnnError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: line 5: the time goes back, 1 in all; {path}: line 7: the time repeats, 1 in all"
        ': clock = "split" starts a new recording there, clock = "sort" sorts the samples and '
        "leaves repeats out"
    )
    reading = read_logs(path, DataOptions(clock="split"))
    assert recordings(reading.data) == [[1, 2, 3], [4, 5], [6, 7, 8]]
    assert (steps(reading.data), reading.counts.splits) == ([[1, 1, 1], [1, 1], [1, 1, 1]], 2)
    reading = read_logs(path, DataOptions(clock="sort"))
    assert recordings(reading.data) == [[1, 2, 3, 8]]
    assert reading.counts.repeats == 4


def test_sorting_keeps_samples_with_their_times(tmp_path):
    rng = np.random.default_rng(0)
    time = rng.permutation(500) / 8
    rows = [f"{t},{t * 2},{'ab'[int(t * 8) % 2]}" for t in time]
    path = table(tmp_path / "a.csv", "t,v,who", *rows)
    data = read(path, clock="sort", group="who")
    assert sorted(data.groups[k] for k in data.group) == ["a", "b"]
    for part, group in zip(recordings(data), data.group, strict=True):
        assert part == [k / 4 for k in range(group, 500, 2)]
    assert set(np.unique(data.dt)) == {0.25}


def test_missing_values_are_held(tmp_path):
    rows = ["0,,1", "1,2,1", "2,,2", "3,nan,", "4,5,N/A", "6,6,7"]
    path = table(tmp_path / "a.csv", "t,v,w", *rows)
    reading = read_logs(path, DataOptions(missing="hold"))
    assert reading.data.x.tolist() == [[[2, 1], [2, 2], [2, 2], [5, 2], [6, 7]]]
    assert steps(reading.data) == [[1, 1, 1, 1, 2]]
    assert (dict(reading.counts.missing), reading.counts.dropped) == ({"v": 3, "w": 2}, 1)


def test_missing_values_are_dropped_with_true_times(tmp_path):
    rows = ["0,1", "0.5,?", "1.5,3", ",4", "2.5,-", "3,6", "4,7"]
    path = table(tmp_path / "a.csv", "t,v", *rows)
    reading = read_logs(path, DataOptions(missing="drop"))
    assert recordings(reading.data) == [[1, 3, 6, 7]]
    assert steps(reading.data) == [[1.5, 1.5, 1.5, 1]]
    assert dict(reading.counts.missing) == {"v": 2, "t": 1}
    with pytest.raises(UlnnError, match="line 5: a missing value"):
        read(path, missing="hold")  # a time cannot be held


def test_dropped_rows_of_elapsed_times_count(tmp_path):
    path = table(tmp_path / "a.csv", "dt,v", "0.5,1", "0.25,", "0.5,3", "1,4")
    assert steps(read(path, missing="drop")) == [[0.5, 0.75, 1]]
    path = table(tmp_path / "b.csv", "dt,v", "0.5,1", ",2", "0.5,3")
    with pytest.raises(UlnnError, match=r"line 3: a missing value, 1 in all \(dt 1\)"):
        read(path, missing="drop")


def test_numbers_that_mean_a_missing_value(tmp_path):
    path = table(tmp_path / "a.csv", "t,v,w", "0,1,-9999", "1,-9999,2", "2,3,4", "3,4,-1", "4,5,6")
    reading = read_logs(path, DataOptions(missing="drop", missing_values=(-9999, -1)))
    assert (reading.data.x.tolist(), steps(reading.data)) == ([[[3, 4], [5, 6]]], [[2, 2]])
    assert dict(reading.counts.missing) == {"v": 1, "w": 2}


def test_groups_of_a_column(tmp_path):
    rows = ["0,1,bob", "0.1,10,eve", "1,2,bob", "1.1,11,eve", "2,3,bob", "2.5,12,eve"]
    path = table(tmp_path / "a.csv", "t,v,who", *rows)
    data = read(path, group="WHO")
    assert (recordings(data), data.groups) == ([[1, 2, 3], [10, 11, 12]], ("bob", "eve"))
    assert (steps(data), data.group.tolist()) == ([[1, 1, 1], [1.2, 1, 1.4]], [0, 1])
    rest, held = data.split(["eve"])
    assert (recordings(rest), recordings(held)) == ([[1, 2, 3]], [[10, 11, 12]])
    with pytest.raises(UlnnError, match="group zoe is not in the data"):
        data.split(["zoe"])
    path = table(tmp_path / "b.csv", "t,v,who", *rows, "6,13,")
    with pytest.raises(UlnnError, match=r"line 8: a missing value, 1 in all \(the group 1\)"):
        read(path, group="who")
    assert read(path, group="who", missing="drop").length.tolist() == [3, 3]


def test_numbers_as_groups_are_in_order(tmp_path):
    rows = [f"{k / 8},{k},{who}" for k, who in enumerate((10, 9, 10, 9, 2, 2))]
    data = read(table(tmp_path / "a.csv", "t,v,subject", *rows), group="subject")
    assert data.groups == ("2", "9", "10")
    assert data.group.tolist() == [2, 1, 0]
    assert [g.group.tolist() for g in data.split([9, 2])] == [[2], [1, 0]]


LABELLED = ["0,1,walk", "1,2,walk", "2,3,run", "3,4,run", "4,5,run", "5,6,walk"]


def test_labels_of_steps(tmp_path):
    path = table(tmp_path / "a.csv", "t,v,what", *LABELLED)
    with pytest.raises(UlnnError, match=re.escape('each row (per = "step") or to a recording')):
        read(path, label="what")
    data = read(path, label="what", per="step")
    assert (data.labels, data.y.tolist(), data.per) == (
        ("run", "walk"),
        [[1, 1, 0, 0, 0, 1]],
        "step",
    )
    assert read_data(path, DataOptions(label="what"), readout="each").y.tolist() == data.y.tolist()
    save_npz(tmp_path / "a.npz", data)
    again = load_npz(tmp_path / "a.npz")
    assert (again.per, again.labels, again.channels) == ("step", ("run", "walk"), ("v",))
    assert np.array_equal(again.y, data.y)


def test_labels_of_sequences_end_recordings(tmp_path):
    path = table(tmp_path / "a.csv", "t,v,what", *LABELLED)
    data = read(path, label="What", per="sequence")
    assert recordings(data) == [[1, 2], [3, 4, 5], [6]]
    assert (data.y.tolist(), data.labels) == ([1, 0, 1], ("run", "walk"))
    assert steps(data) == [[1, 1], [1, 1, 1], [1]]
    for readout in ("last", "mean"):
        assert read_data(path, DataOptions(label="what"), readout).y.tolist() == [1, 0, 1]


def test_numbers_as_labels(tmp_path):
    rows = [f"{k},{k},{y}" for k, y in enumerate((7, 1_000_000, 10, 7))]
    path = table(tmp_path / "a.csv", "t,v,y", *rows)
    data = read(path, label="y", per="step")
    assert (data.y.tolist(), data.labels) == ([[0, 2, 1, 0]], ("7", "10", "1000000"))
    data = read(path, label="y", per="step", target="value")
    assert (data.y.tolist(), data.y.dtype, data.labels) == (
        [[7, 1_000_000, 10, 7]],
        np.float32,
        (),
    )
    data = read(path, label="y", per="sequence", target="value")
    assert (data.y.tolist(), recordings(data)) == ([7, 1_000_000, 10, 7], [[0], [1], [2], [3]])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("0.5", "1.5"), 'label 0.5 is no class: target = "value" reads values'),
        (("0.0", "1.0"), "label 0.0 is no class"),
        (("1", "-1"), "label -1: a class is 0 or more"),
        (("a\x1b[2J", "b"), "holds control characters"),
        (("a", ""), r"line 3: a missing value, 1 in all \(y 1\)"),
    ],
)
def test_labels_that_are_none(tmp_path, words, message):
    rows = [f"{k},{k},{word}" for k, word in enumerate(words)]
    path = table(tmp_path / "a.csv", "t,v,y", *rows)
    with pytest.raises(UlnnError, match=message):
        read(path, label="y", per="step")


def test_too_many_labels(tmp_path):
    rows = [f"{k},{k},word{k}" for k in range(1025)]
    path = table(tmp_path / "a.csv", "t,v,y", *rows)
    with pytest.raises(UlnnError, match="1,025 different labels: at most 1,024 classes"):
        read(path, label="y", per="step")
    path = table(tmp_path / "a.csv", "t,v,y", *rows[:1024])
    assert len(read(path, label="y", per="step").labels) == 1024


def test_the_next_sample(tmp_path):
    path = table(tmp_path / "a.csv", "t,v,w", "0,1,2", "1,3,4", "3,5,6")
    data = read(path, target="next")
    assert (data.x.tolist(), data.y.tolist()) == ([[[1, 2], [3, 4]]], [[[3, 4], [5, 6]]])
    assert (data.per, data.length.tolist(), data.flat) == ("step", [2], True)


def test_many_blocks_are_one_table(tmp_path, monkeypatch):
    monkeypatch.setattr("ulnn_host.data.text_table.BLOCK_BYTES", 64)
    rows = [f"{k / 4},{k},{'ab'[k // 7 % 2]},{k // 50}" for k in range(300)]
    path = table(tmp_path / "a.csv", "t,v,what,who", *rows)
    data = read(path, label="what", per="sequence", group="who")
    assert [v for part in recordings(data) for v in part] == list(range(300))
    assert data.group.tolist() == sorted(data.group.tolist())
    assert set(np.unique(data.dt)) == {np.float32(0.25), np.float32(1)}
    gone = [row if k % 9 else row.replace(f",{k},", ",,") for k, row in enumerate(rows)]
    path = table(tmp_path / "b.csv", "t,v,what,who", *gone)
    held = read(path, label="what", per="step", group="who", missing="hold")
    want = [k - 1 if k % 9 == 0 and k % 50 else k for k in range(300)]
    assert [v for part in recordings(held) for v in part] == [v for k, v in enumerate(want) if k]


def test_unequal_recordings_do_not_fill_the_memory(tmp_path):
    long = [f"{k / 4},{k}" for k in range(20_000)]
    short = [f"{t / 8},1" for k in range(20_000) for t in (k % 2, k % 2 + 1)]
    path = table(tmp_path / "a.csv", "t,v", *long, *short)
    with pytest.raises(UlnnError, match=r"recordings of up to 20,000 samples .* too unequal"):
        read(path, clock="split")


def test_arrays_with_the_same_keys(tmp_path):
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    x[2, 0], x[3, 1] = NAN, -9999
    dt = np.array([1, 1, 2, 1, 50, 1])
    np.savez(tmp_path / "a.npz", x=x, dt=dt, channels=["v", "w"])
    path = tmp_path / "a.npz"
    with pytest.raises(UlnnError, match="x is not a finite number at step 2, channel v"):
        read(path)
    held = read(path, missing="hold", missing_values=[-9999], unit="ms")
    assert held.x[0].tolist() == [[0, 1], [2, 3], [2, 5], [6, 5], [8, 9], [10, 11]]
    assert np.allclose(held.dt, dt / 1000)
    dropped = read(path, missing="drop", missing_values=[-9999])
    assert (recordings(dropped), steps(dropped)) == ([[0, 2, 8, 10]], [[1, 1, 53, 1]])
    split = read(path, missing="hold", missing_values=[-9999], gap=10.0, channels=["W"])
    assert recordings(split) == [[1, 3, 5, 5], [9, 11]]
    assert (steps(split), split.channels) == ([[1, 1, 2, 1], [1, 1]], ("w",))
    for key in ("label", "group", "time", "encoding"):
        with pytest.raises(UlnnError, match=f"{key} is for tables"):
            read(path, **{key: "utf-8"})
    with pytest.raises(UlnnError, match="channels: no column z, found v, w"):
        read(path, channels=["z"], missing="hold")
