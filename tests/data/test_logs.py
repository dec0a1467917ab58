"""Tables of other people: dialects, columns, errors; each with the right values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from support.tables import Written
from ulnn_host.base.errors import UlnnError, UlnnWarning
from ulnn_host.data.logs import read, read_data, read_logs
from ulnn_host.data.npz import save_npz
from ulnn_host.data.options import DataOptions

NANO = np.cumsum([0, *np.random.default_rng(0).integers(18, 23, 39)]) * 1_000_000 + 5_000_000
VALUES = np.random.default_rng(1).normal(size=(40, 3)).round(5)
COLUMNS = {name: VALUES[:, k] for k, name in enumerate(("ax", "ay", "az"))}
STEPS = np.diff(NANO) / 1e9
PLAIN = Written()

pytestmark = pytest.mark.usefixtures("reader")


def write(path: Path, how: Written = PLAIN, **columns: object) -> Path:
    path.write_bytes(how.table(NANO, COLUMNS | columns))
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def is_right(data, order=(0, 1, 2)) -> bool:
    assert data.channels == tuple(["ax", "ay", "az"][k] for k in order)
    assert (data.flat, data.x.shape) == (True, (1, 40, 3))
    assert np.array_equal(data.x[0], VALUES[:, list(order)].astype(np.float32))
    assert np.allclose(data.dt[0, 1:], STEPS, rtol=0, atol=5e-7)
    assert data.dt[0, 0] == np.median(data.dt[0, 1:])
    return True


@pytest.mark.parametrize(
    "how",
    [
        Written(),
        Written(separator=";", decimal=","),
        Written(separator=";"),
        Written(separator="\t"),
        Written(separator="\t", decimal=","),
        Written(separator="|"),
        Written(separator=" "),
        Written(decimal=","),
        Written(encoding="utf-16"),
        Written(encoding="utf-16-le"),
        Written(encoding="utf-16-be", newline="\r\n"),
        Written(encoding="utf-32"),
        Written(bom=True),
        Written(newline="\r\n"),
        Written(newline="\r"),
        Written(quoted=True),
        Written(comments=3),
        Written(blanks=True),
        Written(sep_line=True, separator=";", decimal=","),
        Written(sep_line=True, separator="\t"),
        Written(final_newline=False),
        Written(index=True),
        Written(index=True, separator=";", decimal=",", encoding="utf-16", newline="\r\n"),
    ],
    ids=str,
)
def test_dialects(tmp_path, how):
    assert is_right(read(write(tmp_path / "a.csv", how)))


@pytest.mark.parametrize(
    ("time", "header"),
    [
        ("seconds", "Time"),
        ("seconds", "TIMESTAMP"),
        ("seconds", "t"),
        ("seconds", "seconds_elapsed"),
        ("seconds", "Time (s)"),
        ("seconds", "elapsed [sec]"),
        ("ms", "timestamp_ms"),
        ("ms", "Time (ms)"),
        ("ms", "timestampMs"),
        ("ms", "millis"),
        ("ms", "elapsed_ms"),
        ("us", "time_us"),
        ("us", "Time [µs]"),
        ("us", "micros"),
        ("ns", "t_ns"),
        ("ns", "elapsedNanos"),
        ("epoch_s", "timestamp"),
        ("epoch_ms", "timestamp"),
        ("epoch_us", "unix_time"),
        ("epoch_ns", "time"),
        ("epoch_ms", "epoch_ms"),
        ("iso", "timestamp"),
        ("iso_space", "datetime"),
        ("iso_z", "time"),
        ("iso_zone", "Date/Time"),
        ("iso_comma", "time"),
        ("iso_basic", "time"),
    ],
)
def test_times(tmp_path, time, header):
    separator = ";" if time == "iso_comma" else ","
    how = Written(time=time, header=header, separator=separator)
    assert is_right(read(write(tmp_path / "a.csv", how)))


def test_nanoseconds_since_1970_are_exact(tmp_path):
    nanoseconds = np.array([1, 1001, 2002, 3004])
    path = tmp_path / "a.csv"
    path.write_bytes(Written(time="epoch_ns").table(nanoseconds, {"v": [1.0, 2.0, 3.0, 4.0]}))
    assert read(path).dt[0, 1:].tolist() == np.float32([1e-6, 1.001e-6, 1.002e-6]).tolist()


def test_nanoseconds_are_exact_beside_any_word_and_where_times_are_missing(tmp_path):
    start = 1_714_564_800_000_000_000
    rows = [f"{start + 1},1,Größe", f"{start + 1002},2,Größe", ",3,Größe", f"{start + 3005},4,b"]
    path = text(tmp_path / "a.csv", "time,v,what\n" + "\n".join(rows))
    data = read(path, label="what", per="step", missing="drop")
    assert data.dt[0, 1:].tolist() == np.float32([1.001e-6, 2.003e-6]).tolist()


def test_a_zone_that_changes(tmp_path):
    rows = ("2024-10-27T02:59:59+02:00,1", "2024-10-27T02:00:00+01:00,2", "2024-10-27T01:00:02Z,3")
    path = text(tmp_path / "a.csv", "time,v\n" + "\n".join(rows))
    assert read(path).dt.tolist() == [[1.5, 1, 2]]
    path = text(tmp_path / "b.csv", "time,v\n" + "\n".join([*rows, "2024-10-27T01:00:03,4"]))
    with pytest.raises(UlnnError, match=r"line 5: .*without a zone, unlike the first"):
        read(path)


def test_columns_by_name(tmp_path):
    path = write(tmp_path / "a.csv", name=["walk"] * 40)
    assert is_right(read(path, channels=["AZ", "ax", "ay"], time="TimeStamp"), (2, 0, 1))
    reading = read_logs(path, DataOptions(channels=("ay",)))
    assert reading.data.channels == ("ay",)
    assert reading.left_out == ("ax", "az", "name")


def test_the_index_of_pandas_is_left_out(tmp_path):
    reading = read_logs(write(tmp_path / "a.csv", Written(index=True)))
    assert reading.left_out == ("an index",)
    shuffled = text(tmp_path / "b.csv", ",t,v\n5,0,1\n9,1,2\n4,2,3\n")
    assert read(shuffled).channels == ("v",)
    times = text(tmp_path / "c.csv", ",v\n2024-05-01 12:00:00,1\n2024-05-01 12:00:02,2\n")
    assert read(times).dt.tolist() == [[2, 2]]
    named = text(tmp_path / "d.csv", "index,t,v\n0,0,1\n1,1,2\n")
    assert read(named).channels == ("v",)


def test_a_header_in_a_comment(tmp_path):
    path = text(tmp_path / "a.txt", "# made by numpy\n# t v w\n0.0e0 1.0e0 2\n5.0e-1 2.0e0 3\n")
    data = read(path)
    assert data.channels == ("v", "w")
    assert data.x.tolist() == [[[1, 2], [2, 3]]]


def test_lines_above_the_header_and_headers_again(tmp_path):
    body = "t,v,w\n0,1,2\n1,2,3\nt,v,w\n2,3,4\n"
    path = text(tmp_path / "a.csv", f"Logger 7\nserial: 12345\n\n{body}")
    assert read(path).x[0, :, 0].tolist() == [1, 2, 3]


def test_other_columns_of_time(tmp_path):
    path = text(tmp_path / "a.csv", "time,seconds_elapsed,z\n1714564800000000000,0.0,1\n"
                "1714564800500000000,0.5,2\n")  # fmt: skip
    reading = read_logs(path)
    assert reading.data.dt.tolist() == [[0.5, 0.5]]
    assert reading.left_out == ("seconds_elapsed",)
    with pytest.raises(UlnnError, match="column T may be a time or a channel: give channels"):
        read(text(tmp_path / "b.csv", "timestamp,T\n0,20\n1,21\n"))


def test_elapsed_times_instead_of_timestamps(tmp_path):
    path = text(tmp_path / "a.csv", "dt_ms,v\n20,1\n10,2\n30,3\n")
    assert np.allclose(read(path).dt, [[0.02, 0.01, 0.03]])
    assert np.allclose(read(path, unit="s").dt, [[20, 10, 30]])
    with pytest.raises(UlnnError, match=r'column dt: the median step is 20.*unit = "ms"'):
        read(text(tmp_path / "b.csv", "dt,v\n20,1\n20,2\n20,3\n"))
    rising = "".join(f"{k / 10},{k}\n" for k in range(1, 30))
    with pytest.raises(UlnnError, match="column dt rises from row to row: it holds timestamps"):
        read(text(tmp_path / "c.csv", f"dt,v\n{rising}"))
    with pytest.raises(UlnnError, match="repeats"):
        read(text(tmp_path / "d.csv", "dt,v\n0.1,1\n0,2\n0.1,3\n"))


@pytest.mark.parametrize(
    ("how", "unit"),
    [
        (Written(time="ms"), "ms"),
        (Written(time="us", header="t"), "us"),
        (Written(time="ns", header="time"), "ns"),
    ],
)
def test_a_unit_that_nobody_said(tmp_path, how, unit):
    path = write(tmp_path / "a.csv", how)
    with pytest.raises(
        UlnnError, match=f'the median step is .*if it is {unit}, say unit = "{unit}"'
    ):
        read(path)
    assert is_right(read(path, unit=unit))


def test_slow_recordings(tmp_path):
    hourly = "".join(f"{1_714_564_800 + 900 * k},{k}\n" for k in range(5))
    assert read(text(tmp_path / "a.csv", f"timestamp,v\n{hourly}")).tick == 900
    slow = text(tmp_path / "b.csv", "time,v\n0,1\n60,2\n120,3\n")
    with pytest.raises(UlnnError, match='if it is seconds, unit = "s"'):
        read(slow)
    assert read(slow, unit="s").tick == 60
    assert read(text(tmp_path / "c.csv", "t,v\n0,1\n1,2\n2,3\n")).tick == 1


@pytest.mark.parametrize(
    "rows",
    [
        [20240501120000, 20240501120001, 20240501120100],
        [20240501120000123, 20240501120000143, 20240501120000163],
        [202405011200, 202405011201, 202405011202],
        [20240501, 20240502, 20240503],
        ["20240501120000.5", "20240501120001.5", "20240501120002.5"],
    ],
)
def test_dates_as_digits_are_refused(tmp_path, rows):
    path = text(tmp_path / "a.csv", "timestamp,v\n" + "".join(f"{row},1\n" for row in rows))
    with pytest.raises(UlnnError, match=r"holds dates as digits .*ISO 8601"):
        read(path)


@pytest.mark.parametrize("step", [0.02, 1, 60, 1800])
@pytest.mark.parametrize("start", [45413.5, 739373.5])
def test_days_of_a_spreadsheet_are_refused(tmp_path, step, start):
    rows = "".join(f"{start + (0.3 + step * k) / 86400:.12f},{k}\n" for k in range(20))
    if step >= 1:
        rows = "".join(f"{start + step * k / 86400:.10f},{k}\n" for k in range(1, 20))
    path = text(tmp_path / "a.csv", f"time,v\n{rows}")
    with pytest.raises(UlnnError, match="days of a spreadsheet"):
        read(path)


@pytest.mark.parametrize("start", [45000.25, 30000.0, 740000.02])
@pytest.mark.parametrize("step", [0.001, 0.02, 0.25])
def test_seconds_after_a_long_time_are_no_days(tmp_path, start, step):
    rows = "".join(f"{start + step * k:.6f},{k}\n" for k in range(50))
    assert read(text(tmp_path / "a.csv", f"time,v\n{rows}")).tick == pytest.approx(step, rel=1e-3)


BAD = [
    ("", "the file is empty"),
    ("\n\n", "the file is empty"),
    ("# only\n", "no line but comments"),
    ("t,a\n", "lines of samples"),
    ("t,a\n1,2\n", "no recording has two samples"),
    ("a,b\n1,2\n3,4\n", "no column of the time was found among a, b: give time"),
    ("1,2\n3,4\n", "line 1 holds numbers, expected the names of the columns"),
    ("t,x\n1\n2\n", "no separator was found"),
    ("t,dt\n1,2\n3,4\n", "no column of samples beside t, dt"),
    ("t,a\n1,2\n2\n3,4,5\n4,5\n", "line 3: 1 fields, expected 2; {}: line 4: 3 fields"),
    ("t,a\n1,2\n2,x\n3,4\n", "line 3: column a: 'x' is not a number"),
    ("t,a\n1,2\n2,1_000\n3,4\n", "line 3: column a: '1_000' is not a number"),
    ("t,a\n1,2\n2,0x10\n3,4\n", "line 3: column a: '0x10' is not a number"),
    ("t,a\n1,2\n2,inf\n3,4\n", "line 3: column a: 'inf' is not a number"),
    ("t,a\n1,2\n2,1e39\n3,4\n", "line 3: column a: '1e39' is not a number of 32 bits"),
    ("t;a\n1;2.5\n2;3,5\n3;4.5\n", "line 3: column a: '3,5' is not a number (decimal = \",\"?)"),
    ("t;a\n1;2,5\n2;1.003,5\n3;4,5\n", "'1.003,5' is not a number (a separator of thousands?)"),
    ("t,a\n1,2\n2,٣\n3,4\n", "line 3: column a: '٣' is not a number"),
    ("t,a\n1,2\n#2,2\nx,3\n3,4\n", "line 4: column t: 'x' is not a number"),
    ("t,a\n1,2\n2,3\n1.5,4\n2,5\n", "line 4: the time goes back, 1 in all"),
    ("t,a\n1,2\n2,3\n2,4\n2,5\n", "line 4: the time repeats, 2 in all"),
    ("t,a,b\n1,2,3\n2,,3\n3,4,\n4,nan,1\n", "line 3: a missing value, 3 in all (a 2, b 1)"),
    ("t,a\n1,2\n,3\n3,4\n", "line 3: a missing value, 1 in all (t 1)"),
    ("t,a,a\n1,2,3\n2,3,4\n", "column a is there 2 times"),
    ("t,a,\n1,2,3\n2,3,5\n", "column 3 has no name"),
    ("t,a,word\n1,2,up\n2,3,down\n", "column word holds 'up', not numbers: if it is the label"),
    ("t,a,Label\n1,2,0\n2,3,1\n", 'column Label: if it is the label, say label = "Label"'),
    ("t,a,subject\n1,2,0\n2,3,1\n", 'column subject: if it is the group, say group = "subject"'),
    ("time,v\n01.05.2024 12:00:00,1\n01.05.2024 12:00:01,2\n", "order of day and month"),
    ("time,v\n12:00:00,1\n12:00:01,2\n", "a clock time without its date"),
    ("time,v\nMay 1,1\nMay 2,2\n", "'May 1' is not a time"),
    ("time,v\n2024-05-01T12:00,1\n2024-13-01T12:00,2\n2024-05-02T12:00,3\n", "line 3: '2024-13"),
    ("t,a,b\n1,0,5,1,5\n2,0,6,1,7\n", "line 2 has 5 fields, the line above 3"),
    ("<!DOCTYPE html>\n<html>\n", "this is a page of HTML"),
    ('{"a": 1}\n', "this is JSON"),
    ("version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD)
def test_bad_tables(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UlnnError, match=re.escape(message.format(path))) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_all_bad_lines_are_counted(tmp_path):
    rows = [f"{k},{k}" for k in range(1000)]
    for k in (10, 500, 501, 999):
        rows[k] = f"{k},?!"
    (tmp_path / "logs").mkdir()
    text(tmp_path / "logs" / "b.csv", "t,v\n" + "\n".join(rows))
    path = text(tmp_path / "logs" / "a.csv", "t,v\n0,1\n1,x\n2,3\n")
    with pytest.raises(UlnnError) as caught:
        read(path.parent)
    assert str(caught.value).endswith("; and 2 more (5 bad lines)")
    assert "b.csv: line 12: column v: '?!'" in str(caught.value)


def test_encodings(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("t,T °C\n0,1\n1,2\n".encode("cp1252"))
    with pytest.raises(UlnnError, match=r'line 1 is not UTF-8 \(byte b0\): .* such as "cp1252"'):
        read(path)
    assert read(path, encoding="cp1252").channels == ("T °C",)
    late = b"t,v,w\n" + b"".join(b"%d,1,ok\n" % k for k in range(100_000)) + b"100000,1,\xfc\n"
    path.write_bytes(late)
    with pytest.raises(UlnnError, match="line 100002 is not UTF-8"):
        read(path, label="w", per="step")
    path.write_bytes("t,v\n0,1\n1,2\n".encode("utf-16")[:-1])
    with pytest.raises(UlnnError, match="cut off"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04rest", "a zip or spreadsheet file"),
        (b"\x1f\x8brest", "a gzip file"),
        (b"PAR1rest", "a Parquet file"),
        (b"\x93NUMPYrest", r"a \.npy file"),
        (b"\x00" * 1000, "bad lines|no separator|expected"),
    ],
)
def test_other_files(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UlnnError, match=message):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"unit": "h"}, "unit is 'h', expected s, ms, us or ns"),
        ({"time": "stamp"}, "time: no column stamp, found timestamp, ax, ay, az"),
        ({"label": "b", "per": "step"}, "label: no column b, found"),
        ({"group": "b"}, "group: no column b, found"),
        ({"channels": ["ax", "gx"]}, "channels: no column gx, found"),
        ({"channels": ["ax", "AX"]}, "channels has a column twice"),
        ({"channels": ["ax", "timestamp"]}, "channels: column timestamp is the time"),
        ({"label": "timestamp", "per": "step"}, "column timestamp is the time and the label"),
        ({"label": "az"}, 'per = "step"'),
        ({"separator": "ab"}, "separator is 'ab', expected one character"),
        ({"separator": ",", "decimal": ","}, "separator and decimal are both ','"),
        ({"decimal": ";"}, "decimal is ';', expected . or ,"),
        ({"encoding": "nonsense"}, "encoding 'nonsense' is not known"),
        ({"encoding": "base64"}, "encoding 'base64' is not known"),
        ({"missing": "skip"}, "missing is 'skip', expected refuse, hold or drop"),
        ({"clock": "mend"}, "clock is 'mend', expected refuse, split or sort"),
        ({"target": "word"}, "target is 'word', expected class, value or next"),
        ({"per": "window"}, "per is 'window', expected sequence or step"),
        ({"gap": -1.0}, "gap is -1.0 s, expected 0 or more"),
        ({"missing_values": [float("nan")]}, "expected finite numbers"),
        ({"target": "next", "label": "az"}, 'target = "next" is the next sample'),
        ({"labels": "az"}, "unknown key labels, expected one of time, unit"),
    ],
)
def test_keys(tmp_path, keys, message):
    path = write(tmp_path / "a.csv")
    with pytest.raises(UlnnError, match=message):
        read(path, **keys)


def test_files_folders_and_patterns(tmp_path):
    for name in ("p1/run.csv", "p1/walk.csv", "p2/run.CSV", "p2/.hidden.csv", "p2/notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name)
    reading = read_logs(tmp_path)
    assert [path.name for path in reading.files] == ["run.csv", "walk.csv", "run.CSV"]
    assert (len(reading.data), reading.data.flat) == (3, False)
    data = read_data(tmp_path, DataOptions(group="p{}/*", label="{}.csv"))
    assert (data.group.tolist(), data.groups) == ([0, 0, 1], ("1", "2"))
    assert (data.y.tolist(), data.labels) == ([0, 1, 0], ("run", "walk"))
    assert len(read(str(tmp_path / "*" / "run.*"), tmp_path / "p1" / "run.csv")) == 2
    assert len(read(str(tmp_path / "**" / "*.csv"))) == 2
    for source, message in (
        (tmp_path / "none.csv", "no such file"),
        (tmp_path / "p2" / "notes.md", r"expected a \.npz, .* file"),
        (tmp_path / "*.csv", "no file has such a name"),
        (tmp_path / "empty", "the folder holds no"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(UlnnError, match=message):
            read(source)
    with pytest.raises(UlnnError, match=r'the name does not fit group = "x\{\}\.csv"'):
        read(tmp_path, group="x{}.csv")
    with pytest.raises(UlnnError, match="no file of data is named"):
        read()


def test_files_with_columns_in_another_order(tmp_path):
    a = text(tmp_path / "a.csv", "t,x,y\n0,1,2\n1,3,4\n")
    b = text(tmp_path / "b.csv", "Y;t;X\n2;0;1\n4;1;3\n")
    data = read(a, b)
    assert data.channels == ("x", "y")
    assert np.array_equal(data.x[0], data.x[1])
    with pytest.raises(UlnnError, match=r"c\.csv: no channel y, which .*a\.csv has"):
        read(a, text(tmp_path / "c.csv", "t,x\n0,1\n1,3\n"))
    more = text(tmp_path / "d.csv", "t,x,y,z\n0,1,2,3\n1,3,4,5\n")
    with pytest.raises(UlnnError, match=r"a\.csv has no channel z: say channels"):
        read(a, more)
    assert read(a, more, channels=["y", "x"]).x[1].tolist() == [[2, 1], [4, 3]]


def test_outliers_are_warned_of(tmp_path):
    values = VALUES[:, 2].copy()
    values[7] = -9999
    path = write(tmp_path / "a.csv", az=values)
    with pytest.warns(UlnnWarning, match="channel az: 1 outlier, -9999 in sample 7, where"):
        read(path)
    held = read(path, missing_values=[-9999], missing="hold")
    assert held.x[0, 7, 2] == held.x[0, 6, 2] == np.float32(VALUES[6, 2])


def test_a_table_and_arrays_together(tmp_path):
    first = read(write(tmp_path / "a.csv"), channels=["ax", "ay", "az"])
    save_npz(tmp_path / "b.npz", read(tmp_path / "a.csv", channels=["az", "ay", "ax"]))
    both = read(tmp_path / "a.csv", tmp_path / "b.npz")
    assert both.channels == ("ax", "ay", "az")
    assert np.array_equal(both.x[0], both.x[1])
    assert np.array_equal(both.x[0], first.x[0])
