"""Parquet files; and that reading needs neither torch nor pandas, and says which package lacks."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ulnn_host.base.errors import UlnnError
from ulnn_host.data.logs import read, read_logs
from ulnn_host.data.options import DataOptions

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ROWS = 200_000
SMALL = {"t": [0.0, 0.5, 1.5], "v": [1.0, 2.0, 3.0], "w": [4, 5, 6]}


def write(path, columns, **types):
    made = {k: pa.array(v, type=types.get(k)) for k, v in columns.items()}
    pq.write_table(pa.table(made), path)
    return path


def test_a_large_file_in_batches(tmp_path):
    rng = np.random.default_rng(0)
    nanoseconds = np.cumsum(rng.integers(10_000_000, 30_000_000, ROWS))
    columns = {
        "what": pa.array(np.where(np.arange(ROWS) < 70_000, "up", "down")).dictionary_encode(),
        "b": rng.normal(size=ROWS).astype(np.float32),
        "timestamp": pa.array(nanoseconds, type=pa.timestamp("ns", "UTC")),
        "a": rng.integers(-(2**15), 2**15, ROWS).astype(np.int16),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=50_000)
    data = read(tmp_path / "a.parquet", label="what", per="sequence", channels=["a", "b"])
    assert (data.length.tolist(), data.labels, data.y.tolist()) == (
        [70_000, 130_000], ("down", "up"), [1, 0],
    )  # fmt: skip
    x = np.concatenate([data.x[0, :70_000], data.x[1]])
    assert np.array_equal(x, np.stack([columns["a"], columns["b"]], 1).astype(np.float32))
    dt = np.concatenate([data.dt[0, :70_000], data.dt[1]])
    assert np.array_equal(dt[1:], (np.diff(nanoseconds) * 1e-9).astype(np.float32))


START = datetime(2024, 5, 1, 12, tzinfo=UTC)
MOMENTS = [START, START + timedelta(seconds=0.5), START + timedelta(seconds=1.5)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (MOMENTS, pa.timestamp("us", "UTC")),
        (MOMENTS, pa.timestamp("ms", "Europe/Berlin")),
        ([moment.replace(tzinfo=None) for moment in MOMENTS], pa.timestamp("ns")),
        ([moment.isoformat() for moment in MOMENTS], pa.string()),
        ([moment.isoformat() for moment in MOMENTS], pa.dictionary(pa.int8(), pa.string())),
        ([int(moment.timestamp() * 1000) for moment in MOMENTS], pa.int64()),
        ([moment.timestamp() for moment in MOMENTS], pa.float64()),
        ([0, 0.5, 1.5], pa.float32()),
    ],
    ids=str,
)
def test_types_of_times(tmp_path, values, kind):
    data = read(write(tmp_path / "a.parquet", SMALL | {"t": values}, t=kind))
    assert np.allclose(data.dt, [[0.75, 0.5, 1]], atol=1e-6)
    assert (data.channels, data.x.tolist()) == (("v", "w"), [[[1, 4], [2, 5], [3, 6]]])


@pytest.mark.parametrize(
    "kind",
    [pa.float64(), pa.float32(), pa.int8(), pa.uint64(), pa.decimal128(9, 2), pa.bool_()],
    ids=str,
)
def test_types_of_samples(tmp_path, kind):
    values = [1, 0, None] if kind != pa.bool_() else [True, False, None]
    if pa.types.is_floating(kind):
        values = [1.0, 0.0, None]
    path = write(tmp_path / "a.parquet", SMALL | {"v": values}, v=kind)
    with pytest.raises(UlnnError, match=r"line 3: a missing value, 1 in all \(v 1\)"):
        read(path)
    assert read(path, missing="hold").x[0, :, 0].tolist() == [1, 0, 0]


def test_labels_and_groups(tmp_path):
    columns = SMALL | {"who": [7, 8, 7], "what": ["a", None, "b"]}
    path = write(tmp_path / "a.parquet", columns)
    data = read(path, group="who", label="what", per="step", missing="drop")
    assert (data.groups, data.labels, data.y.tolist()) == (("7",), ("a", "b"), [[0, 1]])
    with pytest.raises(UlnnError, match="column what holds 'a', not numbers: if it is the label"):
        read(path, group="who")


def test_the_index_of_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"v": [1.0, 2, 3]}, index=pandas.to_datetime(MOMENTS))
    frame.to_parquet(tmp_path / "a.parquet")
    assert np.allclose(read(tmp_path / "a.parquet").dt, [[0.75, 0.5, 1]])
    frame = pandas.DataFrame(SMALL, index=[4, 7, 9])
    frame.to_parquet(tmp_path / "b.parquet")
    reading = read_logs(tmp_path / "b.parquet")
    assert (reading.data.channels, reading.left_out) == (("v", "w"), ("an index",))


def test_bad_files(tmp_path):
    path = tmp_path / "a.parquet"
    for content in (b"", b"PAR1 no parquet PAR1", b"t,v\n1,2\n"):
        path.write_bytes(content)
        with pytest.raises(UlnnError, match="not a readable Parquet file") as caught:
            read(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(UlnnError, match="no such file"):
        read(tmp_path / "none.parquet")
    with pytest.raises(UlnnError, match="holds no samples"):
        read(write(path, {"t": pa.array([], pa.float64()), "v": pa.array([], pa.float64())}))
    with pytest.raises(UlnnError, match=r"line 2: column v: 1e\+300 is not a number of 32 bits"):
        read(write(path, SMALL | {"v": [1, 1e300, 2]}))
    with pytest.raises(UlnnError, match=r"line 3: the time goes back, 1 in all"):
        read(write(path, SMALL | {"t": [0, 0.5, 0.25]}))
    with pytest.raises(UlnnError, match=r"column v holds .*not numbers"):
        read(write(path, SMALL | {"v": [[1], [2], [3]]}))
    whole = write(path, SMALL).read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(4, len(whole), 60):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            read_logs(path, DataOptions(unit="s", missing="drop", clock="split"))
        except UlnnError as error:
            assert "\n" not in str(error)  # noqa: PT017, it may read as well


def test_without_pyarrow(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", SMALL)
    monkeypatch.setitem(sys.modules, "ulnn_host.data.parquet", None)
    with pytest.raises(UlnnError, match=r"needs the package pyarrow: pip install 'ulnn\[data\]'"):
        read(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_reading_imports_little(tmp_path, name):
    write(tmp_path / "a.parquet", SMALL)
    (tmp_path / "a.csv").write_text("t,v,w\n0,1,x\n1,,y\n2,3,x\n")
    line = (
        "import sys; from ulnn_host.data.logs import read\n"
        f"read({str(tmp_path / name)!r}, missing='hold', channels=['v'])\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", line], check=True)
