"""NAMES and DECISION: read with one parser on a PC and on boards, which damage cannot mislead, and
ignored by engines."""

from __future__ import annotations

import ast
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import meaning_cases
from support.meaning_cases import INPUTS, OUTPUTS, decision_cases, names_cases
from support.paths import FIRMWARE, SUPPORT
from support.random_models import Shape, random_model
from support.raw_file import DECISION, NAMES, File, Section, text_of
from support.unix import needs_micropython, unix
from ulnn_host.base.errors import UlnnError
from ulnn_host.engines import registry as engines
from ulnn_host.format import container, facts
from ulnn_host.format.model import Decision, Names
from ulnn_rules import meaning

MODEL = replace(
    random_model(1, Shape(inputs=INPUTS, hidden=3, backbone=(), outputs=OUTPUTS)), meta={}
)
NAMED = replace(
    MODEL,
    names=Names(("ax", "pulse"), ("m/s²", ""), ("still", "walking", "läuft")),
    decision=Decision("mean", reset=True, window=200, votes=3, enter=9000, leave=4000, least=50),
)
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)
NAME = TEXT.filter(bool)


def with_section(kind: int, content: bytes) -> bytes:
    """A file with this section as its last."""
    f = File.read(container.write(MODEL))
    return replace(f, sections=(*f.sections, Section(kind, 0, content))).write()


# ---- good files ---------------------------------------------------------------------------------


@given(
    st.builds(Names, st.just(()) | st.tuples(NAME, NAME), st.tuples(TEXT, TEXT))
    .map(lambda names: replace(names, units=names.units if names.channels else ()))
    .flatmap(lambda names: st.builds(replace, st.just(names), labels=st.tuples(*3 * [NAME])))
)
def test_names_come_back(names: Names) -> None:
    data = container.write(replace(MODEL, names=names))
    assert container.read(data).names == names
    found = meaning.Meaning(data)
    assert (found.channels, found.units, found.labels) == (
        names.channels, names.units, names.labels,
    )  # fmt: skip
    assert found.readout == ""


@given(
    st.sampled_from(meaning.READOUTS), st.booleans(), st.booleans(), st.booleans(),
    st.integers(0, 2**31 - 1), st.integers(1, 255), st.integers(0, 65535), st.floats(0, 1),
    st.integers(0, 2**31 - 1),
)  # fmt: skip
def test_decisions_come_back(
    readout: str, values: bool, ticks: bool, reset: bool, window: int, votes: int, enter: int,
    share: float, least: int,
) -> None:  # fmt: skip
    each, vote = readout == "each", readout == "vote"
    decision = Decision(
        readout, values and not vote, ticks, reset and not each, 0 if each else window, votes,
        enter, int(share * enter), least,
    )  # fmt: skip
    data = container.write(replace(MODEL, decision=decision))
    assert container.read(data).decision == decision
    found = meaning.Meaning(data)
    assert Decision(**{key: getattr(found, key) for key in vars(decision)}) == decision
    assert found.labels == ()


def test_a_file_says_what_it_means(tmp_path: Path) -> None:
    path = tmp_path / "m.ulnn"
    path.write_bytes(container.write(NAMED))
    for source in (str(path), path.read_bytes(), memoryview(path.read_bytes())):
        found = meaning.Meaning(source)
        assert found.channels == ("ax", "pulse")
        assert found.units == ("m/s²", "")
        assert found.labels == ("still", "walking", "läuft")
        assert (found.readout, found.window) == ("mean", 200)
        assert (found.reset, found.ticks) == (True, False)
    model = container.read(path.read_bytes())
    assert (model.channels, model.labels) == (found.channels, found.labels)
    assert model.readout == "mean"
    said = facts.of_content(path.read_bytes(), model)
    assert said["model"]["format"] == "1.2"
    assert said["channels"] == {"ax": "m/s²", "pulse": ""}
    assert said["labels"] == {"0": "still", "1": "walking", "2": "läuft"}
    assert said["decision"]["window"] == 200
    assert {"NAMES", "DECISION"} <= set(said["sections, bytes"])


def test_files_of_version_1_1_say_it_in_their_metadata(tmp_path: Path) -> None:
    meta = {"channels": ["a", "b"], "labels": ["x", "y", "z"], "readout": "each"}
    path = tmp_path / "m.ulnn"
    path.write_bytes(container.write(replace(MODEL, meta=meta, format_minor=1)))
    model = container.read(path.read_bytes())
    assert (model.channels, model.labels, model.readout) == (("a", "b"), ("x", "y", "z"), "each")
    said = facts.of_content(path.read_bytes(), model)
    assert (said["model"]["format"], said["decision"]) == ("1.1", {"readout": "each"})
    named = container.read(container.write(replace(NAMED, meta=meta)))
    assert (named.labels[0], named.readout) == ("still", "mean")


@pytest.mark.parametrize("engine", ["native", "pure"])
def test_engines_ignore_the_sections(engine: str) -> None:
    """Good and broken ones, and the bits stay what they were."""
    module = engines.native_module() if engine == "native" else engines.pure_module()
    contents = [(NAMES, content) for _, content, _ in names_cases()]
    contents += [(DECISION, content) for _, content, _ in decision_cases()]
    for kind in range(0x8000, 0x8008):
        contents += [(kind, b""), (kind, b"\xff" * 99)]
    for kind, content in contents:
        assert module.load(with_section(kind, content)).info()["input_size"] == INPUTS


def test_a_name_that_is_too_long_is_refused() -> None:
    names = Names(labels=("a", "b", "ä" * 128))
    with pytest.raises(UlnnError, match="has 256 bytes, expected at most 255; give the class"):
        container.write(replace(MODEL, names=names))


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "\ud800", "\x85"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    match = "cannot be written, expected a text without control characters; give the channel"
    with pytest.raises(UlnnError, match=match):
        container.write(replace(MODEL, names=Names(("a", name), ("", ""))))


def test_others_than_the_first_are_ignored() -> None:
    f = File.read(container.write(NAMED))
    k = f.find(NAMES)
    more = f.swap(k, f.sections[k], Section(NAMES, 1, b"broken"))
    assert container.read(more.write()).names == NAMED.names
    assert meaning.Meaning(more.write()).labels == NAMED.labels


# ---- broken ones --------------------------------------------------------------------------------

CASES = [(NAMES, *case) for case in names_cases()] + [
    (DECISION, *case) for case in decision_cases()
]


def host_text(data: bytes) -> str:
    return text_of(lambda: container.read(data))


def rules_text(data: bytes) -> str:
    return text_of(lambda: meaning.Meaning(data))


@pytest.mark.parametrize("read", [host_text, rules_text])
def test_every_check(read: Callable[[bytes], str]) -> None:
    for kind, title, content, text in CASES:
        assert read(with_section(kind, content)) == text, title
    good = ((NAMES, meaning_cases.names()), (DECISION, meaning_cases.decision()))
    for kind, content in good:
        assert read(with_section(kind, content)) == "ok"


LABELS_ALONE = st.lists(st.binary(max_size=6), min_size=2, max_size=4).map(
    lambda words: meaning_cases.names(0, OUTPUTS, words=words)
)


@given(st.binary(max_size=40) | LABELS_ALONE)
def test_any_bytes_are_names_or_refused(content: bytes) -> None:
    data = with_section(NAMES, content)
    assert host_text(data) == rules_text(data)
    if host_text(data) == "ok":
        names = container.read(data).names
        assert names is not None
        assert (len(names.channels), len(names.labels)) in product((0, INPUTS), (0, OUTPUTS))
        again = container.write(replace(MODEL, names=names))
        assert File.read(again).sections[-1].data == content


@given(st.binary(min_size=18, max_size=22))
def test_any_bytes_are_a_decision_or_refused(content: bytes) -> None:
    data = with_section(DECISION, content)
    assert host_text(data) == rules_text(data)
    if host_text(data) == "ok":
        again = container.write(replace(MODEL, decision=container.read(data).decision))
        assert File.read(again).sections[-1].data == content


# Under MicroPython: what `rules_verdicts` does below.
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from mutations import mutated
from ulnn_rules import meaning
for name in ("named.ulnn",):
    data = open(name, "rb").read()
    for seed in range(int(sys.argv[2])):
        try:
            m = meaning.Meaning(mutated(data, seed))
            print(repr((m.channels, m.units, m.labels, m.readout, m.window, m.votes)))
        except ValueError as e:
            print(repr(str(e)))
from meaning_sections import SECTIONS
for kind, content in SECTIONS:
    try:
        read = meaning.read_names if kind == 0x8003 else lambda b, *_: meaning.read_decision(b)
        print(repr(read(content, 2, 3)))
    except ValueError as e:
        print(repr(str(e)))
"""


def said(read: Callable[[], object]) -> object:
    try:
        return read()
    except ValueError as error:
        return str(error)


@needs_micropython
def test_micropython_says_the_same(tmp_path: Path) -> None:
    """Of mutated files (header, section table and sections alone) and of every broken section."""
    from support.mutations import mutated

    f = File.read(container.write(NAMED))
    small = replace(f, sections=tuple(s for s in f.sections if s.type in (NAMES, DECISION)))
    data, count = small.write(), 4000
    (tmp_path / "named.ulnn").write_bytes(data)
    sections = [(kind, content) for kind, _, content, _ in CASES]
    (tmp_path / "meaning_sections.py").write_text(f"SECTIONS = {sections!r}\n")
    (tmp_path / "run.py").write_text(SCRIPT)
    path = f"{FIRMWARE}:{SUPPORT}"
    lines = unix("run.py", tmp_path, str(count), cwd=tmp_path, path=path).splitlines()
    want: list[object] = []
    for seed in range(count):

        def read(seed: int = seed) -> object:
            m = meaning.Meaning(mutated(data, seed))
            return m.channels, m.units, m.labels, m.readout, m.window, m.votes

        want.append(said(read))
    for kind, content in sections:
        names = kind == NAMES
        want.append(
            said(
                lambda names=names, content=content: (
                    meaning.read_names(content, INPUTS, OUTPUTS)
                    if names
                    else meaning.read_decision(content)
                )
            )
        )
    assert [ast.literal_eval(line) for line in lines] == want
    texts = {text for text in want if isinstance(text, str)}
    assert len(texts) > 40


def test_info_shows_them(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from ulnn_host.cli.main import app

    path = tmp_path / "m.ulnn"
    path.write_bytes(container.write(replace(NAMED, model_version=7)))
    text = CliRunner().invoke(app, ["info", str(path)]).stdout
    for what in ("1.2", "m/s²", "walking", "mean", "200", "model_version", "7"):
        assert what in text
    shown = json.loads(CliRunner().invoke(app, ["info", str(path), "--json"]).stdout)
    assert shown["model"]["model_version"] == 7
    assert shown["channels"]["ax"] == "m/s²"
    assert shown["decision"]["votes"] == 3


def test_old_readers_take_the_new_file() -> None:
    """What the C core and the pure engine of version 1.1 look at: no rule of theirs is broken by
    minor 2 and by sections from 0x8000 up (the vectors of 1.1 hold that the bits stay)."""
    data = container.write(NAMED)
    assert struct.unpack_from("<BB", data, 4) == (1, 2)
    f = File.read(data)
    for number, section in enumerate(f.sections):
        assert section.type <= 6 or section.type >= 0x8000, number
    plain = replace(f, sections=tuple(s for s in f.sections if s.type < 0x8000)).write()
    for load in (engines.native_module().load, engines.pure_module().load):
        old, new = load(plain).info(), load(data).info()
        for key in ("file_size", "sha256", "format", "ram"):
            del old[key], new[key]
        assert old == new
