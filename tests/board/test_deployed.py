"""The versions on a board: kept, listed, gone back to, removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.board_tools import model_file
from support.paths import ROOT
from support.ram_disk import Disk, fill, forget_modules, sha_of_model
from support.unix import needs_micropython
from ulnn_host.board.deploy import DeployError, deploy, make_plan
from ulnn_host.board.deployed import listing, remove, rollback
from ulnn_host.format import container
from ulnn_host.toolchain import bytecode


@needs_micropython
def test_rollback_and_list(disk: Callable[..., Disk], pure_only: None, tmp_path: Path) -> None:
    there = disk()
    with pytest.raises(DeployError, match="nothing is deployed here that this program made"):
        rollback(there.link)
    first = model_file(tmp_path, 1)
    sha256 = container.read(first.read_bytes()).sha256
    deploy(there.link, first)
    with pytest.raises(DeployError, match="version 2 is the only one here"):
        rollback(there.link)
    deploy(there.link, model_file(tmp_path, 2))
    deploy(there.link, model_file(tmp_path, 3, "other.ulnn"))
    newest, before = listing(there.link)
    assert (newest.version.number, newest.active, newest.whole) == (4, True, True)
    assert (before.version.number, before.active, before.whole) == (3, False, True)
    assert set(newest.version.models) == {"/ram/models/m.ulnn", "/ram/models/other.ulnn"}
    assert set(before.version.models) == {"/ram/models/m.ulnn"}
    assert json.dumps([v.to_json() for v in (newest, before)])

    back = rollback(there.link)
    assert (back.given_up, back.now.number, back.self_test) == (4, 3, 12)
    assert "/models/other.ulnn" not in there.files()
    assert sha_of_model(there) != sha256
    assert len(listing(there.link)) == 1
    assert len([n for n in there.files() if "/model_" in n]) == 1


@needs_micropython
def test_a_model_replaced_by_hand_stays_and_is_named(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk()
    deploy(there.link, model_file(tmp_path, 1))
    mine = model_file(tmp_path, 5, "mine.ulnn")
    there.link.write_file("/ram/models/m.ulnn", mine.read_bytes())
    assert sha_of_model(there) == container.read(mine.read_bytes()).sha256
    assert listing(there.link)[0].changed == ("/ram/models/m.ulnn",)
    deploy(there.link, model_file(tmp_path, 2, "other.ulnn"))
    assert sha_of_model(there) == container.read(mine.read_bytes()).sha256
    assert set(listing(there.link)[0].version.models) == {"/ram/models/other.ulnn"}


@needs_micropython
def test_remove_leaves_what_is_not_ours(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk()
    there.link.exec("import os\nos.mkdir('lib')\nopen('main.py', 'w').close()\n"
                    "open('lib/mine.py', 'w').close()")  # fmt: skip
    deploy(there.link, model_file(tmp_path))
    gone = remove(there.link)
    assert "/ram/models/m.ulnn" in gone
    assert set(there.files()) == {"/main.py", "/lib/mine.py"}
    assert listing(there.link) == []
    assert deploy(there.link, model_file(tmp_path)).self_test == 12


@needs_micropython
def test_the_version_before_comes_back_when_the_self_test_fails(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = disk(320)
    path = model_file(tmp_path, 1)
    broken = tmp_path / "broken.py"
    broken.write_text(
        (ROOT / "firmware/ulnn.py").read_text() + "\ndef load(source):\n raise OSError('no')\n"
    )
    find = bytecode.find

    def find_broken(name: str) -> bytes:
        return bytecode.compiled(broken) if name == "ulnn.py" else find(name)

    with monkeypatch.context() as patch:
        patch.setattr(bytecode, "find", find_broken)
        with pytest.raises(DeployError, match="OSError: no; nothing is deployed now") as caught:
            deploy(there.link, path)
        assert caught.value.status == 5
        assert there.files() == {}
    deploy(there.link, path)
    before = there.files()
    with monkeypatch.context() as patch:
        patch.setattr(bytecode, "find", find_broken)
        with pytest.raises(DeployError, match="the board is back with the version before"):
            deploy(there.link, model_file(tmp_path, 2))
    assert there.files() == before
    forget_modules(there)
    model_file(tmp_path, 1)
    assert sha_of_model(there) == container.read(path.read_bytes()).sha256


@needs_micropython
def test_without_room_for_three_the_version_before_goes_first(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk(256)
    deploy(there.link, model_file(tmp_path, 1))
    deploy(there.link, model_file(tmp_path, 2))
    fill(there.link, "/ram", 30 * 512)
    plan = make_plan(there.link, model_file(tmp_path, 3))
    assert plan.forget
    assert deploy(there.link, model_file(tmp_path, 3)).self_test == 12
    assert [v.whole for v in listing(there.link)] == [True, True]


@needs_micropython
def test_a_read_only_disk_is_said_with_what_to_do(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    """As CircuitPython's drive is while the PC has it."""
    there = disk()
    deploy(there.link, model_file(tmp_path))
    there.link.exec(
        "class Read:\n def __init__(self, d): self.d = d\n"
        " def readblocks(self, k, b): b[:] = memoryview(self.d)[512 * k : 512 * k + len(b)]\n"
        " def ioctl(self, op, arg): return {4: len(self.d) // 512, 5: 512}.get(op, 0)\n"
        "class Both(Read):\n"
        " def writeblocks(self, k, b): self.d[512 * k : 512 * k + len(b)] = b\n"
        "import os, vfs\nos.chdir('/')\nvfs.umount('/ram')\nfat = Both(bytearray(512 * 256))\n"
        "vfs.VfsFat.mkfs(fat)\nvfs.mount(Read(fat.d), '/ram')\nos.chdir('/ram')"
    )
    with pytest.raises(DeployError, match=r"storage\.remount\('/', readonly=False\)") as caught:
        deploy(there.link, model_file(tmp_path))
    assert caught.value.status == 3
