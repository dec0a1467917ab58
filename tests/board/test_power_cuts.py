"""A power cut at any write of a deployment leaves the old version or the new one, whole."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.board_tools import RULE_NAMES, model_file
from support.power_cuts import (
    FILESYSTEMS,
    TornBoard,
    replay,
    tag_modules,
    tagged_source,
    torn_board,
)
from support.unix import needs_micropython
from ulnn_host.base.errors import UlnnError
from ulnn_host.board import versions
from ulnn_host.board.deploy import deploy, make_plan
from ulnn_host.board.deployed import rollback
from ulnn_host.format import container
from ulnn_host.toolchain import bytecode

pytestmark = needs_micropython

TAGS = 4  # modules that say their version
FLAT = ("ulnn", "ulnn_stream", *(f"ulnn_rules/{name}" for name in RULE_NAMES))


class Releases:
    """An old and a new release of everything, and a board that has the old one."""

    def __init__(self, board: TornBoard, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.board, self.folder, self._patch = board, folder, patch
        self.model = {}
        for seed, tag in enumerate(("old", "new"), start=1):
            (folder / tag).mkdir()
            self.model[tag] = model_file(folder / tag, seed)

    @contextlib.contextmanager
    def on_the_host(self, tag: str) -> Iterator[None]:
        with self._patch.context() as patch:
            tag_modules(patch, tag, self.folder)
            yield

    def deploy(self, tag: str) -> None:
        with self.on_the_host(tag):
            deploy(self.board.link, self.model[tag])

    def copy_flat(self, tag: str, suffix: str) -> None:
        """As people copy files, and as deployments without versions did."""
        link = self.board.link
        with self.on_the_host(tag):
            for name in FLAT:
                link.make_folders(f"/ram/lib/{name}")
                source = f"{name}.py"
                data = tagged_source(source, tag) if suffix == ".py" else bytecode.find(source)
                link.write_file(f"/ram/lib/{name}{suffix}", data)
        link.make_folders("/ram/models/m.ulnn")
        link.write_file("/ram/models/m.ulnn", self.model[tag].read_bytes())

    def whole(self, tag: str) -> list[str]:
        """What a program gets from it."""
        return [tag] * TAGS + [container.read(self.model[tag].read_bytes()).sha256[:8]]


@pytest.fixture
def releases(
    tmp_path: Path, pure_only: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Releases]]:
    with contextlib.ExitStack() as stack:

        def make(kind: str) -> Releases:
            return Releases(stack.enter_context(torn_board(kind, tmp_path)), tmp_path, monkeypatch)

        yield make


def cut_everywhere(
    releases: Releases, before: bytes, step: int
) -> tuple[int, dict[str, list[str]]]:
    writes, found = replay(releases.board, before, releases.folder, step=step, seed=1)
    cuts = {what: len(at) for what, at in found.items()}
    print(releases.board.kind, f"{writes} writes, starts after cuts:", cuts)
    return writes, found


@pytest.mark.parametrize("kind", FILESYSTEMS)
def test_cut_at_each_write_of_a_deployment(
    kind: str, releases: Callable[[str], Releases], full: bool
) -> None:
    r = releases(kind)
    r.deploy("old")
    before = r.board.image()
    with r.board.recording():
        r.deploy("new")
    assert r.board.starts_with() == r.whole("new")
    writes, found = cut_everywhere(r, before, 1 if full else 9)
    assert writes > 200
    assert set(found) == {str(r.whole("old")), str(r.whole("new"))}


@pytest.mark.parametrize("kind", FILESYSTEMS)
def test_cut_at_each_write_of_a_rollback(
    kind: str, releases: Callable[[str], Releases], full: bool
) -> None:
    r = releases(kind)
    r.deploy("old")
    r.deploy("new")
    before = r.board.image()
    with r.board.recording():
        rollback(r.board.link)
    r.board.power_on()
    assert r.board.starts_with() == r.whole("old")
    writes, found = cut_everywhere(r, before, 1 if full else 3)
    assert writes > 30
    assert set(found) == {str(r.whole("old")), str(r.whole("new"))}


@pytest.mark.parametrize(
    ("kind", "suffix"), [("VfsLfs2", ".mpy"), ("VfsFat", ".mpy"), ("VfsFat", ".py")]
)
def test_cut_at_each_write_of_an_upgrade_of_flat_files(
    kind: str, suffix: str, releases: Callable[[str], Releases], full: bool
) -> None:
    """Files of either kind, on a board that takes bytecode."""
    r = releases(kind)
    r.copy_flat("old", suffix)
    before = r.board.image()
    with r.board.recording():
        r.deploy("new")
    assert r.board.starts_with() == r.whole("new")
    _, found = cut_everywhere(r, before, 1 if full else 11)
    assert set(found) == {str(r.whole("old")), str(r.whole("new"))}


def test_a_stub_on_fat_lies_over_the_beginning_of_a_module(
    releases: Callable[[str], Releases],
) -> None:
    """FAT replaces no file at once; what is behind a stub is not read, and not written again."""
    r = releases("VfsFat")
    r.copy_flat("old", ".mpy")
    size = r.board.link.eval("__import__('os').stat('/ram/lib/ulnn.mpy')[6]")
    r.deploy("new")
    with r.on_the_host("new"):
        data = versions.stub(".mpy")
        assert make_plan(r.board.link, r.model["new"]).stubs == ()
    module = r.board.link.eval("open('/ram/lib/ulnn.mpy', 'rb').read()")
    assert len(module) == size > len(data)
    assert module[: len(data)] == data
    assert rollback(r.board.link).now.number == 1
    r.board.power_on()
    assert r.board.starts_with() == r.whole("old")


@pytest.mark.parametrize("kind", FILESYSTEMS)
def test_second_cut_in_the_repair(
    kind: str, releases: Callable[[str], Releases], full: bool
) -> None:
    """The host deploys again after a cut, and the power is cut again; a third one gets through."""
    r = releases(kind)
    r.deploy("old")
    board, rng = r.board, random.Random(7)
    start = board.image()
    r.deploy("new")
    writes = board.writes()
    whole = [r.whole("old"), r.whole("new")]
    for _ in range(20 if full else 2):
        board.restore(start)
        for cut in (rng.randrange(writes), rng.randrange(writes)):
            board.cut_after(cut)
            with contextlib.suppress(UlnnError):
                r.deploy("new")
            board.power_on()
            assert board.starts_with() in whole
        r.deploy("new")
        assert board.starts_with() == r.whole("new")
