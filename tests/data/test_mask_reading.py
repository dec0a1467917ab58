"""Data that are read under a policy: what the policy keeps from the network is not read, and the
rest is masked as a board masks it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ulnn_host as uh
from support.mask_cases import KEYS
from support.mask_policies import policy as policy_of
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.mask_reading import numbers
from ulnn_host.data.npz import save_npz
from ulnn_host.train.recipe import dump, read_recipe

FIELDS: dict[str, Any] = {
    "patient": {"do": "pseudonym"},
    "name": {"do": "drop"},
    "what": {"do": "keep", "words": ["still", "walking"]},
    # where no column has them: in an .npz file, and in names of files
    "label": {"do": "keep", "words": ["still", "walking"]},
    "group": {"do": "pseudonym", "domain": "patient"},
}
CHANNELS: dict[str, Any] = {
    "ax": {"do": "round", "step": 0.5},
    "ay": {"do": "clip", "low": -1, "high": 1},
    "az": {"do": "drop"},
}
TABLE = """time_ms,patient,name,what,ax,ay,az,secret
0,p1,Anneliese,still,0.1,0.3,1,17
20,p1,Anneliese,still,0.3,0.7,1,17
40,p1,Anneliese,still,0.8,1.1,1,17
60,p2,Bert,walking,0.3,-1.2,1,18
80,p2,Bert,walking,0.3,1.6,1,18
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    content = {"fields": FIELDS, "channels": CHANNELS, "key": {"file": "keeper.json"}}
    (tmp_path / "policy.json").write_text(json.dumps(content))
    (tmp_path / "keeper.json").write_text(json.dumps(KEYS))
    (tmp_path / "p7_take.csv").write_text(TABLE)
    return tmp_path


def read(folder: Path, name: str = "p7_take.csv", **keys: Any) -> uh.Sequences:
    return uh.read(folder / name, mask=str(folder / "policy.json"), **keys)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables(folder: Path, kind: str) -> None:
    if kind == "parquet":
        import pyarrow.csv
        import pyarrow.parquet as pq

        pq.write_table(pyarrow.csv.read_csv(folder / "p7_take.csv"), folder / "p7_take.parquet")
    data = read(folder, f"p7_take.{kind}", label="what", group="patient", per="sequence")
    assert data.channels == ("ax", "ay")
    assert data.labels == ("still", "walking")
    assert all(name.startswith("k1-") for name in data.groups)
    np.testing.assert_array_equal(data.x[0], np.float32([[0, 0.3], [0.5, 0.7], [1, 1]]))
    np.testing.assert_array_equal(data.x[1, :2], np.float32([[0.5, -1], [0.5, 1]]))
    assert not data.x[1, 2:].any()  # what is behind the end is not clipped
    np.testing.assert_allclose(data.dt[0], 0.02)


def test_a_group_in_a_name_is_a_pseudonym_too(folder: Path) -> None:
    data = read(folder, group="{}_*.csv")
    from_column = uh.read(
        folder / "p7_take.csv", mask=str(folder / "policy.json"), group="patient"
    )
    assert len(data.groups) == 1
    assert data.groups[0].startswith("k1-")
    assert data.groups[0] not in from_column.groups  # p7 is neither p1 nor p2


def test_npz(folder: Path) -> None:
    plain = uh.read(folder / "p7_take.csv", label="what", group="patient", per="sequence",
                    channels=("ax", "ay", "az"))  # fmt: skip
    save_npz(folder / "takes.npz", plain)
    masked = uh.read(folder / "takes.npz", mask=str(folder / "policy.json"), per="sequence")
    save_npz(folder / "nameless.npz", uh.Sequences(plain.x, plain.dt))
    with pytest.raises(UlnnError, match="channel 0 from the network"):
        read(folder, "nameless.npz")
    assert masked.channels == ("ax", "ay")
    assert not set(masked.groups) & {"p1", "p2"}


def test_codes_of_npz_without_names(folder: Path) -> None:
    """Codes of groups are any numbers, also negative and far apart; of classes, 0 or more."""
    x, dt = np.zeros((4, 5, 1), np.float32), np.full((4, 5), 0.02, np.float32)
    plain = uh.Sequences(x, dt, group=np.array([7, -1, 7, 2**40]))
    fields = {"label": {"do": "keep"}, "group": {"do": "pseudonym"}}
    content = {"fields": fields, "channels": {"0": {"do": "keep"}}, "key": {"file": "keeper.json"}}
    (folder / "policy.json").write_text(json.dumps(content))
    save_npz(folder / "a.npz", plain)
    data = read(folder, "a.npz")
    assert data.group is not None
    names = [data.groups[k] for k in data.group]
    assert len(set(names)) == 3
    assert names[0] == names[2]
    save_npz(folder / "a.npz", replace(plain, y=np.array([0, 1, -1, 0])))
    with pytest.raises(UlnnError, match="label -1"):
        read(folder, "a.npz")


@pytest.mark.parametrize(("keys", "text"), [
    ({"channels": ("ax", "az")}, "the policy keeps channel az from the network"),
    ({"channels": ("ax", "secret")}, "the policy keeps channel secret from the network"),
    ({"group": "name"}, "field name: the policy keeps it from the network"),
    ({"label": "secret", "per": "step"}, "field secret: the policy does not know it"),
    ({"label": "name", "per": "step"}, "field name: the policy keeps it from the network"),
    ({"label": "secret", "per": "step", "target": "value"}, "keeps secret from the network"),
])  # fmt: skip
def test_what_may_not_go_to_the_network(folder: Path, keys: dict[str, Any], text: str) -> None:
    with pytest.raises(UlnnError, match=text) as caught:
        read(folder, **keys)
    assert "Anneliese" not in str(caught.value)


def test_words_that_do_not_fit_are_counted_and_not_shown(folder: Path) -> None:
    (folder / "x.csv").write_text(TABLE.replace("walking", "Anneliese"))
    with pytest.raises(UlnnError, match="field what: 1 of 2 words do not fit") as caught:
        read(folder, "x.csv", label="what", per="sequence")
    assert "Anneliese" not in str(caught.value)


def test_errors_show_no_cell_of_others(folder: Path) -> None:
    """A column of words is left out; without a policy an error asks for it, with an example."""
    with pytest.raises(UlnnError, match="if it is the group"):
        uh.read(folder / "p7_take.csv")
    assert read(folder).channels == ("ax", "ay")
    (folder / "x.csv").write_text(TABLE.replace("0.8", "Anneliese"))
    with pytest.raises(UlnnError, match="column ax: a cell is not a number") as caught:
        read(folder, "x.csv")
    assert "Anneliese" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"time_ms": [0, 20, 40], "ax": [0.1, 1.25e300, 0.2]}, "column ax: a cell is not a num"),
        ({"time": ["2026-01-01T00:00:00", "Anneliese", ""], "ax": 3 * [0.1]}, "time: a cell is"),
    ],
)
def test_errors_show_no_value_of_parquet(
    folder: Path, columns: dict[str, list[Any]], text: str
) -> None:
    pq.write_table(pa.table(columns), folder / "x.parquet")
    with pytest.raises(UlnnError, match=text) as caught:
        read(folder, "x.parquet")
    assert "1.25" not in str(caught.value)
    assert "Anneliese" not in str(caught.value)


def test_in_a_recipe(folder: Path) -> None:
    text = '[data]\nsource = "p7_take.csv"\nmask = "policy.json"\nlabel = "what"\n'
    (folder / "r.toml").write_text(text + 'per = "sequence"\n[model]\nreadout = "mean"\n')
    recipe = read_recipe(folder / "r.toml")
    assert recipe.data.mask == str(folder / "policy.json")
    assert 'mask = "policy.json"' in dump(recipe, folder)


RULES = st.sampled_from([
    {"do": "round", "step": 0.5}, {"do": "round", "step": 0.1}, {"do": "round", "step": 0.003},
    {"do": "round", "step": 250}, {"do": "clip", "low": -0.7, "high": 1.3},
    {"do": "clip", "low": -100, "high": 99.95, "step": 0.05}, {"do": "keep"},
])  # fmt: skip


@given(RULES, st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30))
def test_arrays_are_masked_as_single_values(rule: dict[str, Any], values: list[float]) -> None:
    step = rule.get("step", 0.5)
    ties = [np.float32((k + 0.5) * step) for k in range(-40, 40)]
    given = np.array([*values, *ties], np.float32)
    made = policy_of({"v": rule}).fields["v"]
    want = np.array([made.mask(float(v), {}) for v in given], np.float64).astype(np.float32)
    np.testing.assert_array_equal(numbers(made, given), want)
