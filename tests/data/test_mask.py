"""`ulnn mask`: files of all kinds under a policy; what is planted in them is in no byte of what is
written, reported or printed."""

from __future__ import annotations

import errno
import io
import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ulnn_host as uh
from support import mask_cases
from support.examples import collect
from support.mask_cases import TEXTS, WAVE, cases, found
from ulnn_host.base.console import Terminal
from ulnn_host.base.errors import UlnnError
from ulnn_host.data import mask_json
from ulnn_host.data.mask import Masked, mask, new_key, read_policy
from ulnn_host.data.mask_groups import Grouping
from ulnn_host.data.mask_run import Run
from ulnn_host.data.options import DataOptions
from ulnn_host.report import mask_text

POLICY: dict[str, Any] = {
    "fields": {
        "patient": {"do": "pseudonym"},
        "name": {"do": "drop"},
        "what": {"do": "keep", "words": ["still", "walking"]},
        "lat": {"do": "round", "metres": 1000},
        "lon": {"do": "round", "metres": 1000, "at": "lat"},
        "time": {"do": "round", "bucket": "1 h"},
        "born": {"do": "round", "bucket": "year"},
        "age": {"do": "clip", "low": 18, "high": 90, "step": 5},
        "temp": {"do": "round", "step": 0.25},
        "pulse": {"do": "noise", "low": 40, "high": 180, "epsilon": 1},
        "count": {"do": "keep"},
        "mean": {"do": "keep", "list": 3},
    },
    "channels": {"ax": {"do": "keep"}, "ay": {"do": "round", "step": 0.5}},
    "key": {"file": "keeper.json"},
    "budget": {"epsilon": 1000, "file": "spent.json"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a policy and a keeper's file."""
    return with_policy(tmp_path, POLICY)


def with_policy(folder: Path, policy: dict[str, Any]) -> Path:
    (folder / "policy.json").write_text(json.dumps(policy))
    (folder / "keeper.json").write_text(json.dumps(mask_cases.KEYS))
    return folder


def through(folder: Path, name: str, content: str, **more: Any) -> tuple[Masked, str]:
    """A text file through the policy, and what is written."""
    (folder / name).write_text(content)
    made = mask(folder / "policy.json", folder / name, folder / f"out-{name}", **more)
    return made, (folder / f"out-{name}").read_text()


def printed(made: Masked) -> str:
    console = Terminal(width=120, record=True, file=None, stderr=True, quiet=False)
    with console.capture() as capture:
        mask_text.show(made, console)
    return capture.get()


# ---- tables -------------------------------------------------------------------------------------

CSV = """# recorded by Anneliese Muster
time;patient;name;what;lat;lon;born;age;temp;note;count;ax
2024-05-31T12:34:56+02:00;p1;Anneliese;still;48,137154;11,5754;1965-03-17;33;36,6;"called; at
noon";7,5;0,5
2024-05-31T12:44:56+02:00;p2;Bert;walking;48,1372;11,58;1970-01-01;102;nan;;NA;0,7

# Anneliese again
time;patient;name;what;lat;lon;born;age;temp;note;count;ax
2024-05-31T14:44:56+02:00;p1;Anneliese;dancing;48,1372;x;17.03.1965;Anna;36,8;;Anna;0,7
one;field;too few
"""


def test_csv(folder: Path) -> None:
    made, text = through(folder, "in.csv", CSV)
    p1, p2 = (row.split(";")[1] for row in text.splitlines()[1:3])
    assert p1 != p2
    assert p1.startswith("k1-")
    assert text.splitlines() == [
        "time;patient;what;lat;lon;born;age;temp;count",
        f"2024-05-31T10:00:00Z;{p1};still;48,139;11,5765;1965-01-01;35;36,5;7,5",
        f"2024-05-31T10:00:00Z;{p2};walking;48,139;11,5765;1970-01-01;90;;",
        f"2024-05-31T12:00:00Z;{p1};;48,139;;;;36,75;",
    ]
    assert (made.records, made.bad, made.unknown, made.unknown_values) == (4, 1, 1, 3)
    by_name = {field.name: field for field in made.fields}
    assert by_name["name"].refused == {"dropped": 3}
    assert by_name["what"].refused == by_name["count"].refused == {"text": 1}
    assert by_name["ax"].refused == {"waveform": 3}
    assert by_name["born"].refused == by_name["lon"].refused == {"unfit": 1}
    assert made.absent == ("pulse", "mean", "ay")
    assert made.unknown_names == ("note",)
    for report in (json.dumps(made.to_dict()), printed(made)):
        for word in ("Anneliese", "p1", "1965-03-17", "48.137", "note", "keeper"):
            assert word not in report


def test_for_the_network_channels_leave(folder: Path) -> None:
    (folder / "in.csv").write_text(CSV)
    paths = [folder / name for name in ("policy.json", "in.csv", "out.csv")]
    assert uh.mask(*paths, purpose="network").records == 4
    text = paths[2].read_text()
    assert text.splitlines()[0].endswith(";count;ax")
    assert text.splitlines()[1].endswith(";7,5;0,5")


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_other_encodings_and_ends_of_lines(folder: Path, encoding: str, end: str) -> None:
    text = end.join(["patient,name,age", "Örjan,Weiß,33", "Ödön,Weiß,41", ""])
    (folder / "in.csv").write_bytes(text.encode(encoding))
    options = DataOptions(encoding=encoding)
    mask(folder / "policy.json", folder / "in.csv", folder / "out.csv", options=options)
    lines = (folder / "out.csv").read_text().splitlines()
    assert lines[0] == "patient,age"
    assert [line.split(",")[1] for line in lines[1:]] == ["35", "40"]


def table() -> Any:
    moments = [datetime(2024, 5, 31, 12, 34, 56, 123, tzinfo=UTC), None]
    return pa.table(
        {
            "patient": pa.array([4711, 4712]),
            "name": ["Anneliese", "Bert"],
            "what": pa.array(["still", "Anneliese"]).dictionary_encode(),
            "time": pa.array(moments, pa.timestamp("ns", tz="Europe/Berlin")),
            "born": pa.array([date(1965, 3, 17)] * 2),
            "age": pa.array([17, 33], pa.int16()),
            "temp": pa.array([36.6, float("nan")], pa.float32()),
            "pulse": [70, None],
            "count": pa.array([1, None], pa.uint8()),
            "mean": [[1.5, 2], [1, 2, 3, 4]],
            "lat": ["48.1", "x"],
            "lon": [11.1, 11.2],
            "ax": pa.array([WAVE, WAVE]),
            "place": [{"street": "Hauptstraße 17"}] * 2,
        }
    ).replace_schema_metadata({"person": "Anneliese Muster"})


def test_parquet(folder: Path) -> None:
    pq.write_table(table(), folder / "in.parquet")
    made = mask(folder / "policy.json", folder / "in.parquet", folder / "out.parquet")
    left = pq.read_table(folder / "out.parquet")
    assert {field.name: str(field.type) for field in left.schema} == {
        "patient": "string", "what": "string", "time": "timestamp[ns, tz=Europe/Berlin]",
        "born": "date32[day]", "age": "int64", "temp": "double", "pulse": "int64",
        "count": "uint8", "mean": "list<element: double>", "lat": "double", "lon": "double",
    }  # fmt: skip
    rows = left.drop_columns(["patient", "pulse", "time"]).to_pylist()
    new_year = date(1965, 1, 1)
    assert rows == [
        {"what": "still", "born": new_year, "age": 18, "temp": 36.5, "count": 1,
         "mean": [1.5, 2], "lat": 48.1026, "lon": 11.097},
        {"what": None, "born": new_year, "age": 35, "temp": None, "count": None,
         "mean": None, "lat": None, "lon": None},
    ]  # fmt: skip
    times = left["time"].cast(pa.timestamp("s", "UTC")).to_pylist()
    assert times == [datetime(2024, 5, 31, 12, tzinfo=UTC), None]
    assert not left.schema.metadata
    content = (folder / "out.parquet").read_bytes()
    assert b"Anneliese" not in content
    assert found(content) == []
    assert (made.records, made.unknown) == (2, 1)
    assert b"Anneliese" not in json.dumps(made.to_dict()).encode()


def test_json_lines(folder: Path) -> None:
    record = {"patient": "p1", "name": "Anneliese", "temp": 36.6, "Anneliese": 1, "born": None}
    lines = [json.dumps(record), "", "Anneliese", "[1]", '{"temp": NaN}', "[" * 100_000, "\x00"]
    made, text = through(folder, "in.jsonl", "\n".join(lines))
    first, second = map(json.loads, text.splitlines())
    assert first == {"patient": first["patient"], "temp": 36.5, "born": None}
    assert second == {}
    assert (made.records, made.bad, made.unknown) == (6, 4, 1)
    for report in (json.dumps(made.to_dict()), printed(made)):
        assert "Anneliese" not in report


@pytest.mark.parametrize("case", collect(cases(30), 20))
def test_nothing_planted_is_written_or_reported(
    tmp_path: Path, case: tuple[dict[str, Any], list[Any]]
) -> None:
    policy, records = case
    folder = with_policy(tmp_path, policy)
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    rows = [record for record in records if isinstance(record, dict)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    paths = [source]
    if len(names) > 1:
        paths.append(folder / "in.csv")
        texts = [[str(row.get(name, "")) for name in names] for row in rows]
        cells = [names, *texts]
        quoted = [",".join(f'"{c.replace(chr(34), chr(39))}"' for c in row) for row in cells]
        paths[-1].write_text("\n".join(quoted) + "\n", encoding="utf-8")
        paths.append(folder / "in.parquet")
        pq.write_table(
            pa.table(dict(zip(names, zip(*texts, strict=True), strict=True))), paths[-1]
        )
    refused: list[str] = []
    for path in paths:
        for output in (None, folder / f"out{path.suffix}"):
            try:
                made = mask(folder / "policy.json", path, output)
            except UlnnError as error:
                refused.append(str(error))
                continue
            shown = json.dumps(made.to_dict()) + printed(made)
            assert found(shown.encode()) == []
            if output:
                assert found(output.read_bytes()) == []
    known = ("no column of it may leave", "expected a line with the names")
    assert all(any(text in error for text in known) for error in refused), refused
    spent = folder / "spent.json"
    assert not spent.exists() or found(spent.read_bytes()) == []


# ---- whole or not at all, in pieces -------------------------------------------------------------


def test_an_error_leaves_the_old_output(folder: Path) -> None:
    (folder / "in.csv").write_bytes(b"patient,age\n" + b"p1,33\n" * 50_000 + b'p2,"3\xff\n')
    (folder / "out.csv").write_text("old")
    with pytest.raises(UlnnError, match=r"in\.csv is not utf-8: give encoding"):
        mask(folder / "policy.json", folder / "in.csv", folder / "out.csv")
    assert (folder / "out.csv").read_text() == "old"
    assert {path.name for path in folder.iterdir()} == {
        "in.csv", "out.csv", "policy.json", "keeper.json"
    }  # fmt: skip


@pytest.mark.parametrize(("source", "output", "text"), [
    ("in.csv", "out.parquet", "expected the kind of"),
    ("in.xlsx", "out.csv", "expected a .csv, "),
    ("nowhere.csv", "out.csv", "no such file"),
    ("in.csv", "in.csv", "is an input and would be overwritten"),
    ("in.csv", "policy.csv", ""),
])  # fmt: skip
def test_wrong_files(folder: Path, source: str, output: str, text: str) -> None:
    (folder / "in.csv").write_text("patient,age\np1,33\np2,44\n")
    if not text:
        mask(folder / "policy.json", folder / source, folder / output)
        return
    with pytest.raises(UlnnError, match=text):
        mask(folder / "policy.json", folder / source, folder / output)


MEASURE = """
import resource, sys
from ulnn_host.data.mask import mask
mask(*sys.argv[1:])
if sys.argv[2].endswith("parquet"):  # Arrow's allocator gives little back, so its own figure
    import pyarrow
    print(pyarrow.default_memory_pool().max_memory() // 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_file(folder: Path, kind: str, full: bool) -> None:
    draw = random.Random(1)
    peak = []
    for count in (30_000, 1_500_000 if full else 120_000):
        path = folder / f"in.{kind}"
        rows = ((f"p{draw.randrange(10**7)}", f"text {k}", draw.random()) for k in range(count))
        if kind == "parquet":
            names = ("patient", "note", "temp")
            columns = zip(*rows, strict=True)
            pq.write_table(
                pa.table(dict(zip(names, columns, strict=True))), path, row_group_size=20_000
            )
        else:
            with path.open("w") as file:
                if kind == "csv":
                    file.write("patient,note,temp\n")
                    file.writelines(f"{a},{b},{c}\n" for a, b, c in rows)
                else:
                    file.writelines(
                        json.dumps({"patient": a, "note": b, "temp": c}) + "\n" for a, b, c in rows
                    )
        words = [folder / "policy.json", path, folder / f"out.{kind}"]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *words], capture_output=True, text=True, check=True
        )
        peak.append(int(done.stdout) / 1024)
    assert peak[1] < peak[0] + (2 if kind == "parquet" else 20), peak


# ---- budgets, keys, groups ----------------------------------------------------------------------


def test_a_budget_is_paid_once_and_kept(folder: Path) -> None:
    policy = POLICY | {"budget": {"epsilon": 5, "file": "spent.json"}}
    with_policy(folder, policy)
    text = "patient,pulse\n" + "p1,70\n" * 3
    (folder / "in.csv").write_text(text)
    check = mask(folder / "policy.json", folder / "in.csv")
    assert not (folder / "spent.json").exists()
    assert {f.name: f.examples for f in check.fields}["pulse"] == []
    left = [through(folder, "in.csv", text)[1].count(",\n") for _ in range(3)]
    assert left == [0, 1, 3]
    assert json.loads((folder / "spent.json").read_text()) == {"": [5_000_000, 0]}


def test_nothing_leaves_that_is_not_paid_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(a: str, b: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ulnn_rules.budget.os.rename", full_disk)
    with pytest.raises(UlnnError, match=r"spent\.json cannot be written"):
        through(folder, "in.csv", "patient,pulse\np1,70\np1,71\n")
    assert not (folder / "out-in.csv").exists()


def test_a_new_key(folder: Path) -> None:
    path = folder / "new.json"
    assert new_key(path) == "k1"
    assert path.stat().st_mode & 0o777 == 0o600
    before = json.loads(path.read_text())
    assert new_key(path) == "k2"
    after = json.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert after["keys"]["k1"] == before["keys"]["k1"] != after["keys"]["k2"]
    assert len(bytes.fromhex(after["keys"]["k2"])) == 32
    path.write_text("{}")
    with pytest.raises(UlnnError, match="expected"):
        new_key(path)


def test_groups_count_persons(folder: Path) -> None:
    rows = [("p1", "still", 33)] * 9 + [("p2", "still", 34)] + [("p3", "walking", 60)] * 2
    text = "patient,what,age\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    (folder / "in.csv").write_text(text)
    groups = mask(folder / "policy.json", folder / "in.csv").groups
    assert groups is not None
    assert (groups.of, groups.fields) == ("persons", ("what", "age"))
    assert (groups.count, groups.smallest, groups.unique) == (2, 1, 1)
    assert (groups.small, groups.small_records, groups.sizes) == (2, 12, (1, 2))
    made = mask(folder / "policy.json", folder / "in.csv")
    assert "in 1 there is only one" in printed(made)


def test_groups_are_those_of_a_count() -> None:
    draw = random.Random(3)
    rows = [(draw.randrange(4), draw.randrange(3), draw.randrange(40)) for _ in range(300)]
    grouping = Grouping(("a", "b"), "who")
    for start in range(0, 300, 70):
        a, b, who = zip(*rows[start : start + 70], strict=True)
        grouping.add({"a": a, "b": b, "who": who}, len(a))
    persons: dict[Any, set[int]] = defaultdict(set)
    for a, b, who in rows:
        persons[a, b].add(who)
    made = grouping.groups()
    assert made.count == len(persons)
    assert list(made.sizes) == sorted(len(who) for who in persons.values())[:10]
    small = [key for key, who in persons.items() if len(who) < 5]
    assert made.small == len(small)
    records = Counter((a, b) for a, b, _ in rows)
    assert made.small_records == sum(records[key] for key in small)


def test_groups_of_lists_and_of_nothing_but_zeros() -> None:
    grouping = Grouping(("a", "b", "c"), "who")
    who = [["k1-x", "k1-y"], ["k1-x"], ["k1-x", "k1-y"]]
    grouping.add({"a": [0, 0, 0], "b": ["", "", ""], "who": who}, 3)
    made = grouping.groups()
    assert made.fields == ("a", "b")
    assert (made.count, made.smallest) == (1, 2)


def test_a_full_disk_is_not_blamed_on_the_source(folder: Path) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "no space left on device")

    source = folder / "in.jsonl"
    source.write_text('{"age": 40}\n')
    run = Run(read_policy(folder / "policy.json"), "send", None, lambda done: None)
    with pytest.raises(OSError, match="no space"):
        mask_json.mask(run, source, Full())


def test_a_pseudonym_of_known_ids(folder: Path) -> None:
    """The figures of host/docs/privacy.md: what a dictionary finds."""
    import hashlib

    ids = [f"p{k:04}" for k in range(1000)]
    plain = {hashlib.sha256(name.encode()).hexdigest()[:16] for name in ids}
    assert sum(hashlib.sha256(name.encode()).hexdigest()[:16] in plain for name in ids) == 1000
    policy = read_policy(folder / "policy.json")
    masked = {policy.filter({"patient": name}, "send")["patient"] for name in ids}
    assert len(masked) == 1000
    # the keeper, or a thief of the keeper's file
    thief = read_policy(folder / "policy.json")
    assert sum(thief.filter({"patient": n}, "send")["patient"] in masked for n in ids) == 1000
    new_key(folder / "keeper.json")  # another key
    other = read_policy(folder / "policy.json")
    assert sum(other.filter({"patient": n}, "send")["patient"][3:] in masked for n in ids) == 0
    assert sum(n in masked for n in ids) == 0


def test_planted_texts_are_planted() -> None:
    assert all(found(text.encode()) for text in TEXTS)
